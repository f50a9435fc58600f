#include "harness/report/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <iterator>

namespace forgecheck {

namespace {

/// The length of the UTF-8 character at the start of `text`, with its code; length 0 where there is none.
struct Character {
  std::size_t length = 0;
  std::uint32_t code = 0;
};

Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {1, lead};
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC0 || lead > 0xF4 || text.size() < length) return {};
  std::uint32_t code = lead & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return {};
    code = code << 6 | (byte(i) & 0x3FU);
  }
  constexpr std::array<std::uint32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < kSmallest[length] || code > 0x10FFFF || surrogate) return {};
  return {length, code};
}

bool is_shown(std::uint32_t code) {
  if (code < 0x20) return code == '\n' || code == '\t';
  return !(code >= 0x7F && code <= 0x9F) && (code & 0xFFFEU) != 0xFFFEU;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const Character character = first_character(text);
    const std::size_t length = std::max<std::size_t>(1, character.length);
    if (character.length > 0 && is_shown(character.code)) {
      result += text.substr(0, length);
    } else {
      for (const char byte : text.substr(0, length)) {
        result += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
      }
    }
    text.remove_prefix(length);
  }
  return result;
}

std::string short_number(double value, int digits) {
  return fmt::format("{:.{}g}", value, digits);
}

std::string counted(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string percent(double share) {
  if (std::isinf(share)) return "infinite";
  const double value = 100 * share;
  if (value < 10) return fmt::format("{:.2g} %", value);
  // What is beyond a tolerance must not be rounded to 100 %.
  if (value < 1000) return fmt::format("{:.0f} %", share > 1 ? std::ceil(value) : value);
  return fmt::format("{:.3g} %", value);
}

std::string worst_tap(const Judgement& judgement) {
  const auto worst = std::ranges::max_element(judgement.taps, {}, &TapResult::used);
  const bool used = worst != judgement.taps.end() && worst->used > 0 && worst->used == judgement.used;
  return used ? worst->name : "";
}

std::string subject(const Result& result) {
  if (!result.file.empty()) return result.file;
  return result.case_line.empty() ? result.candidate : result.case_line;
}

std::string comparison(const Result& result) {
  const std::string what = subject(result);
  return what == result.candidate ? what : what + " on " + result.candidate;
}

std::string place(const FirstDivergence& first) {
  constexpr std::size_t kShown = 4;
  std::string text = first.tap;
  if (!first.after.empty()) text += "; the tap before it, " + first.after + ", is right";
  if (first.between.empty()) return text;
  text += "; the trace does not show ";
  for (std::size_t i = 0; i < std::min(kShown, first.between.size()); ++i) {
    text += (i == 0 ? "" : ", ") + first.between[i];
  }
  if (first.between.size() > kShown) {
    text += " and " + std::to_string(first.between.size() - kShown) + " more";
  }
  return text + ", where the fault may lie as well";
}

std::string element_text(const WorstElement& worst) {
  return fmt::format("[{}]: candidate {:.9g}, oracle {:.9g}", fmt::join(worst.index, ", "), worst.candidate,
                     worst.oracle);
}

std::string choice_text(const UndecidedChoice& choice) {
  return fmt::format("undecided: {} of token {}, margin {:.3g}, bound {:.3g}", choice.tap, choice.row,
                     choice.margin, choice.bound);
}

std::string bin_label(std::size_t bin) {
  if (bin == 0) return "none";
  if (bin < std::size(kShareEdges)) return "to " + short_number(kShareEdges[bin]);
  return "above " + short_number(kShareEdges[std::size(kShareEdges) - 1]);
}

}  // namespace forgecheck

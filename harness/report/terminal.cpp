#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <span>

#include "harness/report/report.h"
#include "harness/report/text.h"

namespace forgecheck {

namespace {

/// Text of any origin, after an indentation of two: its further lines are marked.
std::string indented(std::string_view text) {
  std::string result;
  for (const char c : printable(text)) {
    result += c;
    if (c == '\n') result += "  | ";
  }
  return result;
}

using Rows = std::vector<std::vector<std::string>>;

/// Columns as wide as their longest text; those in `numbers` (first, last) end at the right.
void print_aligned(std::ostream& out, const Rows& rows, const std::string& indent,
                   std::pair<std::size_t, std::size_t> numbers = {1, 0}) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line = indent;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - row[i].size(), ' ');
      const bool right = i >= numbers.first && i <= numbers.second;
      line += (i == 0 ? "" : "  ") + (right ? space + row[i] : row[i] + space);
    }
    out << line.substr(0, line.find_last_not_of(' ') + 1) << "\n";
  }
}

void print_divergence(std::ostream& out, const FirstDivergence& first) {
  const auto line = [&out](const char* label, const std::string& text) {
    if (!text.empty()) out << "  " << label << ": " << indented(text) << "\n";
  };
  line("first divergence", place(first));
  // Of another shape or kind of value there is no error to measure: the message says all that is known.
  if (first.tolerance != 0 || std::isfinite(first.local_error)) {
    line("error", fmt::format("{:.3g} made here, {:.3g} inherited; tolerance {:.3g}", first.local_error,
                              first.inherited_error, first.tolerance));
  }
  line("operation", first.operation.formula);
  line("source", first.operation.source);
  line("upstream", first.operation.upstream);
  if (first.worst) line("worst element", element_text(*first.worst));
  line("hint", first.hint);
  line("note", first.note);
}

/// The taps that broke their tolerance by most; those that have none say what is wrong.
void print_worst_taps(std::ostream& out, const Judgement& judgement) {
  constexpr std::size_t kShown = 5;
  std::vector<const TapResult*> broken;
  for (const TapResult& tap : judgement.taps) {
    if (!is_success(tap.verdict)) broken.push_back(&tap);
  }
  std::ranges::stable_sort(broken, [](const TapResult* a, const TapResult* b) { return a->used > b->used; });
  const std::span<const TapResult*> worst = std::span(broken).first(std::min(kShown, broken.size()));
  const bool parts =
      std::ranges::any_of(worst, [](const TapResult* tap) { return tap->local != 0 || tap->inherited != 0; });
  Rows rows;
  std::string others;
  for (const TapResult* tap : worst) {
    if (tap->tolerance > 0) {
      rows.push_back({indented(tap->name), short_number(tap->error), short_number(tap->tolerance),
                      short_number(tap->used)});
      if (!parts) continue;
      rows.back().push_back(short_number(tap->local));
      rows.back().push_back(short_number(tap->inherited));
    } else if (const std::string text = tap->name + " " + tap->message; text != judgement.message) {
      others += "  " + indented(text) + "\n";
    }
  }
  if (!rows.empty()) {
    std::vector<std::string> head = {"worst taps", "error",      "tolerance",
                                     "used",       "local/size", "inherited/size"};
    head.resize(rows.front().size());
    rows.insert(rows.begin(), std::move(head));
    print_aligned(out, rows, "  ", {1, 5});
  }
  out << others;
  if (broken.size() > worst.size()) out << "  and " << broken.size() - worst.size() << " more taps\n";
}

/// A bar of text for each share of the tolerance; whatever is there has one sign at least.
void print_histogram(std::ostream& out, const FirstDivergence& first) {
  constexpr double kWidth = 40;
  if (first.histogram.empty()) return;
  const auto largest = static_cast<double>(std::ranges::max(first.histogram));
  out << "  elements of " << indented(first.tap) << " by the share of the tolerance that they use\n";
  Rows rows;
  for (std::size_t bin = 0; bin < first.histogram.size(); ++bin) {
    const std::size_t count = first.histogram[bin];
    const double length = count == 0 ? 0 : std::max(1.0, kWidth * static_cast<double>(count) / largest);
    rows.push_back(
        {bin_label(bin), std::to_string(count), std::string(static_cast<std::size_t>(length), '#')});
  }
  print_aligned(out, rows, "    ", {1, 1});
}

/// "kempnerforge/dense/mha" instead of "kempnerforge/dense/mha.safetensors".
std::string golden_name(const Result& result) {
  const std::string name = subject(result);
  return name.substr(0, name.rfind(".safetensors"));
}

/// The results that are listed, but not judged.
void print_unsupported(std::ostream& out, const Report& report) {
  std::map<std::string, std::size_t> reasons;
  for (const Result& result : report.results) {
    if (result.judgement.verdict != Verdict::unsupported) continue;
    const std::size_t folder = result.file.rfind('/');
    ++reasons[(folder == std::string::npos ? "" : result.file.substr(0, folder) + ": ") +
              result.judgement.message];
  }
  for (const auto& [reason, count] : reasons) out << count << " not judged, " << indented(reason) << "\n";
}

/// Whether there was a trace to compare.
bool is_measured(Verdict verdict) {
  switch (verdict) {
    case Verdict::match:
    case Verdict::undecided:
    case Verdict::mismatch:
    case Verdict::untrusted:
      return true;
    case Verdict::rejected:
    case Verdict::crashed:
    case Verdict::unsupported:
      return false;
  }
  return true;
}

/// "53 % (layers.1.mlp, kempnerforge/dense/mha)"; "0 %" where nothing was used.
std::string worst_of_group(const Result* worst) {
  if (worst == nullptr) return percent(0);
  const std::string tap = worst_tap(worst->judgement);
  return fmt::format("{} ({}{}{})", percent(worst->judgement.used), tap, tap.empty() ? "" : ", ",
                     golden_name(*worst));
}

/// A note with the results that it is about, each once.
std::string note_text(const std::string& note, const std::vector<std::string>& subjects) {
  constexpr std::size_t kShown = 3;
  const auto first = std::span(subjects).first(std::min(kShown, subjects.size()));
  const std::string more =
      subjects.size() > kShown ? fmt::format(" and {} more", subjects.size() - kShown) : "";
  return fmt::format("note: {} ({}{})", note, fmt::join(first, ", "), more);
}

}  // namespace

void print_notes(std::ostream& out, const Report& report) {
  constexpr std::size_t kShown = 10;
  std::map<std::string, std::vector<std::string>> notes;
  for (const Result& result : report.results) {
    if (!is_success(result.judgement.verdict)) continue;  // --strict made them its message
    for (const std::string& note : result.judgement.notes) {
      std::vector<std::string>& subjects = notes[note];
      const std::string name = golden_name(result);
      if (std::ranges::find(subjects, name) == subjects.end()) subjects.push_back(name);
    }
  }
  std::size_t left = kShown;
  for (const auto& [note, subjects] : notes) {
    if (left-- == 0) break;
    out << indented(note_text(note, subjects)) << "\n";
  }
  if (notes.size() > kShown) {
    out << fmt::format("and {} more notes: --json or --html lists them\n", notes.size() - kShown);
  }
}

void print_failure(std::ostream& out, const Result& result, bool brief) {
  const Judgement& judgement = result.judgement;
  out << to_string(judgement.verdict) << ": " << indented(comparison(result)) << "\n";
  if (!judgement.message.empty()) out << "  " << indented(judgement.message) << "\n";
  if (!brief) {
    const auto& first = judgement.first_divergence;
    if (first) print_divergence(out, *first);
    print_worst_taps(out, judgement);
    if (first) print_histogram(out, *first);
  }
  if (!result.repeat.empty()) out << "  repeat: " << indented(result.repeat) << "\n";
}

void print_summary(std::ostream& out, const Report& report) {
  struct Group {
    Report report;
    const Result* worst = nullptr;
    bool measured = false;
  };
  std::map<std::pair<std::string, std::string>, Group> groups;
  for (const Result& result : report.results) {
    const std::string producer = result.producer.empty() ? "" : " (" + result.producer + ")";
    Group& group = groups[{result.candidate + producer, result.dtype}];
    group.report.results.emplace_back().judgement.verdict = result.judgement.verdict;
    group.measured = group.measured || is_measured(result.judgement.verdict);
    if (result.judgement.used > (group.worst == nullptr ? 0 : group.worst->judgement.used)) {
      group.worst = &result;
    }
  }
  Rows rows;
  for (const auto& [key, group] : groups) {
    rows.push_back({indented(key.first), key.second, summary_line(group.report),
                    group.measured ? "worst tolerance used: " + indented(worst_of_group(group.worst)) : ""});
  }
  print_aligned(out, rows, "");
  print_unsupported(out, report);
  print_notes(out, report);
}

}  // namespace forgecheck

#include <algorithm>
#include <string_view>

#include "harness/report/report.h"
#include "harness/report/text.h"

namespace forgecheck {

namespace {

/// GitHub shows so many annotations of a kind for one step.
constexpr std::size_t kShown = 10;

/// GitHub's escapes, in a property those of `:` and `,` as well.
std::string escaped(const std::string& text, bool property) {
  std::string result;
  for (const char c : printable(text)) {
    if (c == '%') {
      result += "%25";
    } else if (c == '\n') {
      result += "%0A";
    } else if (property && c == ':') {
      result += "%3A";
    } else if (property && c == ',') {
      result += "%2C";
    } else {
      result += c;
    }
  }
  return result;
}

std::string annotation(const std::string& kind, const std::string& file, const std::string& title,
                       const std::string& message) {
  return "::" + kind + " " + (file.empty() ? "" : "file=" + escaped(file, true) + ",") +
         "title=" + escaped(title, true) + "::" + escaped(message, false) + "\n";
}

/// The message's lines: what is wrong, where, and how to see it again.
std::string message_of(const Result& result) {
  constexpr std::size_t kChoices = 5;
  const Judgement& judgement = result.judgement;
  std::string text;
  const auto line = [&text](const std::string& label, const std::string& what) {
    if (!what.empty()) text += (text.empty() ? "" : "\n") + label + what;
  };
  line("", judgement.message);
  if (const auto& first = judgement.first_divergence) {
    line("first divergence: ", place(*first));
    line("hint: ", first->hint);
  }
  const std::vector<UndecidedChoice>& choices = judgement.undecided;
  for (std::size_t i = 0; i < std::min(kChoices, choices.size()); ++i) line("", choice_text(choices[i]));
  if (choices.size() > kChoices) {
    line("", "and " + std::to_string(choices.size() - kChoices) + " more undecided choices");
  }
  line("repeat: ", result.repeat);
  return text;
}

void print_kind(std::ostream& out, const std::string& kind, const std::vector<const Result*>& results) {
  const std::size_t shown = results.size() > kShown ? kShown - 1 : results.size();
  for (std::size_t i = 0; i < shown; ++i) {
    const Result& result = *results[i];
    const std::string title = to_string(result.judgement.verdict) + ": " + comparison(result);
    out << annotation(kind, result.file, title, message_of(result));
  }
  if (shown < results.size()) {
    out << annotation(kind, "", "forgecheck",
                      "and " + std::to_string(results.size() - shown) + " more, see the log");
  }
}

}  // namespace

void print_annotations(std::ostream& out, const Report& report) {
  std::vector<const Result*> failures, undecided;
  for (const Result& result : report.results) {
    if (!is_success(result.judgement.verdict)) failures.push_back(&result);
    if (result.judgement.verdict == Verdict::undecided) undecided.push_back(&result);
  }
  print_kind(out, "error", failures);
  print_kind(out, "notice", undecided);
}

}  // namespace forgecheck

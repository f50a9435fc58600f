#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <span>
#include <string_view>

#include "harness/report/report.h"
#include "harness/report/text.h"

namespace forgecheck {

namespace {

/// GitHub shows this many annotations of a kind for one step.
constexpr std::size_t kMostAnnotations = 10;

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
    line("", fmt::format("and {} more undecided choices", choices.size() - kChoices));
  }
  line("repeat: ", result.repeat);
  return text;
}

/// The result's file as GitHub knows it: below the working folder, which is that of the repository. A file outside
/// stays as it is.
std::string file_of(const Report& report, const Result& result) {
  if (result.file.empty()) return "";
  const std::filesystem::path path = (report.folder / result.file).lexically_normal();
  if (!path.is_absolute()) return path.string();
  const std::filesystem::path below = path.lexically_relative(std::filesystem::current_path());
  return below.empty() || *below.begin() == ".." ? path.string() : below.string();
}

struct Annotation {
  std::string file;
  std::string title;
  std::string message;
};

Annotation verdict_annotation(const Report& report, const Result& result) {
  return {file_of(report, result), to_string(result.judgement.verdict) + ": " + comparison(result),
          message_of(result)};
}

/// The notes of a success, one a line.
Annotation note_annotation(const Report& report, const Result& result) {
  return {file_of(report, result), "note: " + subject(result),
          fmt::format("{}\nrepeat: {}", fmt::join(result.judgement.notes, "\n"), result.repeat)};
}

void print_kind(std::ostream& out, const std::string& kind, const std::vector<Annotation>& all) {
  const std::size_t shown = all.size() > kMostAnnotations ? kMostAnnotations - 1 : all.size();
  for (const Annotation& one : std::span(all).first(shown)) {
    out << annotation(kind, one.file, one.title, one.message);
  }
  if (shown < all.size()) {
    out << annotation(kind, "", "forgecheck", fmt::format("and {} more, see the log", all.size() - shown));
  }
}

}  // namespace

void print_annotations(std::ostream& out, const Report& report) {
  std::vector<Annotation> failures, notices;
  std::set<std::pair<std::string, std::vector<std::string>>> noted;  // every backend has a golden's notes
  for (const Result& result : report.results) {
    const Judgement& judgement = result.judgement;
    if (!is_success(judgement.verdict)) failures.push_back(verdict_annotation(report, result));
    if (judgement.verdict == Verdict::undecided) notices.push_back(verdict_annotation(report, result));
    const bool has_notes = is_success(judgement.verdict) && !judgement.notes.empty();
    if (has_notes && noted.emplace(subject(result), judgement.notes).second) {
      notices.push_back(note_annotation(report, result));
    }
  }
  print_kind(out, "error", failures);
  print_kind(out, "notice", notices);
}

}  // namespace forgecheck

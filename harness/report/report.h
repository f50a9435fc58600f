// What a judging command found, and its forms: lines on the terminal, JSON, JUnit, HTML and the annotations
// of GitHub. docs/report.md describes the files.
#pragma once

#include <filesystem>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "harness/verdict/verdict.h"

namespace forgecheck {

struct Result {
  std::string case_line;  // empty where the case is not known
  std::string file;       // below the golden folder, with its extension; empty without one
  std::string candidate;
  std::string oracle = "reference:f64";
  Judgement judgement;
  std::string repeat;  // the command that judges this one again
  double seconds = 0.0;
  std::string dtype;     // of the case; empty where it is not known
  std::string producer;  // who recorded the trace, for a recorded one
};

struct Report {
  std::vector<std::string> command;
  std::vector<Result> results;
  std::filesystem::path folder{};  // of the results' files; empty where it is not known
};

/// How many results have each verdict, in the order of the enumeration, zeros left out.
std::vector<std::pair<Verdict, std::size_t>> count_verdicts(const std::vector<Result>& results);

/// 0 if there are results and every one is a success, else 1.
int exit_status(const Report& report);

/// "118 match, 1 mismatch": how many of each verdict.
std::string summary_line(const Report& report);

// ---- on the terminal ----

/// This many failures are printed in full, the others in brief.
inline constexpr std::size_t kFullFailures = 10;

/// The failure: verdict, message, first divergence, the worst taps, how many elements are how wrong, and the
/// repeat command. In brief, verdict, message and repeat command.
void print_failure(std::ostream& out, const Result& result, bool brief = false);

/// For each candidate and dtype its verdicts and the largest share of a tolerance that any tap used; then
/// what was not judged, and why; then the notes.
void print_summary(std::ostream& out, const Report& report);

/// Each note on a success once, with the results that it is about; at most 10.
void print_notes(std::ostream& out, const Report& report);

/// Workflow commands that GitHub shows next to the run: failures as errors, undecided results and notes as
/// notices, at most 10 of each.
void print_annotations(std::ostream& out, const Report& report);

// ---- as files, each written as AtomicFile does; all throw FormatError ----

void write_json_report(const std::filesystem::path& path, const Report& report);
void write_junit_report(const std::filesystem::path& path, const Report& report);
/// A self-contained page.
void write_html_report(const std::filesystem::path& path, const Report& report);

/// Reads what write_json_report wrote. Throws FormatError "<path>: results[3].verdict = ...: ..." for
/// anything that is missing, unknown or not allowed.
Report read_json_report(const std::filesystem::path& path);

// ---- several reports as one ----

struct NamedReport {
  std::string name;
  Report report;
};

struct MergedReport {
  Report report;
  std::vector<std::string> conflicts;  // a line for each result with two verdicts
  std::size_t repeated = 0;  // results left out because another report has them, with the same verdict
};

/// All results, sorted by file, case, candidate and oracle: the order of the reports does not matter. Of
/// results with the same verdict on the same comparison the one that used most of its tolerance is kept; with
/// different verdicts all are kept, and named as a conflict.
MergedReport merge_reports(const std::vector<NamedReport>& reports);

}  // namespace forgecheck

// What a judging command found, and its forms: lines on the terminal and JSON.
#pragma once

#include <filesystem>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "harness/verdict/verdict.h"

namespace forgecheck {

struct Result {
  std::string case_line;
  std::string file;  // below the golden folder, with its extension; empty without one
  std::string candidate;
  std::string oracle = "reference:f64";
  Judgement judgement;
  std::string repeat;  // the command that judges this one again
  double seconds = 0.0;
};

struct Report {
  std::vector<std::string> command;
  std::vector<Result> results;
};

/// How many results have each verdict, in the order of the enumeration, zeros left out.
std::vector<std::pair<Verdict, std::size_t>> count_verdicts(const std::vector<Result>& results);

/// 0 if every result is a success, else 1.
int exit_status(const Report& report);

/// The failure in a few lines: verdict, message, the taps that broke their tolerance, the repeat command.
void print_failure(std::ostream& out, const Result& result);

/// "118 match, 1 mismatch": how many of each verdict.
std::string summary_line(const Report& report);

/// Writes the report as design section 5 has it, through a temporary file. Throws FormatError.
void write_json_report(const std::filesystem::path& path, const Report& report);

}  // namespace forgecheck

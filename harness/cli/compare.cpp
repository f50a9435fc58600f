#include <fmt/format.h>

#include <filesystem>

#include "harness/cli/command.h"
#include "harness/cli/report_options.h"
#include "harness/golden/any_trace.h"
#include "harness/golden/golden_file.h"
#include "harness/io/file_name.h"
#include "harness/io/safetensors.h"
#include "harness/report/text.h"
#include "harness/verdict/difference.h"
#include "harness/verdict/judge.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

struct CompareOptions {
  std::string a, b;
  ReportOptions report;
};

bool is_golden(const std::string& path) {
  return read_safetensors(path).metadata.contains("forgecheck");
}

void require_file(const std::string& path) {
  std::error_code failed;
  const std::filesystem::file_status status = std::filesystem::status(path, failed);
  if (status.type() == std::filesystem::file_type::not_found) throw FormatError(path + ": is not there");
  if (failed) throw FormatError(path + ": cannot be opened: " + failed.message());
  if (std::filesystem::is_directory(status)) {
    throw FormatError(path + ": is a folder, expected a .safetensors file");
  }
}

class TraceComparison {
 public:
  TraceComparison(const CompareOptions& options, const Invocation& invocation)
      : options_(options), out_(terminal(options.report)) {
    report_.command = invocation.arguments;
  }

  int run() {
    require_file(options_.a);
    require_file(options_.b);
    if (std::filesystem::equivalent(options_.a, options_.b)) {
      Judgement judgement;
      judgement.verdict = Verdict::untrusted;
      judgement.message = "A and B are the same file: comparing it with itself proves nothing";
      add(options_.b, options_.a, "", std::move(judgement));
    } else if (is_golden(options_.a)) {
      judge_both(options_.a);
    } else if (is_golden(options_.b)) {
      judge_both(options_.b);
    } else {
      add(options_.b, options_.a, "",
          difference(taps_of(read_safetensors(options_.a)), taps_of(read_safetensors(options_.b))));
    }
    print_notes(out_, report_);
    out_ << summary_line(report_) << "\n";
    write_reports(options_.report, report_);
    return exit_status(report_);
  }

 private:
  /// The file `with_case` says what was computed, so both traces can be compared with the oracle.
  void judge_both(const std::string& with_case) {
    Golden golden = read_golden(with_case, with_case);
    const std::string& other = with_case == options_.a ? options_.b : options_.a;
    if (is_golden(other)) {
      const Case& definition = read_golden(other, other).problem.definition;
      if (case_json(definition) != case_json(golden.problem.definition)) {
        throw ConfigError(other + ": has another case than " + with_case + ": " + case_text(definition));
      }
    }
    load_weights(golden);
    for (const std::string& path : {options_.a, options_.b}) {
      const Trace taps = taps_of(read_safetensors(path));
      const Judgement judged = with_file_name(with_case, [&] {
        return judge(golden.problem, taps, computed_type(taps, golden.problem.definition), false);
      });
      Judgement judgement = judged_by(options_.report, judged);
      const std::string worst = worst_tap(judgement);
      out_ << fmt::format("{}: {}, {}, worst tolerance used: {}{}\n", path, to_string(judgement.verdict),
                          counted(judgement.taps.size(), "tap"), percent(judgement.used),
                          worst.empty() ? "" : " (" + worst + ")");
      add(path, "reference:f64", case_text(golden.problem.definition), std::move(judgement));
    }
  }

  void add(const std::string& candidate, const std::string& oracle, const std::string& case_line,
           Judgement judgement) {
    Result result;
    result.case_line = case_line;
    result.file = candidate;
    result.candidate = candidate;
    result.oracle = oracle;
    result.judgement = std::move(judgement);
    result.repeat = repeat_line(options_.report, {"forgecheck", "compare", options_.a, options_.b});
    if (!is_success(result.judgement.verdict)) print_failure(out_, result);
    report_.results.push_back(std::move(result));
  }

  const CompareOptions& options_;
  std::ostream& out_;
  Report report_;
};

}  // namespace

void add_compare(CLI::App& app, Invocation& invocation) {
  CLI::App* command = add_command(
      app, "compare",
      "Compare two .safetensors traces: both with the oracle where one of them names its case, else "
      "with each other, value by value",
      "forgecheck compare golden/kempnerforge/dense/mha.safetensors mine.safetensors");
  auto options = std::make_shared<CompareOptions>();
  command->add_option("A", options->a, "A trace")->required();
  command->add_option("B", options->b, "Another trace")->required();
  add_report_options(*command, options->report);
  command->callback([options, &invocation] {
    invocation.action = [options, &invocation] { return TraceComparison(*options, invocation).run(); };
  });
}

}  // namespace forgecheck

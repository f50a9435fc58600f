#include <fmt/format.h>

#include "harness/case/make_inputs.h"
#include "harness/cli/checkpoint_options.h"
#include "harness/cli/command.h"
#include "harness/cli/report_options.h"
#include "harness/golden/any_trace.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/recorded_sizes.h"
#include "harness/io/checkpoint.h"
#include "harness/io/file_name.h"
#include "harness/report/text.h"
#include "harness/verdict/judge.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

struct JudgeOptions {
  CheckpointOptions model;
  std::string trace;
  ReportOptions report;
};

/// The narrowest floating point type of any tap.
Dtype narrowest_type(const Trace& taps) {
  for (const auto& [name, array] : taps.entries()) {
    if (array.dtype() == Dtype::bf16) return Dtype::bf16;
  }
  return Dtype::f32;
}

/// What the trace is a recording of, without weights: one forward call, or with labels its loss.
Problem problem_of(const JudgeOptions& options, const SafetensorsFile& file, const Trace& taps) {
  Problem problem;
  Case& definition = problem.definition;
  definition.architecture = load_architecture(options.model);
  definition.dtype = parse_dtype(options.model, narrowest_type(taps));
  problem.inputs = with_file_name(options.trace, [&] { return inputs_of(file); });
  if (!options.model.tokens.empty()) {
    if (problem.inputs.tokens) throw ConfigError("--tokens: " + options.trace + " has input.tokens itself");
    problem.inputs.tokens = parse_tokens(options.model.tokens);
  }
  if (!problem.inputs.tokens && !problem.inputs.inputs_embeds) {
    throw ConfigError(options.trace + ": has no tensor input.tokens: give --tokens");
  }
  if (problem.inputs.labels) definition.run = RunKind::loss;
  with_file_name(options.trace, [&] {
    definition.inputs = sizes_of(problem.inputs, definition.architecture);
    validate(definition);
    require_memory(definition);
  });
  return problem;
}

int judge_trace(const JudgeOptions& options, const Invocation& invocation) {
  const SafetensorsFile file = read_safetensors(options.trace);
  const Trace taps = taps_of(file);
  if (taps.empty()) throw FormatError(options.trace + ": has no tap: only inputs");
  Problem problem = problem_of(options, file, taps);
  problem.parameters = load_parameters(options.model.checkpoint, problem.definition.architecture);

  Result result;
  result.case_line = case_text(problem.definition);
  result.file = options.trace;
  result.candidate = "trace";
  result.dtype = torch_name(problem.definition.dtype);
  result.judgement = judged_by(options.report, with_file_name(options.trace, [&] {
                                 return judge(problem, taps, computed_type(taps, problem.definition), false);
                               }));
  std::vector<std::string> repeat = {"forgecheck", "judge",      "--checkpoint", options.model.checkpoint,
                                     "--trace",    options.trace};
  for (const auto& [option, value] : given_besides(options.model)) {
    repeat.insert(repeat.end(), {option, value});
  }
  result.repeat = repeat_line(options.report, std::move(repeat));

  std::ostream& out = terminal(options.report);
  Report report{invocation.arguments, {result}};
  if (!is_success(result.judgement.verdict)) print_failure(out, result);
  print_notes(out, report);
  out << fmt::format("{}: {}, {}, worst tolerance used: {}\n", options.trace,
                     to_string(result.judgement.verdict), counted(result.judgement.taps.size(), "tap"),
                     percent(result.judgement.used));
  write_reports(options.report, report);
  return exit_status(report);
}

}  // namespace

void add_judge(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      add_command(app, "judge", "Judge a trace of a checkpoint: any program's taps of any tokens",
                  "forgecheck judge --checkpoint Qwen3-0.6B/ --trace mine.safetensors");
  auto options = std::make_shared<JudgeOptions>();
  add_checkpoint_options(*command, options->model, "bfloat16 if a tap is, else float32");
  command->get_option("--checkpoint")->required();
  command
      ->add_option("--trace", options->trace,
                   "A .safetensors file of taps, and of input.tokens where --tokens is not given")
      ->required();
  add_report_options(*command, options->report);
  command->callback([options, &invocation] {
    invocation.action = [options, &invocation] { return judge_trace(*options, invocation); };
  });
}

}  // namespace forgecheck

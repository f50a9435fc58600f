#include <iostream>

#include "harness/case/make_inputs.h"
#include "harness/cli/command.h"
#include "harness/golden/golden_file.h"
#include "harness/io/atomic_file.h"
#include "harness/tap/tap_page.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

struct TapOptions {
  std::string definition;
  std::string json;
  bool markdown = false;
};

/// The taps of a case's text, or of what a golden file recorded; nothing is run and no weight is made.
int print_taps(const TapOptions& options) {
  if (options.markdown) {
    if (!options.definition.empty() || !options.json.empty()) {
      throw ConfigError("--markdown prints the page of all architectures: it takes no CASE and no --json");
    }
    std::cout << tap_page();
    return kAllMatch;
  }
  if (options.definition.empty()) throw ConfigError("taps: needs a CASE, or --markdown");
  if (options.json != "-") require_folder_of("--json", options.json);
  Case definition;
  Inputs inputs;
  if (options.definition.ends_with(".safetensors")) {
    Golden golden = read_golden(options.definition, options.definition);
    definition = golden.problem.definition;
    inputs = std::move(golden.problem.inputs);
  } else {
    definition = parse_case_text(options.definition);
    require_memory(definition);
    inputs = make_inputs(definition);
  }
  const std::vector<TapInfo> taps = tap_table(definition, inputs);
  if (options.json == "-") {
    std::cout << tap_json(case_text(definition), taps);
    return kAllMatch;
  }
  if (!options.json.empty()) write_atomically(options.json, tap_json(case_text(definition), taps));
  std::cout << tap_lines(taps);
  return kAllMatch;
}

}  // namespace

void add_taps(CLI::App& app, Invocation& invocation) {
  CLI::App* command = add_command(app, "taps", "List every tap of a case with its shape and meaning",
                                  "forgecheck taps 'dense[dim=64,n_layers=2,n_heads=4,vocab_size=61]'");
  auto options = std::make_shared<TapOptions>();
  command->add_option("CASE", options->definition, "A case's one-line text, or a golden file");
  command->add_option("--json", options->json,
                      "Write the list to this file too; - writes it to the output instead");
  command->add_flag("--markdown", options->markdown,
                    "Print the page docs/taps.md: all architectures and runs");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return print_taps(*options); }; });
}

}  // namespace forgecheck

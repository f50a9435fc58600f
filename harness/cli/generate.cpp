#include <iostream>

#include "harness/backend/backend.h"
#include "harness/cli/checkpoint_options.h"
#include "harness/cli/command.h"
#include "harness/cli/worker_options.h"
#include "harness/io/checkpoint.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

struct GenerateArguments {
  CheckpointOptions model;
  std::string backend = "reference";
  std::string seed = "0";
  std::string eos_token_id;
  GenerateOptions options;
  ChildLimits worker;
};

std::int64_t parse_eos(const std::string& text, std::int64_t vocab_size) {
  const std::int64_t token = parse_integer("--eos-token-id", text);
  if (token < 0 || token >= vocab_size) {
    throw ConfigError("--eos-token-id " + text + ": must be in 0 .. " + std::to_string(vocab_size - 1));
  }
  return token;
}

int generate_tokens(const GenerateArguments& arguments) {
  Problem problem;
  problem.definition.architecture = load_architecture(arguments.model);
  problem.definition.run = RunKind::generate;
  problem.definition.seed = parse_unsigned("--seed", arguments.seed);
  problem.definition.generate = arguments.options;
  if (!arguments.eos_token_id.empty()) {
    problem.definition.generate.eos_token_id =
        parse_eos(arguments.eos_token_id, problem.definition.architecture.model.vocab_size);
  }
  problem.inputs.tokens = parse_tokens(arguments.model.tokens);
  problem.definition.dtype = parse_dtype(arguments.model, Dtype::f32);
  validate(problem.definition);
  problem.parameters = load_parameters(arguments.model.checkpoint, problem.definition.architecture);
  const std::int64_t length = problem.inputs.tokens->shape()[1];

  const Trace trace = make_backend(arguments.backend, {.worker = arguments.worker})->run(problem, {});
  const Tensor<std::int64_t> tokens = trace.at("tokens").to_int64();
  for (std::int64_t i = length; i < tokens.size(); ++i) std::cout << (i == length ? "" : ",") << tokens[i];
  std::cout << "\n";
  return kAllMatch;
}

}  // namespace

void add_generate(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      add_command(app, "generate",
                  "Continue a prompt with the KV cache, greedily or by sampling, and print the new tokens",
                  "forgecheck generate --checkpoint model/ --tokens 1,2,3 -n 32");
  auto arguments = std::make_shared<GenerateArguments>();
  add_checkpoint_options(*command, arguments->model, "float32");
  for (const char* needed : {"--checkpoint", "--tokens"}) command->get_option(needed)->required();
  command->add_option("-n,--max-new-tokens", arguments->options.max_new_tokens, "How many tokens to add")
      ->required();
  command->add_option("--temperature", arguments->options.sampling.temperature, "0 (the default) is greedy");
  command->add_option("--top-k", arguments->options.sampling.top_k,
                      "Draw from the k largest logits (0, the default: all)");
  command->add_option("--top-p", arguments->options.sampling.top_p,
                      "Draw from the most likely tokens whose probabilities reach this sum (default 1)");
  command->add_option("--seed", arguments->seed, "Seed of the draws (default 0)");
  command->add_option("--eos-token-id", arguments->eos_token_id, "Stop at this token");
  command->add_option("--backend", arguments->backend, "Backend (default: reference)");
  add_worker_options(*command, arguments->worker);
  command->callback(
      [arguments, &invocation] { invocation.action = [arguments] { return generate_tokens(*arguments); }; });
}

}  // namespace forgecheck

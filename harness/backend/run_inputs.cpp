#include "harness/backend/run_inputs.h"

#include "harness/case/seeded.h"
#include "reference/error.h"

namespace forgecheck {

std::string unsupported_run(RunKind run) {
  switch (run) {
    case RunKind::forward:
    case RunKind::decode:
    case RunKind::loss:
    case RunKind::generate:
      return "";
    case RunKind::gradients:
      return "gradients are not supported yet";
  }
  throw_not_an_enumerator("case.run", run);
}

Inputs stored_inputs(const Problem& problem) {
  Inputs inputs = problem.inputs;
  inputs.output_slice = problem.definition.output_slice;
  Inputs::visit(inputs, [&](const std::string&, std::optional<Array>& array) {
    if (array && is_floating_point(array->dtype())) array = array->cast(problem.definition.dtype);
  });
  for (auto& [key, noise] : inputs.gumbel) noise = noise.cast(problem.definition.dtype);
  return inputs;
}

ForwardOptions forward_options(const Case& definition) {
  ForwardOptions options;
  options.training = definition.train;
  options.moe_step = definition.moe_step.value_or(MoeStep{});
  options.mot_moe_totals = definition.mot_moe_totals;
  return options;
}

GenerateOptions greedy_options(const Case& definition) {
  GenerateOptions options;
  options.max_new_tokens = definition.greedy_new_tokens;
  return options;
}

const Array& required(const std::optional<Array>& array, const std::string& name) {
  if (!array) throw ShapeError("[run] the input " + name + " is missing");
  return *array;
}

Tensor<std::int64_t> greedy_prompt(const Inputs& inputs, std::int64_t count) {
  const Tensor<std::int64_t> tokens = required(inputs.tokens, "tokens").to_int64();
  if (count > tokens.dim(1)) {
    throw ConfigError("case.greedy_from = " + std::to_string(count) + ": there are " +
                      std::to_string(tokens.dim(1)) + " tokens");
  }
  Tensor<std::int64_t> head({tokens.dim(0), count});
  for (std::int64_t i = 0; i < head.size(); ++i) head[i] = tokens[i / count * tokens.dim(1) + i % count];
  return head;
}

std::function<double()> sampling_draws(std::uint64_t seed) {
  return [position = seeded_key("sampling", seed)]() mutable {
    return static_cast<double>(splitmix64(position++) >> 11) * 0x1p-53;
  };
}

}  // namespace forgecheck

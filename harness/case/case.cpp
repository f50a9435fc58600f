#include "harness/case/case.h"

#include <algorithm>
#include <cmath>

#include "reference/error.h"

namespace forgecheck {

namespace {

[[noreturn]] void refuse(const std::string& field, std::int64_t value, const std::string& rule) {
  throw ConfigError("case." + field + " = " + std::to_string(value) + ": " + rule);
}

void validate_run(const Case& value) {
  const bool text_only = !value.architecture.vlm.has_value();
  if (value.run == RunKind::decode || value.run == RunKind::generate) {
    if (!text_only) {
      throw ConfigError("case.run = " + to_string(value.run) +
                        ": decoding exists for text models only, not for " +
                        to_string(value.architecture.vlm->arch));
    }
    if (value.output_slice) throw ConfigError("case.output_slice: cannot be combined with a KV cache");
    if (value.train) throw ConfigError("case.mode = train: decoding runs in eval mode");
  }
  if (value.run == RunKind::decode && value.chunks.empty())
    throw ConfigError("case.chunks: decode needs them");
  for (const std::int64_t chunk : value.chunks) {
    if (chunk <= 0) refuse("chunks", chunk, "must be positive");
  }
  if (value.generate.max_new_tokens < 0) {
    refuse("generate.max_new_tokens", value.generate.max_new_tokens, "must not be negative");
  }
  validate(value.generate.sampling);
  if (value.loss.chunk_size <= 0) refuse("loss.chunk_size", value.loss.chunk_size, "must be positive");
  if (!(value.loss.z_loss_weight >= 0 && std::isfinite(value.loss.z_loss_weight))) {
    throw ConfigError("case.loss.z_loss_weight = " + std::to_string(value.loss.z_loss_weight) +
                      ": must be finite and not negative");
  }
}

}  // namespace

std::string to_string(RunKind run) {
  switch (run) {
    case RunKind::forward:
      return "forward";
    case RunKind::decode:
      return "decode";
    case RunKind::loss:
      return "loss";
    case RunKind::gradients:
      return "gradients";
    case RunKind::generate:
      return "generate";
  }
  return "forward";
}

void validate(const Case& value) {
  validate(value.architecture);
  validate_run(value);
  const std::int64_t n_layers = value.architecture.model.n_layers;
  if (value.stages < 0 || value.stages > n_layers) {
    refuse("stages", value.stages, "must be in 0 .. n_layers = " + std::to_string(n_layers));
  }
  if (value.stages > 0 && value.architecture.vlm) {
    refuse("stages", value.stages, "pipeline stages exist for text models only");
  }
  if (value.moe_step && (value.moe_step->step < 0 || value.moe_step->max_steps < 0)) {
    refuse("moe_step", std::min(value.moe_step->step, value.moe_step->max_steps), "must not be negative");
  }
  if (value.greedy_from < 0) refuse("greedy_from", value.greedy_from, "must not be negative");
  if (value.greedy_new_tokens < 0) refuse("greedy_from", value.greedy_new_tokens, "must not be negative");
}

}  // namespace forgecheck

#include "harness/case/case.h"

#include <algorithm>
#include <cmath>

#include "reference/error.h"

namespace forgecheck {

namespace {

[[noreturn]] void refuse(const std::string& field, std::int64_t value, const std::string& rule) {
  throw ConfigError("case." + field + " = " + std::to_string(value) + ": " + rule);
}

/// Decoding keeps a cache: of a text model, in eval mode, with all positions.
void validate_decoding(const Case& value) {
  if (value.architecture.vlm) {
    throw ConfigError("case.run = " + to_string(value.run) +
                      ": decoding exists for text models only, not for " +
                      to_string(value.architecture.vlm->arch));
  }
  if (value.output_slice) throw ConfigError("case.output_slice: cannot be combined with a KV cache");
  if (value.train) throw ConfigError("case.mode = train: decoding runs in eval mode");
}

void validate_kind(const Case& value) {
  switch (value.run) {
    case RunKind::decode:
      validate_decoding(value);
      if (value.chunks.empty()) throw ConfigError("case.chunks: decode needs them");
      return;
    case RunKind::generate:
      return validate_decoding(value);
    case RunKind::forward:
    case RunKind::loss:
    case RunKind::gradients:
      return;
  }
  throw_not_an_enumerator("case.run", value.run);
}

void validate_run(const Case& value) {
  validate_kind(value);
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

static_assert(is_complete<kRunKinds>());

std::string to_string(RunKind run) {
  return std::string(name_of(kRunKinds, "case.run", run));
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

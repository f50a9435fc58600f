// The options of a run, as plain values that the reference, the GPU backend and a case share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "reference/arithmetic.h"
#include "reference/enum_table.h"

namespace forgecheck {

/// The training step that the bias schedule of the sigmoid router reads.
struct MoeStep {
  std::int64_t step = 0;
  std::int64_t max_steps = 1;
};

struct ForwardOptions {
  bool training = false;
  MoeStep moe_step;
  /// Report the losses of MoE layers inside mot at model level as well. Upstream does not (divergence D2).
  bool mot_moe_totals = false;
  /// For the reference only; the GPU backend has its own arithmetic.
  Arithmetic arithmetic;
};

enum class LossKind { cross_entropy, chunked_cross_entropy };

inline constexpr Named<LossKind> kLossKinds[] = {
    {LossKind::cross_entropy, "cross_entropy"},
    {LossKind::chunked_cross_entropy, "chunked_cross_entropy"},
};

std::string to_string(LossKind kind);

struct LossOptions {
  LossKind kind = LossKind::cross_entropy;
  std::int64_t chunk_size = 4096;  // rows per chunk of chunked_cross_entropy
  double z_loss_weight = 0.0;
};

struct SamplingOptions {
  double temperature = 0.0;  // 0: greedy
  std::int64_t top_k = 0;    // 0: off
  double top_p = 1.0;        // 1: off

  bool greedy() const { return temperature == 0.0; }
};

struct GenerateOptions {
  std::int64_t max_new_tokens = 0;
  std::optional<std::int64_t> eos_token_id;
  SamplingOptions sampling;
};

/// Throws ConfigError naming the field: temperature < 0, top_k < 0, top_p outside (0, 1].
void validate(const SamplingOptions& options);

}  // namespace forgecheck

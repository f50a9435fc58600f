// The forward call of every architecture. Source: Transformer in kempnerforge/model/transformer.py.
#pragma once

#include "reference/inputs.h"
#include "reference/models/run.h"

namespace forgecheck {

/// One cache per layer, (B, K, max_positions, d), empty.
template <class T>
std::vector<KvCache<T>> make_kv_caches(const ModelConfig& model, std::int64_t batch,
                                       std::int64_t max_positions);

/// Logits (B, S or sliced, V) and the routers' losses, summed over the layers (0 for a dense model).
template <class T>
struct ForwardResult {
  Tensor<T> logits;
  compute_t<T> aux_loss = 0;
  compute_t<T> z_loss = 0;
};

/// One forward call; every tap goes to `tracer`, then the model-level "aux_loss" and "z_loss", and the
/// routers' state. If caches are given, the tokens are appended to them. Training mode updates the routers'
/// state in `weights`. Throws ShapeError on inputs that break a rule, before any arithmetic.
template <class T>
ForwardResult<T> forward(const Architecture& architecture, Weights<T>& weights, const Inputs& inputs,
                         const ForwardOptions& options, Tracer& tracer,
                         std::vector<KvCache<T>>* caches = nullptr);

/// The layers [begin, end) of each of `stages` pipeline stages: numbers of layers as equal as possible,
/// earlier stages one more. Throws ConfigError unless 1 <= stages <= n_layers.
std::vector<std::pair<std::int64_t, std::int64_t>> partition_layers(std::int64_t n_layers,
                                                                    std::int64_t stages);

/// Logits (B, S, V) of a dense or MoE text model split into pipeline stages that pass on hidden states: the
/// first has the embedding, the last the final norm and the head. Equal to forward() bit for bit. Taps
/// nothing; follows the choices that `tracer` forces.
template <class T>
Tensor<T> forward_staged(const Architecture& architecture, Weights<T>& weights, const Inputs& inputs,
                         const ForwardOptions& options, std::int64_t stages, const Tracer& tracer);

}  // namespace forgecheck

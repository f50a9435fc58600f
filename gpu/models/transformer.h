// The forward call of every architecture. Source: Transformer in kempnerforge/model/transformer.py.
#pragma once

#include "gpu/models/run.h"
#include "reference/inputs.h"

namespace forgecheck::gpu {

/// One cache per layer, (B, K, max_positions, d), empty.
template <class T>
std::vector<KvCache<T>> make_kv_caches(Device& device, const ModelConfig& model, std::int64_t batch,
                                       std::int64_t max_positions);

/// Logits (B, S or sliced, V) and the routers' losses, summed over the layers (0 for a dense model).
template <class T>
struct ForwardResult {
  DeviceTensor<T> logits;
  DeviceTensor<float> aux_loss, z_loss;
};

/// One forward call; taps modules in the order of execution, then "logits", "aux_loss", "z_loss" and the
/// sigmoid routers' state. If caches are given, the tokens are appended to them. Training mode updates the
/// routers' state in `weights`. Throws ShapeError on inputs that break a rule, before anything is computed.
template <class T>
ForwardResult<T> forward(Device& device, const Architecture& architecture, const DeviceWeights<T>& weights,
                         const Inputs& inputs, const ForwardOptions& options, Recorder& recorder,
                         std::vector<KvCache<T>>* caches = nullptr);

/// Logits (B, S, V) of a dense or MoE text model split into `stages` pipeline stages with numbers of layers
/// as equal as possible; earlier stages have one more. Hidden states pass between stages through the host.
/// Taps nothing. Throws ConfigError unless 1 <= stages <= n_layers and the model is a text model.
template <class T>
DeviceTensor<T> forward_staged(Device& device, const Architecture& architecture,
                               const DeviceWeights<T>& weights, const Inputs& inputs,
                               const ForwardOptions& options, std::int64_t stages);

}  // namespace forgecheck::gpu

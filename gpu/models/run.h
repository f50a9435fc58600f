// What every block of one forward call on the device shares.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "gpu/ops/rope.h"
#include "gpu/runtime/recorder.h"
#include "reference/config.h"
#include "reference/options.h"
#include "reference/weights.h"

namespace forgecheck::gpu {

/// A model's weights on the device, by their upstream names. Training updates the routers' state among them.
template <class T>
class DeviceWeights {
 public:
  /// Rounds every tensor to T.
  DeviceWeights(Device& device, const ParameterTable& table);
  /// Throws ShapeError naming the parameter if it is missing.
  const DeviceTensor<T>& at(const std::string& name) const;
  const std::map<std::string, DeviceTensor<T>>& all() const { return tensors_; }

 private:
  std::map<std::string, DeviceTensor<T>> tensors_;
};

/// Keys and values of one layer: (B, K, max, d), filled up to seq_len. Keys are stored after RoPE, before
/// key-value heads are repeated. Source: KVCache in kempnerforge/model/attention.py.
template <class T>
struct KvCache {
  DeviceTensor<T> k, v;
  std::int64_t seq_len = 0;
};

/// What layers read besides the residual stream; null if not given.
template <class T>
struct LayerInputs {
  DeviceTensor<std::int64_t> doc_ids;           // (B, S)
  DeviceTensor<std::uint8_t> key_padding_mask;  // (B, S)
  DeviceTensor<T> image_features;               // (B, N, D)
  DeviceTensor<std::uint8_t> image_mask;        // (B, N)
  /// moma: for each modality, its unpadded rows of the flattened residual (B * S).
  std::vector<DeviceTensor<std::int64_t>> positions;
  std::map<std::string, DeviceTensor<T>> gumbel;  // "layers.{i}.{m}": (unpadded tokens, experts)
};

template <class T>
struct Run {
  Device& device;
  const Architecture& architecture;
  const DeviceWeights<T>& weights;
  Recorder& recorder;
  const ForwardOptions& options;
  RopeTable<T> rope;
  LayerInputs<T> inputs;
  /// Sums over the layers' routers, as scalars on the device.
  DeviceTensor<float> aux_loss, z_loss;

  const ModelConfig& model() const { return architecture.model; }

  /// x (..., in) through the linear module `name`.
  DeviceTensor<T> linear(const std::string& name, const DeviceTensor<T>& x) const;
  /// The same with the module's bias.
  DeviceTensor<T> biased_linear(const std::string& name, const DeviceTensor<T>& x) const;
  /// linear(), tapped under the module's name.
  DeviceTensor<T> tapped_linear(const std::string& name, const DeviceTensor<T>& x) const;
  /// x through the norm module `name` of the configured type; tapped under that name.
  DeviceTensor<T> norm(const std::string& name, const DeviceTensor<T>& x, double eps) const;

 private:
  DeviceTensor<T> normalised(const std::string& name, const DeviceTensor<T>& x, double eps) const;
};

}  // namespace forgecheck::gpu

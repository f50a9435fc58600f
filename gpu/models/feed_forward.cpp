#include "gpu/models/feed_forward.h"

#include "gpu/models/instantiate.h"
#include "gpu/ops/activation.h"
#include "gpu/ops/linear.h"
#include "gpu/ops/moe.h"

namespace forgecheck::gpu {

template <class T>
DeviceTensor<T> mlp(Run<T>& run, const std::string& name, const DeviceTensor<T>& x) {
  const Activation activation = run.model().activation;
  DeviceTensor<T> hidden;
  if (is_swiglu(activation)) {
    const DeviceTensor<T> gate = run.tapped_linear(name + ".gate_proj", x);
    hidden = swiglu(run.device, gate, run.tapped_linear(name + ".up_proj", x));
  } else {
    hidden = activate(run.device, run.tapped_linear(name + ".up_proj", x), activation);
  }
  run.recorder.tap(name + ".hidden", hidden);
  const DeviceTensor<T> out = run.linear(name + ".down_proj", hidden);
  run.recorder.tap(name, out);
  return out;
}

template <class T>
DeviceTensor<T> experts(Run<T>& run, const std::string& name, const DeviceTensor<T>& x,
                        const std::vector<std::int64_t>& offsets, bool packed) {
  const auto project = [&](const std::string& projection, const DeviceTensor<T>& input) {
    if (packed) {
      return grouped_linear(run.device, input, run.weights.at(name + "." + projection + "_w"), offsets);
    }
    std::vector<DeviceTensor<T>> weights;
    for (std::int64_t e = 0; e + 1 < std::ssize(offsets); ++e) {
      weights.push_back(
          run.weights.at(name + ".experts." + std::to_string(e) + "." + projection + "_proj.weight"));
    }
    return grouped_linear(run.device, input, weights, offsets);
  };
  const Activation activation = run.model().activation;
  const DeviceTensor<T> up = project("up", x);
  return project("down", is_swiglu(activation) ? swiglu(run.device, project("gate", x), up)
                                               : activate(run.device, up, activation));
}

FORGECHECK_INSTANTIATE_GPU(mlp);
FORGECHECK_INSTANTIATE_GPU(experts);

}  // namespace forgecheck::gpu

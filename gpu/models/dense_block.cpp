#include "gpu/models/blocks.h"
#include "gpu/models/feed_forward.h"
#include "gpu/models/instantiate.h"
#include "gpu/models/self_attention.h"
#include "gpu/ops/linear.h"

namespace forgecheck::gpu {

template <class T>
DeviceTensor<T> dense_block(Run<T>& run, std::int64_t layer, const DeviceTensor<T>& x, KvCache<T>* cache) {
  const ModelConfig& model = run.model();
  const std::string name = "layers." + std::to_string(layer);
  // 1. attention
  const DeviceTensor<T> attention_input = run.norm(name + ".attention_norm", x, model.norm_eps);
  const DeviceTensor<T> middle =
      add(run.device, x, self_attention(run, name + ".attention", attention_input, cache));
  // 2. feed-forward
  const DeviceTensor<T> mlp_input = run.norm(name + ".mlp_norm", middle, model.norm_eps);
  const DeviceTensor<T> fed = model.is_moe_layer(layer) ? moe(run, name + ".mlp", mlp_input, true)
                                                        : mlp(run, name + ".mlp", mlp_input);
  const DeviceTensor<T> out = add(run.device, middle, fed);
  run.recorder.tap(name, out);
  return out;
}

FORGECHECK_INSTANTIATE_GPU(dense_block);

}  // namespace forgecheck::gpu

#include "gpu/models/blocks.h"
#include "gpu/models/feed_forward.h"
#include "gpu/models/instantiate.h"
#include "gpu/ops/attention.h"
#include "gpu/ops/linear.h"

namespace forgecheck::gpu {

namespace {

/// Queries from the text x (B, S, D), keys and values from the images.
template <class T>
DeviceTensor<T> cross_attention(Run<T>& run, const std::string& name, const DeviceTensor<T>& x) {
  const VlmConfig& vlm = *run.architecture.vlm;
  const std::int64_t heads = vlm.resolved_heads(run.model()), head_dim = run.model().dim / heads;
  const auto project = [&](const char* projection, const DeviceTensor<T>& input, std::int64_t count) {
    return run.tapped_linear(name + projection, input)
        .reshaped({input.dim(0), input.dim(1), count, head_dim});
  };
  const DeviceTensor<T>& images = run.inputs.image_features;
  const DeviceTensor<T> q = project(".q_proj", x, heads);
  const DeviceTensor<T> k = project(".k_proj", images, vlm.resolved_kv_heads(run.model()));
  const DeviceTensor<T> v = project(".v_proj", images, vlm.resolved_kv_heads(run.model()));
  const Visibility every_image{false, 0, nullptr, run.inputs.image_mask.get()};
  const DeviceTensor<T> context = attention(run.device, q, key_values(k, v), every_image);
  run.recorder.tap(name + ".context", context);
  const DeviceTensor<T> out = run.linear(name + ".o_proj", context);
  run.recorder.tap(name, out);
  return out;
}

}  // namespace

template <class T>
DeviceTensor<T> cross_attention_block(Run<T>& run, std::int64_t index, const DeviceTensor<T>& x) {
  constexpr double kEps = 1e-5;  // regardless of norm_eps
  const std::string name = "cross_attention_layers." + std::to_string(index);
  const DeviceTensor<T> attended =
      cross_attention(run, name + ".attn", run.norm(name + ".attn_norm", x, kEps));
  const DeviceTensor<T> middle = add(run.device, x, attended);
  const DeviceTensor<T> fed = mlp(run, name + ".mlp", run.norm(name + ".mlp_norm", middle, kEps));
  const DeviceTensor<T> out = add(run.device, middle, fed);
  run.recorder.tap(name, out);
  return out;
}

FORGECHECK_INSTANTIATE_GPU(cross_attention_block);

}  // namespace forgecheck::gpu

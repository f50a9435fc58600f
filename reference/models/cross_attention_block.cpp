#include "reference/instantiate.h"
#include "reference/models/blocks.h"
#include "reference/models/feed_forward.h"
#include "reference/ops/linear.h"

namespace forgecheck {

namespace {

/// Queries from the text x (B, S, D), keys and values from the images (B, N, D).
template <class T>
Tensor<T> cross_attention(Run<T>& run, const std::string& name, const Tensor<T>& x,
                          const Tensor<T>& image_features, const Tensor<std::int64_t>* image_mask) {
  const VlmConfig& vlm = *run.architecture.vlm;
  const std::int64_t batch = x.dim(0), length = x.dim(1), images = image_features.dim(1);
  const std::int64_t heads = vlm.resolved_heads(run.model()), kv_heads = vlm.resolved_kv_heads(run.model());
  const std::int64_t head_dim = run.model().dim / heads;

  const auto project = [&](const std::string& module, const Tensor<T>& from) {
    return run.tapped_linear(name + module, from, name + module);
  };
  Tensor<T> q = project(".q_proj", x), k = project(".k_proj", image_features),
            v = project(".v_proj", image_features);

  const Tensor<T> context =
      run.tapped_attention(std::move(q).reshaped({batch, length, heads, head_dim}),
                           std::move(k).reshaped({batch, images, kv_heads, head_dim}),
                           std::move(v).reshaped({batch, images, kv_heads, head_dim}),
                           cross_mask(batch, length, images, image_mask), name + ".context");
  return run.tapped_linear(name + ".o_proj", context, name);
}

}  // namespace

template <class T>
Tensor<T> cross_attention_block(Run<T>& run, std::int64_t index, const Tensor<T>& x,
                                const Tensor<T>& image_features, const Tensor<std::int64_t>* image_mask) {
  constexpr double kEps = 1e-5;  // regardless of norm_eps
  const std::string name = "cross_attention_layers." + std::to_string(index);
  const Tensor<T> attended = cross_attention(run, name + ".attn", run.norm(name + ".attn_norm", x, kEps),
                                             image_features, image_mask);
  const Tensor<T> middle = add(x, attended);
  Tensor<T> out = add(middle, mlp(run, name + ".mlp", run.norm(name + ".mlp_norm", middle, kEps)));
  run.tracer.tap(name, out);
  return out;
}

FORGECHECK_INSTANTIATE(cross_attention_block);

}  // namespace forgecheck

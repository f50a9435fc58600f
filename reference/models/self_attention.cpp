#include "reference/models/self_attention.h"

#include <algorithm>

#include "reference/error.h"
#include "reference/instantiate.h"
#include "reference/ops/norm.h"

namespace forgecheck {

template <class T>
QueryKeyValue<T> project_qkv(Run<T>& run, const std::string& prefix, const std::string& suffix,
                             const Tensor<T>& x, std::int64_t first_position) {
  const ModelConfig& model = run.model();
  const std::int64_t batch = x.dim(0), length = x.dim(1), head_dim = model.computed_head_dim();

  // 1. projections
  const auto project = [&](const char* module) {
    const std::string name = prefix + module + suffix;
    return run.tapped_linear(name, x, name, model.qkv_bias);
  };
  Tensor<T> q = project("q_proj");
  Tensor<T> k = project("k_proj");
  Tensor<T> v = project("v_proj");
  q = std::move(q).reshaped({batch, length, model.n_heads, head_dim});
  k = std::move(k).reshaped({batch, length, model.kv_heads(), head_dim});
  v = std::move(v).reshaped({batch, length, model.kv_heads(), head_dim});

  // 2. QK-norm over each head
  if (model.qk_norm) {
    q = rms_norm(q, run.weight(prefix + "q_norm" + suffix), model.qk_norm_eps, run.options.arithmetic);
    run.tracer.tap(prefix + "q_norm" + suffix, q);
    k = rms_norm(k, run.weight(prefix + "k_norm" + suffix), model.qk_norm_eps, run.options.arithmetic);
    run.tracer.tap(prefix + "k_norm" + suffix, k);
  }

  // 3. positions
  q = apply_rope(q, run.rope, first_position);
  k = apply_rope(k, run.rope, first_position);
  return {std::move(q), std::move(k), std::move(v)};
}

template <class T>
Tensor<T> self_attention(Run<T>& run, const std::string& name, const Tensor<T>& x,
                         const Tensor<std::int64_t>* doc_ids, const Tensor<std::int64_t>* key_padding_mask,
                         KvCache<T>* cache) {
  const std::int64_t first_position = cache == nullptr ? 0 : cache->seq_len;
  QueryKeyValue<T> qkv = project_qkv(run, name + ".", "", x, first_position);
  if (cache != nullptr) {
    append(*cache, qkv.k, qkv.v);
    qkv.k = swap_middle(filled(cache->k, cache->seq_len));
    qkv.v = swap_middle(filled(cache->v, cache->seq_len));
  }
  const AttentionMask mask = causal_mask(x.dim(0), x.dim(1), qkv.k.dim(1), first_position, doc_ids,
                                         key_padding_mask, run.model().sliding_window);
  const Tensor<T> context = run.tapped_attention(qkv.q, qkv.k, qkv.v, mask, name + ".context");
  return run.tapped_linear(name + ".o_proj", context, name);
}

template <class T>
void append(KvCache<T>& cache, const Tensor<T>& k, const Tensor<T>& v) {
  const std::int64_t batch = k.dim(0), length = k.dim(1), kv_heads = k.dim(2);
  const std::int64_t capacity = cache.k.dim(2);
  if (cache.seq_len + length > capacity) {
    throw ShapeError("[kv_cache] " + std::to_string(length) + " more positions do not fit: " +
                     std::to_string(cache.seq_len) + " of " + std::to_string(capacity) + " are filled");
  }
  require_shape("[kv_cache] keys", {batch, kv_heads}, {cache.k.dim(0), cache.k.dim(1)});
  for (std::int64_t r = 0; r < k.rows(); ++r) {
    const std::int64_t head = r % kv_heads, position = r / kv_heads % length, b = r / kv_heads / length;
    const std::int64_t slot = (b * kv_heads + head) * capacity + cache.seq_len + position;
    std::ranges::copy(k.row(r), cache.k.row(slot).begin());
    std::ranges::copy(v.row(r), cache.v.row(slot).begin());
  }
  cache.seq_len += length;
}

template <class T>
Tensor<T> filled(const Tensor<T>& cached, std::int64_t seq_len) {
  const std::int64_t capacity = cached.dim(2);
  Tensor<T> out({cached.dim(0), cached.dim(1), seq_len, cached.dim(3)});
  for (std::int64_t r = 0; r < out.rows(); ++r) {
    std::ranges::copy(cached.row(r / seq_len * capacity + r % seq_len), out.row(r).begin());
  }
  return out;
}

template <class T>
Tensor<T> swap_middle(const Tensor<T>& x) {
  const std::int64_t outer = x.dim(1), inner = x.dim(2);
  Tensor<T> out({x.dim(0), inner, outer, x.dim(3)});
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    const std::int64_t i = r % inner, o = r / inner % outer, b = r / inner / outer;
    std::ranges::copy(x.row(r), out.row((b * inner + i) * outer + o).begin());
  }
  return out;
}

FORGECHECK_INSTANTIATE(project_qkv);
FORGECHECK_INSTANTIATE(self_attention);
FORGECHECK_INSTANTIATE(append);
FORGECHECK_INSTANTIATE(filled);
FORGECHECK_INSTANTIATE(swap_middle);

}  // namespace forgecheck

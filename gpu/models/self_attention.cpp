#include "gpu/models/self_attention.h"

#include "gpu/models/instantiate.h"
#include "gpu/ops/attention.h"
#include "gpu/ops/decode_attention.h"
#include "gpu/ops/kv_cache.h"
#include "gpu/ops/norm.h"

namespace forgecheck::gpu {

namespace {

/// Appends k and v to the cache; then the new positions, those of q, attend to all of it.
template <class T>
DeviceTensor<T> attend_to_cache(Run<T>& run, const Heads<T>& heads, KvCache<T>& cache) {
  append_to_cache(run.device, cache.k, cache.v, heads.k, heads.v, cache.seq_len);
  const Visibility visibility{true, cache.seq_len, nullptr, nullptr, run.model().sliding_window};
  cache.seq_len += heads.q.dim(1);
  const KeyValues<T> all = key_values_of_cache(cache.k, cache.v, cache.seq_len);
  return heads.q.dim(1) == 1 ? decode_attention(run.device, heads.q, all, visibility)
                             : attention(run.device, heads.q, all, visibility);
}

}  // namespace

template <class T>
Heads<T> project_heads(Run<T>& run, const std::string& prefix, const std::string& suffix,
                       const DeviceTensor<T>& x, std::int64_t first_position) {
  const ModelConfig& model = run.model();
  const auto project = [&](const char* projection, std::int64_t heads) {
    const std::string name = prefix + projection + suffix;
    const DeviceTensor<T> out = model.qkv_bias ? run.biased_linear(name, x) : run.linear(name, x);
    run.recorder.tap(name, out);
    return out.reshaped({x.dim(0), x.dim(1), heads, model.computed_head_dim()});
  };
  const auto normalised = [&](const char* norm, const DeviceTensor<T>& heads) {
    if (!model.qk_norm) return heads;
    const std::string name = prefix + norm + suffix;
    DeviceTensor<T> out = rms_norm(run.device, heads, run.weights.at(name + ".weight"), model.qk_norm_eps);
    run.recorder.tap(name, out);
    return out;
  };
  Heads<T> heads;
  // 1. projections
  heads.q = project("q_proj", model.n_heads);
  heads.k = project("k_proj", model.kv_heads());
  heads.v = project("v_proj", model.kv_heads());
  // 2. QK-norm over each head
  heads.q = normalised("q_norm", heads.q);
  heads.k = normalised("k_norm", heads.k);
  // 3. positions
  heads.q = apply_rope(run.device, heads.q, run.rope, first_position);
  heads.k = apply_rope(run.device, heads.k, run.rope, first_position);
  return heads;
}

template <class T>
DeviceTensor<T> self_attention(Run<T>& run, const std::string& name, const DeviceTensor<T>& x,
                               KvCache<T>* cache) {
  const Heads<T> heads = project_heads(run, name + ".", "", x, cache == nullptr ? 0 : cache->seq_len);
  const Visibility visibility{true, 0, run.inputs.doc_ids.get(), run.inputs.key_padding_mask.get(),
                              run.model().sliding_window};
  const DeviceTensor<T> context =
      cache == nullptr ? attention(run.device, heads.q, key_values(heads.k, heads.v), visibility)
                       : attend_to_cache(run, heads, *cache);
  run.recorder.tap(name + ".context", context);
  const DeviceTensor<T> out = run.linear(name + ".o_proj", context);
  run.recorder.tap(name, out);
  return out;
}

FORGECHECK_INSTANTIATE_GPU(project_heads);
FORGECHECK_INSTANTIATE_GPU(self_attention);

}  // namespace forgecheck::gpu

// The attention module of a dense block. Source: Attention in kempnerforge/model/attention.py.
#pragma once

#include "reference/models/run.h"

namespace forgecheck {

/// Queries, keys and values of one stream: (B, S, H, d), (B, S, K, d), (B, S, K, d), rotated.
template <class T>
struct QueryKeyValue {
  Tensor<T> q;
  Tensor<T> k;
  Tensor<T> v;
};

/// Projections, QK-norm (eps model.qk_norm_eps, before RoPE) and RoPE of x (B, S, D). Module names are
/// `prefix` + "q_proj" + `suffix` and so on; MoT names a modality in the suffix (".image").
template <class T>
QueryKeyValue<T> project_qkv(Run<T>& run, const std::string& prefix, const std::string& suffix,
                             const Tensor<T>& x, std::int64_t first_position);

/// out (B, S, D) = o_proj(attention(...)) of x (B, S, D), taps below `name`. If `cache` is not null, the keys
/// and values of x are appended to it, and x attends to the whole cache.
template <class T>
Tensor<T> self_attention(Run<T>& run, const std::string& name, const Tensor<T>& x,
                         const Tensor<std::int64_t>* doc_ids, const Tensor<std::int64_t>* key_padding_mask,
                         KvCache<T>* cache);

/// Appends k and v (B, S, K, d) to the cache. If they do not fit, throws ShapeError and changes nothing.
template <class T>
void append(KvCache<T>& cache, const Tensor<T>& k, const Tensor<T>& v);

/// The filled part of a cache tensor (B, K, max, d): (B, K, seq_len, d).
template <class T>
Tensor<T> filled(const Tensor<T>& cached, std::int64_t seq_len);

/// Exchanges the two middle axes: (B, S, K, d) <-> (B, K, S, d).
template <class T>
Tensor<T> swap_middle(const Tensor<T>& x);

}  // namespace forgecheck

// The attention module of dense, MoE and MoMa blocks, and the parts that MoT shares.
// Source: Attention in kempnerforge/model/attention.py.
#pragma once

#include "gpu/models/run.h"

namespace forgecheck::gpu {

/// Queries (B, S, H, d), keys and values (B, S, K, d).
template <class T>
struct Heads {
  DeviceTensor<T> q, k, v;
};

/// Projects x (B, S, D), normalises each head (qk_norm), and rotates position s as first_position + s. Module
/// names are `prefix` + "q_proj" + `suffix` and so on.
template <class T>
Heads<T> project_heads(Run<T>& run, const std::string& prefix, const std::string& suffix,
                       const DeviceTensor<T>& x, std::int64_t first_position);

/// x, out (B, S, D), modules and taps below `name`: causal, within documents, without padding. If `cache` is
/// not null, the keys and values of x are appended to it, and x attends to the whole cache.
template <class T>
DeviceTensor<T> self_attention(Run<T>& run, const std::string& name, const DeviceTensor<T>& x,
                               KvCache<T>* cache);

}  // namespace forgecheck::gpu

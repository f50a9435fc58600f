// Decoding with the KV cache. Source: kempnerforge/model/generate.py.
#pragma once

#include <functional>

#include "reference/config.h"
#include "reference/options.h"
#include "reference/trace.h"
#include "reference/weights.h"

namespace forgecheck {

/// Logits (B, T, V) of tokens (B, T) in chunks of the given lengths, which add up to T, with a cache that is
/// empty at first; taps the joined "logits" and the filled part of every cache, "layers.{i}.kv_cache.{k,v}".
template <class T>
Tensor<T> decode(const Architecture& architecture, Weights<T>& weights, const Tensor<std::int64_t>& tokens,
                 const std::vector<std::int64_t>& chunks, const ForwardOptions& options, Tracer& tracer);

/// prompt (B, P) continued: (B, P + new), tapped as `tap`. Prefill, then one token at a time; stops early
/// when every row has produced eos_token_id at least once (finished rows continue until then). temperature 0
/// is greedy: each token is a decision by its logits, and a tracer that forces decisions replaces the tokens.
/// Otherwise each choice draws with uniform() in [0, 1). Throws ShapeError if
/// P + max_new_tokens > max_seq_len.
template <class T>
Tensor<std::int64_t> generate(const Architecture& architecture, Weights<T>& weights,
                              const Tensor<std::int64_t>& prompt, const GenerateOptions& generate_options,
                              const Arithmetic& arithmetic, const std::function<double()>& uniform,
                              Tracer& tracer, const std::string& tap);

}  // namespace forgecheck

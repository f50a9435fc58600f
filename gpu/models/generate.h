// Decoding with the KV cache. Source: kempnerforge/model/generate.py.
#pragma once

#include <functional>
#include <span>

#include "gpu/models/run.h"

namespace forgecheck::gpu {

/// Draws a token from the logits (V) of one row, on the host.
using DrawToken = std::function<std::int64_t(std::span<const float> logits)>;

/// Runs tokens (B, T) in chunks of the given lengths, which add up to T, with a cache that is empty at first;
/// taps the filled part of every cache, "layers.{i}.kv_cache.{k,v}", and the joined "logits" (B, T, V).
template <class T>
void decode(Device& device, const Architecture& architecture, const DeviceWeights<T>& weights,
            const Tensor<std::int64_t>& tokens, const std::vector<std::int64_t>& chunks,
            const ForwardOptions& options, Recorder& recorder);

/// prompt (B, P) continued: (B, P + new), tapped as `tap`. Prefill, then one token at a time; stops early
/// when every row has produced eos_token_id at least once (finished rows continue until then). Greedy tokens
/// are chosen on the device; if options.sampling is not greedy, `draw` chooses, called row by row in each
/// step. Throws ShapeError if P + max_new_tokens > max_seq_len.
template <class T>
Tensor<std::int64_t> generate(Device& device, const Architecture& architecture,
                              const DeviceWeights<T>& weights, const Tensor<std::int64_t>& prompt,
                              const GenerateOptions& options, const DrawToken& draw, Recorder& recorder,
                              const std::string& tap);

}  // namespace forgecheck::gpu

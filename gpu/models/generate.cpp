#include "gpu/models/generate.h"

#include <algorithm>
#include <numeric>

#include "gpu/models/instantiate.h"
#include "gpu/models/transformer.h"
#include "gpu/ops/embedding.h"
#include "gpu/ops/kv_cache.h"
#include "gpu/ops/sampling.h"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

/// Columns [begin, begin + count) of tokens (B, T).
Tensor<std::int64_t> columns(const Tensor<std::int64_t>& tokens, std::int64_t begin, std::int64_t count) {
  Tensor<std::int64_t> part({tokens.dim(0), count});
  for (std::int64_t i = 0; i < part.size(); ++i)
    part[i] = tokens[i / count * tokens.dim(1) + begin + i % count];
  return part;
}

/// Logits of the tokens, which are appended to the caches; taps nothing.
template <class T>
DeviceTensor<T> feed(Device& device, const Architecture& architecture, const DeviceWeights<T>& weights,
                     const Tensor<std::int64_t>& tokens, const ForwardOptions& options,
                     std::vector<KvCache<T>>& caches) {
  Recorder nothing(device, [](std::string_view) { return false; });
  Inputs inputs;
  inputs.tokens = Array::from(tokens);
  return forward(device, architecture, weights, inputs, options, nothing, &caches).logits;
}

void check_chunks(const std::vector<std::int64_t>& chunks, std::int64_t length) {
  const std::int64_t sum = std::accumulate(chunks.begin(), chunks.end(), std::int64_t{0});
  const bool positive = std::ranges::all_of(chunks, [](std::int64_t chunk) { return chunk > 0; });
  if (positive && sum == length) return;
  throw ConfigError("case.chunks add up to " + std::to_string(sum) + ": must be positive and add up to the " +
                    std::to_string(length) + " tokens");
}

/// One token for each row, chosen from the last position of logits (B, S, V).
template <class T>
std::vector<std::int64_t> next_tokens(Device& device, const DeviceTensor<T>& logits,
                                      const SamplingOptions& sampling, const DrawToken& draw) {
  if (sampling.greedy()) return device.download(argmax(device, logits)).to_int64().data;
  const std::int64_t length = logits.dim(1);
  const Tensor<float> last =
      device.download(slice_sequence(device, logits, length - 1, length)).template to<float>();
  std::vector<std::int64_t> tokens;
  for (std::int64_t b = 0; b < last.rows(); ++b) tokens.push_back(draw(last.row(b)));
  return tokens;
}

}  // namespace

template <class T>
void decode(Device& device, const Architecture& architecture, const DeviceWeights<T>& weights,
            const Tensor<std::int64_t>& tokens, const std::vector<std::int64_t>& chunks,
            const ForwardOptions& options, Recorder& recorder) {
  check_chunks(chunks, tokens.dim(1));
  std::vector<KvCache<T>> caches =
      make_kv_caches<T>(device, architecture.model, tokens.dim(0), tokens.dim(1));
  DeviceTensor<T> logits;
  std::int64_t begin = 0;
  for (const std::int64_t chunk : chunks) {
    const DeviceTensor<T> part =
        feed(device, architecture, weights, columns(tokens, begin, chunk), options, caches);
    logits = logits ? concat_sequence(device, logits, part) : part;
    begin += chunk;
  }
  for (std::size_t layer = 0; layer < caches.size(); ++layer) {
    const std::string name = "layers." + std::to_string(layer) + ".kv_cache.";
    recorder.tap(name + "k", filled(device, caches[layer].k, caches[layer].seq_len));
    recorder.tap(name + "v", filled(device, caches[layer].v, caches[layer].seq_len));
  }
  recorder.tap("logits", logits);
}

template <class T>
Tensor<std::int64_t> generate(Device& device, const Architecture& architecture,
                              const DeviceWeights<T>& weights, const Tensor<std::int64_t>& prompt,
                              const GenerateOptions& options, const DrawToken& draw, Recorder& recorder,
                              const std::string& tap) {
  const std::int64_t batch = prompt.dim(0), length = prompt.dim(1), new_tokens = options.max_new_tokens;
  if (new_tokens < 0 || new_tokens > architecture.model.max_seq_len - length) {
    throw ShapeError(
        "[generate] a prompt of " + std::to_string(length) + " and " + std::to_string(new_tokens) +
        " new tokens do not fit model.max_seq_len = " + std::to_string(architecture.model.max_seq_len));
  }
  std::vector<KvCache<T>> caches = make_kv_caches<T>(device, architecture.model, batch, length + new_tokens);
  // Each row has room for all its tokens; `filled_to` of them are filled.
  Tensor<std::int64_t> tokens({batch, length + new_tokens});
  for (std::int64_t b = 0; b < batch; ++b) std::ranges::copy(prompt.row(b), tokens.row(b).begin());
  std::int64_t filled_to = length;
  std::vector<bool> done(static_cast<std::size_t>(batch));
  DeviceTensor<T> logits = feed(device, architecture, weights, prompt, ForwardOptions{}, caches);
  while (filled_to < length + new_tokens) {
    // 1. choose from the last position of each row
    const std::vector<std::int64_t> next = next_tokens(device, logits, options.sampling, draw);
    for (std::size_t b = 0; b < next.size(); ++b) {
      tokens.row(static_cast<std::int64_t>(b))[static_cast<std::size_t>(filled_to)] = next[b];
      if (next[b] == options.eos_token_id) done[b] = true;
    }
    ++filled_to;
    if (std::ranges::all_of(done, [](bool row_done) { return row_done; })) break;
    // 2. feed it back
    if (filled_to < length + new_tokens) {
      logits =
          feed(device, architecture, weights, columns(tokens, filled_to - 1, 1), ForwardOptions{}, caches);
    }
  }
  Tensor<std::int64_t> out = columns(tokens, 0, filled_to);
  recorder.tap_value(tap, Array::from(out));
  return out;
}

FORGECHECK_INSTANTIATE_GPU(decode);
FORGECHECK_INSTANTIATE_GPU(generate);

}  // namespace forgecheck::gpu

#include "reference/models/generate.h"

#include <algorithm>
#include <numeric>

#include "reference/error.h"
#include "reference/instantiate.h"
#include "reference/models/self_attention.h"
#include "reference/models/transformer.h"
#include "reference/ops/embedding.h"

namespace forgecheck {

namespace {

Tensor<std::int64_t> columns(const Tensor<std::int64_t>& tokens, std::int64_t begin, std::int64_t end) {
  Tensor<std::int64_t> out({tokens.dim(0), end - begin});
  for (std::int64_t b = 0; b < tokens.dim(0); ++b) {
    std::copy(tokens.row(b).begin() + begin, tokens.row(b).begin() + end, out.row(b).begin());
  }
  return out;
}

/// Logits of the tokens, appended to the caches; nothing is tapped.
template <class T>
Tensor<T> step(const Architecture& architecture, Weights<T>& weights, const Tensor<std::int64_t>& tokens,
               const ForwardOptions& options, std::vector<KvCache<T>>& caches) {
  Tracer untapped([](std::string_view) { return false; });
  Inputs inputs;
  inputs.tokens = Array::from(tokens);
  return forward(architecture, weights, inputs, options, untapped, &caches).logits;
}

}  // namespace

template <class T>
Tensor<T> decode(const Architecture& architecture, Weights<T>& weights, const Tensor<std::int64_t>& tokens,
                 const std::vector<std::int64_t>& chunks, const ForwardOptions& options, Tracer& tracer) {
  const std::int64_t length = tokens.dim(1);
  const std::int64_t sum = std::accumulate(chunks.begin(), chunks.end(), std::int64_t{0});
  if (sum != length || std::ranges::any_of(chunks, [](std::int64_t chunk) { return chunk <= 0; })) {
    throw ConfigError("case.chunks add up to " + std::to_string(sum) +
                      ": must be positive and add up to the " + std::to_string(length) + " tokens");
  }
  std::vector<KvCache<T>> caches = make_kv_caches<T>(architecture.model, tokens.dim(0), length);
  Tensor<T> logits;
  std::int64_t begin = 0;
  for (const std::int64_t chunk : chunks) {
    Tensor<T> part = step(architecture, weights, columns(tokens, begin, begin + chunk), options, caches);
    logits = begin == 0 ? std::move(part) : concat_sequence(logits, part);
    begin += chunk;
  }
  for (std::size_t i = 0; i < caches.size(); ++i) {
    const std::string name = "layers." + std::to_string(i) + ".kv_cache.";
    Tensor<T> k = filled(caches[i].k, caches[i].seq_len), v = filled(caches[i].v, caches[i].seq_len);
    tracer.tap(name + "k", k);
    tracer.tap(name + "v", v);
  }
  tracer.tap("logits", logits);
  return logits;
}

template <class T>
Tensor<std::int64_t> generate(const Architecture& architecture, Weights<T>& weights,
                              const Tensor<std::int64_t>& prompt, const GenerateOptions& generate_options,
                              linalg::Kind kind, const std::function<double()>& uniform) {
  validate(generate_options.sampling);
  const std::int64_t batch = prompt.dim(0), new_tokens = generate_options.max_new_tokens;
  const std::int64_t total = prompt.dim(1) + new_tokens;
  if (new_tokens < 0 || total > architecture.model.max_seq_len) {
    throw ShapeError(
        "[generate] a prompt of " + std::to_string(prompt.dim(1)) + " and " + std::to_string(new_tokens) +
        " new tokens do not fit model.max_seq_len = " + std::to_string(architecture.model.max_seq_len));
  }
  ForwardOptions options;
  options.matmul = kind;
  std::vector<KvCache<T>> caches = make_kv_caches<T>(architecture.model, batch, total);
  Tensor<T> logits = step(architecture, weights, prompt, options, caches);

  std::vector<Tensor<std::int64_t>> chosen;
  std::vector<bool> done(static_cast<std::size_t>(batch));
  while (std::ssize(chosen) < new_tokens) {
    // 1. choose from the last position of each row
    Tensor<std::int64_t> next({batch, 1});
    for (std::int64_t b = 0; b < batch; ++b) {
      const std::span<const T> last = std::as_const(logits).row((b + 1) * logits.dim(1) - 1);
      next[b] = generate_options.sampling.temperature == 0.0
                    ? argmax(last)
                    : draw(sampling_probabilities(last, generate_options.sampling), uniform());
      if (generate_options.eos_token_id == next[b]) done[static_cast<std::size_t>(b)] = true;
    }
    chosen.push_back(next);
    if (std::ranges::all_of(done, [](bool row_done) { return row_done; })) break;
    // 2. feed it back
    if (std::ssize(chosen) < new_tokens) logits = step(architecture, weights, next, options, caches);
  }

  Tensor<std::int64_t> out({batch, prompt.dim(1) + std::ssize(chosen)});
  for (std::int64_t b = 0; b < batch; ++b) {
    std::ranges::copy(prompt.row(b), out.row(b).begin());
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      out.row(b)[static_cast<std::size_t>(prompt.dim(1)) + i] = chosen[i][b];
    }
  }
  return out;
}

#define INSTANTIATE(T)                                                                                  \
  template Tensor<T> decode(const Architecture&, Weights<T>&, const Tensor<std::int64_t>&,              \
                            const std::vector<std::int64_t>&, const ForwardOptions&, Tracer&);          \
  template Tensor<std::int64_t> generate(const Architecture&, Weights<T>&, const Tensor<std::int64_t>&, \
                                         const GenerateOptions&, linalg::Kind,                          \
                                         const std::function<double()>&);
FORGECHECK_FOR_EACH_FLOAT(INSTANTIATE)
#undef INSTANTIATE

}  // namespace forgecheck

#include "reference/models/generate.h"

#include <algorithm>
#include <numeric>

#include "reference/error.h"
#include "reference/instantiate.h"
#include "reference/models/self_attention.h"
#include "reference/models/transformer.h"
#include "reference/ops/embedding.h"
#include "reference/ops/sampling.h"

namespace forgecheck {

namespace {

Tensor<std::int64_t> columns(const Tensor<std::int64_t>& tokens, std::int64_t begin, std::int64_t end) {
  Tensor<std::int64_t> out({tokens.dim(0), end - begin});
  for (std::int64_t b = 0; b < tokens.dim(0); ++b) {
    std::copy(tokens.row(b).begin() + begin, tokens.row(b).begin() + end, out.row(b).begin());
  }
  return out;
}

/// Logits of the tokens, which are appended to the caches; taps nothing.
template <class T>
Tensor<T> step(const Architecture& architecture, Weights<T>& weights, const Tensor<std::int64_t>& tokens,
               const ForwardOptions& options, std::vector<KvCache<T>>& caches) {
  Tracer untapped([](std::string_view) { return false; });
  Inputs inputs;
  inputs.tokens = Array::from(tokens);
  return forward(architecture, weights, inputs, options, untapped, &caches).logits;
}

void check_generation(const ModelConfig& model, std::int64_t prompt_length, const GenerateOptions& options) {
  validate(options.sampling);
  if (options.max_new_tokens < 0 || options.max_new_tokens > model.max_seq_len - prompt_length) {
    throw ShapeError("[generate] a prompt of " + std::to_string(prompt_length) + " and " +
                     std::to_string(options.max_new_tokens) +
                     " new tokens do not fit model.max_seq_len = " + std::to_string(model.max_seq_len));
  }
}

/// Whether forced tokens are usable: int64 (batch, any length), all in the vocabulary.
bool continues(const Array& tokens, std::int64_t batch, std::int64_t vocab_size) {
  if (is_floating_point(tokens.dtype()) || tokens.shape().size() != 2 || tokens.shape()[0] != batch)
    return false;
  const Tensor<std::int64_t> values = tokens.to_int64();
  return std::ranges::all_of(values.data,
                             [&](std::int64_t token) { return 0 <= token && token < vocab_size; });
}

Tensor<std::int64_t> append_column(const Tensor<std::int64_t>& tokens, const Tensor<std::int64_t>& column) {
  Tensor<std::int64_t> out({tokens.dim(0), tokens.dim(1) + 1});
  for (std::int64_t b = 0; b < tokens.dim(0); ++b) {
    std::ranges::copy(tokens.row(b), out.row(b).begin());
    out.row(b).back() = column[b];
  }
  return out;
}

/// The tokens of a generation, by step and then by row, and how near each other token was to be chosen: its logit, or
/// where tokens are drawn its draw_scores().
struct Choices {
  std::vector<std::int64_t> chosen;
  std::vector<double> scores;

  template <class T>
  void add(std::int64_t token, std::span<const T> step_scores) {
    chosen.push_back(token);
    for (const T& score : step_scores) scores.push_back(to_double(score));
  }
  Decision decision() {
    const std::int64_t rows = std::ssize(chosen);
    const std::int64_t width = rows == 0 ? 0 : std::ssize(scores) / rows;
    return {Tensor<std::int64_t>({rows, 1}, std::move(chosen)),
            Tensor<double>({rows, width}, std::move(scores))};
  }
};

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
                              const Arithmetic& arithmetic, const std::function<double()>& uniform,
                              Tracer& tracer, const std::string& tap) {
  const std::int64_t batch = prompt.dim(0), length = prompt.dim(1),
                     new_tokens = generate_options.max_new_tokens;
  check_generation(architecture.model, length, generate_options);
  const SamplingOptions& sampling = generate_options.sampling;
  const Array* forced = tracer.forced_decision(tap);
  if (forced != nullptr && !continues(*forced, batch, architecture.model.vocab_size)) forced = nullptr;

  ForwardOptions options;
  options.arithmetic = arithmetic;
  std::vector<KvCache<T>> caches = make_kv_caches<T>(architecture.model, batch, length + new_tokens);
  Tensor<T> logits = step(architecture, weights, prompt, options, caches);
  Tensor<std::int64_t> out = prompt;
  Choices choices;
  std::vector<bool> done(static_cast<std::size_t>(batch));
  while (out.dim(1) < length + new_tokens) {
    // 1. choose from the last position of each row
    Tensor<std::int64_t> next({batch, 1});
    for (std::int64_t b = 0; b < batch; ++b) {
      const std::span<const T> last = std::as_const(logits).row((b + 1) * logits.dim(1) - 1);
      if (sampling.greedy()) {
        next[b] = argmax(last);
        choices.add(next[b], last);
      } else {
        const std::vector<double> probabilities = sampling_probabilities(last, sampling);
        const double drawn = uniform();
        next[b] = draw(probabilities, drawn);
        choices.add(next[b], std::span<const double>(draw_scores(probabilities, drawn)));
      }
      const std::int64_t position = out.dim(1);
      if (forced != nullptr && position < forced->shape()[1]) {
        next[b] = forced->int_at(b * forced->shape()[1] + position);
      }
      if (generate_options.eos_token_id == next[b]) done[static_cast<std::size_t>(b)] = true;
    }
    out = append_column(out, next);
    if (std::ranges::all_of(done, [](bool row_done) { return row_done; })) break;
    // 2. feed it back
    if (out.dim(1) < length + new_tokens) logits = step(architecture, weights, next, options, caches);
  }
  tracer.tap_value(tap, Array::from(out));
  tracer.add_decision(tap, choices.decision());
  return out;
}

FORGECHECK_INSTANTIATE(decode);
FORGECHECK_INSTANTIATE(generate);

}  // namespace forgecheck

// Helpers for the tests of the models: architectures that are small in every size, weights and inputs from a
// seed, one forward call, and the parts of a call for tests of a single module.
#pragma once

#include "harness/case/seeded.h"
#include "reference/models/transformer.h"
#include "tests/reference/ops/values.h"

namespace forgecheck {

/// D 8, 3 layers, 2 heads of 4 that share a key-value head, F 12, 11 tokens, 16 positions.
inline Architecture small_text() {
  Architecture architecture;
  ModelConfig& model = architecture.model;
  model.dim = 8;
  model.n_layers = 3;
  model.n_heads = 2;
  model.n_kv_heads = 1;
  model.vocab_size = 11;
  model.ffn_hidden_dim = 12;
  model.max_seq_len = 16;
  return architecture;
}

/// The same with 4 experts, 2 for each token, in every second layer.
inline Architecture small_moe(RouterType router = RouterType::softmax_topk) {
  Architecture architecture = small_text();
  architecture.model.num_experts = 4;
  architecture.model.moe_frequency = 2;
  architecture.model.moe_router = router;
  return architecture;
}

/// The same with images: MoT with 3 image tokens, MoMa with 2 experts per modality, cross-attention after
/// every second layer.
inline Architecture small_vlm(VlmArch arch) {
  Architecture architecture = small_text();
  VlmConfig& vlm = architecture.vlm.emplace();
  vlm.arch = arch;
  vlm.max_text_len = 8;
  vlm.cross_attention_every_n_layers = 2;
  vlm.moma_experts_per_modality = {{"image", 2}, {"text", 2}};
  architecture.num_image_tokens = arch == VlmArch::mot ? 3 : 0;
  return architecture;
}

inline ParameterTable seeded_parameters(const Architecture& architecture, std::uint64_t seed = 0) {
  ParameterTable table;
  for (const ParameterInfo& info : all_parameters(architecture)) {
    table.emplace(info.name, Array::from(seeded_parameter(info, seed)));
  }
  return table;
}

template <class T>
Weights<T> seeded_weights(const Architecture& architecture, std::uint64_t seed = 0) {
  return Weights<T>(seeded_parameters(architecture, seed), dtype_of<T>());
}

/// A floating point input of that shape, drawn from its name.
inline Array random_input(const std::string& name, const Shape& shape) {
  return Array::from(seeded_tensor(name, shape, 0, 1.5F, 0.0F));
}

inline Array integers(Shape shape, std::vector<std::int64_t> values) {
  return Array::from(Ids(std::move(shape), std::move(values)));
}

inline Inputs token_inputs(Shape shape, std::vector<std::int64_t> values) {
  Inputs inputs;
  inputs.tokens = integers(std::move(shape), std::move(values));
  return inputs;
}

template <class T>
struct Outcome {
  Tensor<T> logits;
  compute_t<T> aux_loss = 0;
  compute_t<T> z_loss = 0;
  Trace trace;

  Tensor<T> tap(const std::string& name) const { return trace.at(name).to<T>(); }
};

template <class T>
Outcome<T> run_model(const Architecture& architecture, Weights<T>& weights, const Inputs& inputs,
                     const ForwardOptions& options = {}, std::vector<KvCache<T>>* caches = nullptr) {
  Tracer tracer;
  ForwardResult<T> result = forward(architecture, weights, inputs, options, tracer, caches);
  return {std::move(result.logits), result.aux_loss, result.z_loss, tracer.take()};
}

/// The logits of position `s` of sample `b`.
template <class T>
std::vector<double> logits_at(const Tensor<T>& logits, std::int64_t b, std::int64_t s) {
  return numbers_of_row(logits, b * logits.dim(1) + s);
}

/// (n, n) with `value` on the diagonal.
template <class T = double>
Tensor<T> diagonal(std::int64_t n, double value) {
  Tensor<T> out({n, n});
  for (std::int64_t i = 0; i < n; ++i) out[i * n + i] = T(static_cast<compute_t<T>>(value));
  return out;
}

/// What one module of a forward call needs; weights are set by the test.
template <class T = double>
struct Module {
  Architecture architecture;
  Weights<T> weights;
  ForwardOptions options;
  Tracer tracer;
  RopeTable<T> rope;
  Run<T> run;

  explicit Module(Architecture of, Weights<T> with = {})
      : architecture(std::move(of)),
        weights(std::move(with)),
        rope(rope_table<T>(architecture.model.computed_head_dim(), architecture.model.max_seq_len,
                           architecture.model.rope())),
        run{architecture, weights, tracer, options, rope, {}} {}
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
};

}  // namespace forgecheck

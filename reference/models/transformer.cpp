#include "reference/models/transformer.h"

#include <algorithm>
#include <optional>

#include "reference/error.h"
#include "reference/instantiate.h"
#include "reference/models/adapter.h"
#include "reference/models/blocks.h"
#include "reference/ops/embedding.h"
#include "reference/ops/linear.h"

namespace forgecheck {

namespace {

std::optional<Tensor<std::int64_t>> integers(const std::optional<Array>& array) {
  return array ? std::optional(array->to_int64()) : std::nullopt;
}

const Tensor<std::int64_t>* pointer(const std::optional<Tensor<std::int64_t>>& tensor) {
  return tensor ? &*tensor : nullptr;
}

/// The integer inputs that layers read.
struct LayerInputs {
  std::optional<Tensor<std::int64_t>> doc_ids, key_padding_mask, image_mask, modality_ids;

  explicit LayerInputs(const Inputs& inputs)
      : doc_ids(integers(inputs.doc_ids)),
        key_padding_mask(integers(inputs.key_padding_mask)),
        image_mask(integers(inputs.image_mask)),
        modality_ids(integers(inputs.modality_ids)) {}
};

/// The residual stream (B, S, D) at the first layer: the prefix, then embedded tokens or inputs_embeds.
template <class T>
Tensor<T> embed(Run<T>& run, const Inputs& inputs) {
  if (inputs.inputs_embeds) return inputs.inputs_embeds->to<T>();
  Tensor<T> h = run.tapped_embedding(inputs.tokens->to_int64());
  return inputs.prefix_embeds ? concat_sequence(inputs.prefix_embeds->to<T>(), h) : h;
}

/// Dense and MoE layers [begin, end), each followed by its cross-attention block where one is due.
template <class T>
Tensor<T> text_layers(Run<T>& run, Tensor<T> h, std::int64_t begin, std::int64_t end, const Inputs& inputs,
                      const LayerInputs& layer_inputs, std::vector<KvCache<T>>* caches) {
  const bool cross = run.architecture.is(VlmArch::cross_attention);
  const std::int64_t cadence = cross ? run.architecture.vlm->cross_attention_every_n_layers : 1;
  const Tensor<T> image_features =
      cross && inputs.image_features ? inputs.image_features->to<T>() : Tensor<T>();
  for (std::int64_t i = begin; i < end; ++i) {
    KvCache<T>* cache = caches == nullptr ? nullptr : &caches->at(static_cast<std::size_t>(i));
    h = dense_block(run, i, h, pointer(layer_inputs.doc_ids), pointer(layer_inputs.key_padding_mask), cache);
    if (cross && (i + 1) % cadence == 0) {
      h = cross_attention_block(run, (i + 1) / cadence - 1, h, image_features,
                                pointer(layer_inputs.image_mask));
    }
  }
  return h;
}

template <class T>
Tensor<T> moma_layers(Run<T>& run, Tensor<T> h, const LayerInputs& layer_inputs) {
  for (std::int64_t i = 0; i < run.model().n_layers; ++i) {
    h = moma_block(run, i, h, *layer_inputs.modality_ids, pointer(layer_inputs.doc_ids),
                   pointer(layer_inputs.key_padding_mask));
  }
  return h;
}

/// Image prefix and text as separate streams through all layers and their final norms, then joined again,
/// image first.
template <class T>
Tensor<T> mot_layers(Run<T>& run, const Tensor<T>& h, const LayerInputs& layer_inputs) {
  const std::int64_t n_image = run.architecture.num_image_tokens;
  std::vector<Stream<T>> streams;
  for (const std::string& modality : run.architecture.vlm->mot_modalities) {
    const bool image = modality == "image";
    streams.push_back({modality, slice_sequence(h, image ? 0 : n_image, image ? n_image : h.dim(1))});
  }
  for (std::int64_t i = 0; i < run.model().n_layers; ++i) {
    mot_block(run, i, streams, pointer(layer_inputs.key_padding_mask));
  }
  for (Stream<T>& stream : streams) {
    stream.x = run.norm("mot_norms." + stream.modality, stream.x, run.model().norm_eps);
  }
  const bool image_first = streams[0].modality == "image";
  return concat_sequence(streams[image_first ? 0 : 1].x, streams[image_first ? 1 : 0].x);
}

/// Every layer, and the final norm.
template <class T>
Tensor<T> all_layers(Run<T>& run, Tensor<T> h, const Inputs& inputs, const LayerInputs& layer_inputs,
                     std::vector<KvCache<T>>* caches) {
  const auto normalised = [&run](const Tensor<T>& x) { return run.norm("norm", x, run.model().norm_eps); };
  const auto text = [&] {
    return text_layers(run, std::move(h), 0, run.model().n_layers, inputs, layer_inputs, caches);
  };
  if (!run.architecture.vlm) return normalised(text());
  switch (run.architecture.vlm->arch) {
    case VlmArch::joint_decoder:
    case VlmArch::cross_attention:
      return normalised(text());
    case VlmArch::mot:
      return mot_layers(run, h, layer_inputs);
    case VlmArch::moma:
      return normalised(moma_layers(run, std::move(h), layer_inputs));
  }
  throw_not_an_enumerator("vlm.arch", run.architecture.vlm->arch);
}

template <class T>
Tensor<T> output_head(Run<T>& run, const Tensor<T>& h) {
  const char* const module = run.model().tie_embeddings ? "token_embedding.embedding" : "output_head.proj";
  return run.tapped_linear(module, h, "logits");
}

/// C is the computing type. A forced value is carried forward into the loss.
template <class C>
void tap_scalar(Tracer& tracer, const std::string& name, C& value) {
  Tensor<C> scalar(Shape{}, {value});
  tracer.tap(name, scalar);
  value = scalar[0];
}

/// The sigmoid routers' bias and moving average after the run.
template <class T>
void tap_router_state(Run<T>& run) {
  const std::string_view ema = "expert_ema";
  for (const std::string& name : run.weights.names()) {
    if (!name.ends_with(ema)) continue;
    const std::string router = name.substr(0, name.size() - ema.size());
    Tensor<T> average = run.weights.at(name), bias = run.weights.at(router + "expert_bias");
    run.tracer.tap(name, average);
    run.tracer.tap(router + "expert_bias", bias);
  }
}

template <class T>
Run<T> make_run(const Architecture& architecture, Weights<T>& weights, const Inputs& inputs,
                const ForwardOptions& options, Tracer& tracer, const RopeTable<T>& rope) {
  Run<T> run{architecture, weights, tracer, options, rope, {}};
  for (const auto& [key, noise] : inputs.gumbel) run.gumbel.emplace(key, noise.template to<T>());
  return run;
}

/// Tables for the `cached` positions and the `length` after them, never past max_seq_len.
template <class T>
RopeTable<T> rope_of(const ModelConfig& model, std::int64_t cached, std::int64_t length) {
  return rope_table<T>(model.computed_head_dim(), std::min(model.max_seq_len, cached + length), model.rope());
}

/// Residual length of validated inputs.
std::int64_t residual_length(const Inputs& inputs) {
  if (inputs.inputs_embeds) return inputs.inputs_embeds->shape()[1];
  return inputs.tokens->shape()[1] + (inputs.prefix_embeds ? inputs.prefix_embeds->shape()[1] : 0);
}

}  // namespace

template <class T>
std::vector<KvCache<T>> make_kv_caches(const ModelConfig& model, std::int64_t batch,
                                       std::int64_t max_positions) {
  const Shape shape{batch, model.kv_heads(), max_positions, model.computed_head_dim()};
  return std::vector<KvCache<T>>(static_cast<std::size_t>(model.n_layers),
                                 KvCache<T>{Tensor<T>(shape), Tensor<T>(shape)});
}

template <class T>
ForwardResult<T> forward(const Architecture& architecture, Weights<T>& weights, const Inputs& given,
                         const ForwardOptions& options, Tracer& tracer, std::vector<KvCache<T>>* caches) {
  const Inputs inputs = resolve_vision(architecture, weights, given, options, tracer, caches != nullptr);
  validate_inputs(architecture, inputs, caches != nullptr);
  const std::int64_t cached = caches == nullptr ? 0 : caches->at(0).seq_len;
  const RopeTable<T> rope = rope_of<T>(architecture.model, cached, residual_length(inputs));
  Run<T> run = make_run(architecture, weights, inputs, options, tracer, rope);
  const LayerInputs layer_inputs(inputs);

  // 1. residual stream
  Tensor<T> h = embed(run, inputs);
  // 2. layers and final norm
  h = all_layers(run, std::move(h), inputs, layer_inputs, caches);
  // 3. output positions and head
  if (inputs.output_slice) {
    const auto [begin, end] = inputs.output_slice->resolve(h.dim(1));
    h = slice_sequence(h, begin, end);
  }
  Tensor<T> logits = output_head(run, h);
  tap_scalar(tracer, "aux_loss", run.aux_loss);
  tap_scalar(tracer, "z_loss", run.z_loss);
  tap_router_state(run);
  return {std::move(logits), run.aux_loss, run.z_loss};
}

std::vector<std::pair<std::int64_t, std::int64_t>> partition_layers(std::int64_t n_layers,
                                                                    std::int64_t stages) {
  if (stages < 1 || stages > n_layers) {
    throw ConfigError("case.stages = " + std::to_string(stages) +
                      ": must be in 1 .. n_layers = " + std::to_string(n_layers));
  }
  std::vector<std::pair<std::int64_t, std::int64_t>> parts;
  std::int64_t begin = 0;
  for (std::int64_t stage = 0; stage < stages; ++stage) {
    const std::int64_t end = begin + n_layers / stages + (stage < n_layers % stages ? 1 : 0);
    parts.emplace_back(begin, end);
    begin = end;
  }
  return parts;
}

template <class T>
Tensor<T> forward_staged(const Architecture& architecture, Weights<T>& weights, const Inputs& inputs,
                         const ForwardOptions& options, std::int64_t stages, const Tracer& tracer) {
  if (architecture.vlm) {
    throw ConfigError("case.stages = " + std::to_string(stages) +
                      ": pipeline stages exist for text models only");
  }
  if (inputs.vision_features) throw ShapeError("[forward] pipeline stages take no vision_features");
  validate_inputs(architecture, inputs, false);
  const auto parts = partition_layers(architecture.model.n_layers, stages);
  const RopeTable<T> rope = rope_of<T>(architecture.model, 0, residual_length(inputs));
  Inputs stage_inputs = inputs;
  Tensor<T> h;
  for (const auto& [begin, end] : parts) {
    Tracer untapped = tracer.untapped();
    Run<T> run = make_run(architecture, weights, stage_inputs, options, untapped, rope);
    h = text_layers<T>(run, embed(run, stage_inputs), begin, end, stage_inputs, LayerInputs(stage_inputs),
                       nullptr);
    if (end < architecture.model.n_layers) {
      stage_inputs.tokens.reset();
      stage_inputs.inputs_embeds = Array::from(h);
      continue;
    }
    h = run.norm("norm", h, run.model().norm_eps);
    if (inputs.output_slice) {
      const auto [first, last] = inputs.output_slice->resolve(h.dim(1));
      h = slice_sequence(h, first, last);
    }
    h = output_head(run, h);
  }
  return h;
}

FORGECHECK_INSTANTIATE(make_kv_caches);
FORGECHECK_INSTANTIATE(forward);
FORGECHECK_INSTANTIATE(forward_staged);

}  // namespace forgecheck

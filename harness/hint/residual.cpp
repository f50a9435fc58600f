#include "harness/hint/residual.h"

#include "reference/models/adapter.h"
#include "reference/ops/embedding.h"

namespace forgecheck {

namespace {

/// Embedded tokens or inputs_embeds, behind the prefix; of a Mixture-of-Transformers one modality's part.
std::optional<Tensor<double>> stream_start(const WrongTap& wrong, const std::string& modality) {
  const Inputs inputs = model_inputs(wrong);
  const Dtype dtype = wrong.problem.definition.dtype;
  std::optional<Tensor<double>> stream;
  if (inputs.inputs_embeds) {
    stream = inputs.inputs_embeds->cast(dtype).to<double>();
  } else {
    stream = found_value(wrong, "token_embedding");
  }
  if (!stream) return std::nullopt;
  if (inputs.prefix_embeds) {
    const std::optional<Tensor<double>> adapted = found_value(wrong, "adapter");
    stream = concat_sequence(adapted ? *adapted : inputs.prefix_embeds->cast(dtype).to<double>(), *stream);
  }
  const Architecture& architecture = wrong.problem.definition.architecture;
  if (!architecture.is(VlmArch::mot)) return stream;
  const std::int64_t images = architecture.num_image_tokens;
  return modality == "image" ? slice_sequence(*stream, 0, images)
                             : slice_sequence(*stream, images, stream->dim(1));
}

/// The tap of the block before layer `layer`, or before its end where `layer` is the number of layers.
std::string block_before(const Architecture& architecture, std::int64_t layer, const std::string& modality) {
  if (architecture.is(VlmArch::cross_attention)) {
    const std::int64_t cadence = architecture.vlm->cross_attention_every_n_layers;
    if (layer % cadence == 0) return "cross_attention_layers." + std::to_string(layer / cadence - 1);
  }
  const std::string suffix = architecture.is(VlmArch::mot) ? "." + modality : "";
  return "layers." + std::to_string(layer - 1) + suffix;
}

}  // namespace

Inputs model_inputs(const WrongTap& wrong) {
  const Problem& problem = wrong.problem;
  if (!problem.inputs.vision_features) return problem.inputs;
  ParameterTable adapter;
  for (const auto& [name, array] : problem.parameters) {
    if (name.starts_with("adapter.")) adapter.emplace(name, array);
  }
  Tracer tracer;
  const ForwardOptions options;
  return resolve_vision<double>(problem.definition.architecture,
                                Weights<double>(adapter, problem.definition.dtype), problem.inputs, options,
                                tracer);
}

std::optional<Tensor<double>> residual_before(const WrongTap& wrong, const TapPlace& place) {
  const Architecture& architecture = wrong.problem.definition.architecture;
  if (place.cross) {
    const std::int64_t cadence = architecture.vlm->cross_attention_every_n_layers;
    return found_value(wrong, "layers." + std::to_string((place.index + 1) * cadence - 1));
  }
  const std::int64_t layer = place.block.empty() ? architecture.model.n_layers : place.index;
  if (layer == 0) return stream_start(wrong, place.modality);
  return found_value(wrong, block_before(architecture, layer, place.modality));
}

std::string attention_name(const TapPlace& place, const Architecture& architecture) {
  return place.block + (place.cross || architecture.is(VlmArch::mot) ? ".attn" : ".attention");
}

}  // namespace forgecheck

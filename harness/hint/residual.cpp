#include "harness/hint/residual.h"

#include "harness/tap/parameter_name.h"
#include "reference/models/adapter.h"
#include "reference/ops/embedding.h"

namespace forgecheck {

namespace {

/// Embedded tokens or inputs_embeds, after the prefix; of a Mixture-of-Transformers one modality's part.
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

/// The block before layer `layer`, or the last one where `layer` is the number of layers.
TapName block_before(const Architecture& architecture, std::int64_t layer, const std::string& modality) {
  if (architecture.is(VlmArch::cross_attention)) {
    const std::int64_t cadence = architecture.vlm->cross_attention_every_n_layers;
    if (layer % cadence == 0)
      return in_block(BlockKind::cross_attention_layers, layer / cadence - 1, TapModule::none);
  }
  return in_block(BlockKind::layers, layer - 1, TapModule::none,
                  architecture.is(VlmArch::mot) ? modality : "");
}

}  // namespace

Inputs model_inputs(const WrongTap& wrong) {
  const Problem& problem = wrong.problem;
  if (!problem.inputs.vision_features) return problem.inputs;
  ParameterTable adapter;
  for (const auto& [name, array] : problem.parameters) {
    const auto parameter = parse_parameter_name(name, problem.definition.architecture);
    if (parameter && parameter->module.module == TapModule::adapter) adapter.emplace(name, array);
  }
  Tracer tracer;
  const ForwardOptions options;
  return resolve_vision<double>(problem.definition.architecture,
                                Weights<double>(adapter, problem.definition.dtype), problem.inputs, options,
                                tracer);
}

std::optional<Tensor<double>> residual_before(const WrongTap& wrong, const TapPlace& place) {
  const Architecture& architecture = wrong.problem.definition.architecture;
  const TapName& name = place.name;
  if (place.cross()) {
    const std::int64_t cadence = architecture.vlm->cross_attention_every_n_layers;
    return found_value(
        wrong, to_string(in_block(BlockKind::layers, (name.index + 1) * cadence - 1, TapModule::none)));
  }
  const std::int64_t layer = name.block == BlockKind::none ? architecture.model.n_layers : name.index;
  if (layer == 0) return stream_start(wrong, name.modality);
  return found_value(wrong, to_string(block_before(architecture, layer, name.modality)));
}

TapName attention_of(const TapName& name, const Architecture& architecture) {
  const bool attn = name.block == BlockKind::cross_attention_layers || architecture.is(VlmArch::mot);
  return in_block(name.block, name.index, attn ? TapModule::attn : TapModule::attention,
                  architecture.is(VlmArch::mot) ? name.modality : "");
}

}  // namespace forgecheck

#include "gpu/models/transformer.h"

#include <algorithm>

#include "gpu/models/adapter.h"
#include "gpu/models/blocks.h"
#include "gpu/models/instantiate.h"
#include "gpu/models/layer_inputs.h"
#include "gpu/ops/embedding.h"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

/// Residual length of validated inputs.
std::int64_t residual_length(const Inputs& inputs) {
  if (inputs.inputs_embeds) return inputs.inputs_embeds->shape()[1];
  return inputs.tokens->shape()[1] + (inputs.prefix_embeds ? inputs.prefix_embeds->shape()[1] : 0);
}

/// Throws ShapeError if the caches have no room for `length` more positions.
template <class T>
void check_room(const std::vector<KvCache<T>>& caches, std::int64_t length) {
  const std::int64_t filled = caches.at(0).seq_len, capacity = caches.at(0).k.dim(2);
  if (filled + length <= capacity) return;
  throw ShapeError("[kv_cache] " + std::to_string(length) + " more positions do not fit: " +
                   std::to_string(filled) + " of " + std::to_string(capacity) + " are filled");
}

/// Everything that a forward call needs on the device, from validated inputs that start at `first_position`.
template <class T>
Run<T> begin_run(Device& device, const Architecture& architecture, const DeviceWeights<T>& weights,
                 const Inputs& inputs, const ForwardOptions& options, Recorder& recorder,
                 std::int64_t first_position) {
  const ModelConfig& model = architecture.model;
  const std::int64_t positions = std::min(model.max_seq_len, first_position + residual_length(inputs));
  return {device,
          architecture,
          weights,
          recorder,
          options,
          rope_table<T>(device, model.computed_head_dim(), positions, model.rope()),
          upload_layer_inputs<T>(device, architecture, inputs),
          zeros<float>(device, {}),
          zeros<float>(device, {})};
}

/// The image embeddings, from the inputs or the adapter; null if there are none.
template <class T>
DeviceTensor<T> image_embeddings(Run<T>& run, const Inputs& given) {
  if (given.vision_features) return adapt(run, *given.vision_features);
  if (given.prefix_embeds) return upload_values<T>(run.device, *given.prefix_embeds, "prefix_embeds");
  if (given.image_features) return upload_values<T>(run.device, *given.image_features, "image_features");
  return {};
}

/// The residual stream (B, S, D) at the first layer: the prefix (or null), then embedded tokens or
/// inputs_embeds.
template <class T>
DeviceTensor<T> embed(Run<T>& run, const Inputs& inputs, const DeviceTensor<T>& prefix) {
  if (inputs.inputs_embeds) return upload_values<T>(run.device, *inputs.inputs_embeds, "inputs_embeds");
  const DeviceTensor<T> text = embedding(run.device, upload_integers(run.device, *inputs.tokens, "tokens"),
                                         run.weights.at("token_embedding.embedding.weight"));
  run.recorder.tap("token_embedding", text);
  return prefix ? concat_sequence(run.device, prefix, text) : text;
}

/// Layers [begin, end) of a text model, or of cross_attention, where a cross-attention block follows every
/// n-th layer.
template <class T>
DeviceTensor<T> text_layers(Run<T>& run, DeviceTensor<T> h, std::int64_t begin, std::int64_t end,
                            std::vector<KvCache<T>>* caches) {
  const std::int64_t cadence = run.architecture.is(VlmArch::cross_attention)
                                   ? run.architecture.vlm->cross_attention_every_n_layers
                                   : 0;
  for (std::int64_t layer = begin; layer < end; ++layer) {
    h = dense_block(run, layer, h,
                    caches == nullptr ? nullptr : &caches->at(static_cast<std::size_t>(layer)));
    const std::int64_t done = layer + 1;
    if (cadence > 0 && done % cadence == 0) h = cross_attention_block(run, done / cadence - 1, h);
  }
  return h;
}

/// Image prefix and text as separate streams through all layers and their final norms, then joined again,
/// image first.
template <class T>
DeviceTensor<T> mot_layers(Run<T>& run, const DeviceTensor<T>& h) {
  const std::int64_t images = run.architecture.num_image_tokens;
  std::vector<Stream<T>> streams;
  for (const std::string& modality : run.architecture.vlm->mot_modalities) {
    streams.push_back({modality, modality == "image" ? slice_sequence(run.device, h, 0, images)
                                                     : slice_sequence(run.device, h, images, h.dim(1))});
  }
  for (std::int64_t layer = 0; layer < run.model().n_layers; ++layer) mot_block(run, layer, streams);
  for (Stream<T>& stream : streams) {
    stream.x = run.norm("mot_norms." + stream.modality, stream.x, run.model().norm_eps);
  }
  std::ranges::stable_sort(streams, [](const Stream<T>& a, const Stream<T>& b) {
    return a.modality == "image" && b.modality != "image";
  });
  return concat_sequence(run.device, streams.at(0).x, streams.at(1).x);
}

template <class T>
DeviceTensor<T> moma_layers(Run<T>& run, DeviceTensor<T> h) {
  for (std::int64_t layer = 0; layer < run.model().n_layers; ++layer) h = moma_block(run, layer, h);
  return h;
}

/// All layers and the final norm.
template <class T>
DeviceTensor<T> backbone(Run<T>& run, DeviceTensor<T> h, std::vector<KvCache<T>>* caches) {
  const ModelConfig& model = run.model();
  if (run.architecture.vlm) {
    switch (run.architecture.vlm->arch) {
      case VlmArch::mot:
        return mot_layers(run, h);
      case VlmArch::moma:
        return run.norm("norm", moma_layers(run, std::move(h)), model.norm_eps);
      case VlmArch::joint_decoder:
      case VlmArch::cross_attention:
        return run.norm("norm", text_layers(run, std::move(h), 0, model.n_layers, caches), model.norm_eps);
    }
    throw_not_an_enumerator("vlm.arch", run.architecture.vlm->arch);
  }
  return run.norm("norm", text_layers(run, std::move(h), 0, model.n_layers, caches), model.norm_eps);
}

/// Logits of the requested positions.
template <class T>
DeviceTensor<T> output_head(Run<T>& run, const Inputs& inputs, DeviceTensor<T> h) {
  if (inputs.output_slice) {
    const auto [begin, end] = inputs.output_slice->resolve(h.dim(1));
    h = slice_sequence(run.device, h, begin, end);
  }
  return run.linear(run.model().tie_embeddings ? "token_embedding.embedding" : "output_head.proj", h);
}

template <class T>
void tap_outputs(Run<T>& run, const DeviceTensor<T>& logits) {
  run.recorder.tap("logits", logits);
  run.recorder.tap("aux_loss", run.aux_loss);
  run.recorder.tap("z_loss", run.z_loss);
  // The routers' state: for each router the moving average, then the bias that follows from it.
  for (const auto& [name, average] : run.weights.all()) {
    const std::size_t router = name.rfind(".router.expert_ema");
    if (router == std::string::npos) continue;
    run.recorder.tap(name, average);
    const std::string bias = name.substr(0, router) + ".router.expert_bias";
    run.recorder.tap(bias, run.weights.at(bias));
  }
}

std::vector<std::int64_t> stage_begins(const ModelConfig& model, std::int64_t stages) {
  if (stages < 1 || stages > model.n_layers) {
    throw ConfigError("case.stages = " + std::to_string(stages) +
                      ": must be in 1 .. n_layers = " + std::to_string(model.n_layers));
  }
  std::vector<std::int64_t> begins{0};
  for (std::int64_t stage = 0; stage < stages; ++stage) {
    begins.push_back(begins.back() +
                     (model.n_layers - begins.back() + stages - stage - 1) / (stages - stage));
  }
  return begins;
}

}  // namespace

template <class T>
std::vector<KvCache<T>> make_kv_caches(Device& device, const ModelConfig& model, std::int64_t batch,
                                       std::int64_t max_positions) {
  const Shape shape{batch, model.kv_heads(), max_positions, model.computed_head_dim()};
  std::vector<KvCache<T>> caches(static_cast<std::size_t>(model.n_layers));
  for (KvCache<T>& cache : caches) {
    cache.k = device.make<T>(shape, "KV cache, keys");
    cache.v = device.make<T>(shape, "KV cache, values");
  }
  return caches;
}

template <class T>
ForwardResult<T> forward(Device& device, const Architecture& architecture, const DeviceWeights<T>& weights,
                         const Inputs& given, const ForwardOptions& options, Recorder& recorder,
                         std::vector<KvCache<T>>* caches) {
  // 1. every rule, on the host
  const Inputs inputs = after_adapter(architecture, given);
  validate_inputs(architecture, inputs, caches != nullptr);
  if (inputs.tokens) check_tokens(*inputs.tokens, architecture.model.vocab_size);
  if (caches != nullptr) check_room(*caches, residual_length(inputs));

  // 2. the residual stream
  Run<T> run = begin_run(device, architecture, weights, inputs, options, recorder,
                         caches == nullptr ? 0 : caches->at(0).seq_len);
  const DeviceTensor<T> image = image_embeddings(run, given);
  if (architecture.has_side_channel()) run.inputs.image_features = image;
  DeviceTensor<T> h = embed(run, inputs, inputs.prefix_embeds ? image : DeviceTensor<T>());

  // 3. layers, and the logits
  h = backbone(run, std::move(h), caches);
  DeviceTensor<T> logits = output_head(run, inputs, std::move(h));
  tap_outputs(run, logits);
  return {logits, run.aux_loss, run.z_loss};
}

template <class T>
DeviceTensor<T> forward_staged(Device& device, const Architecture& architecture,
                               const DeviceWeights<T>& weights, const Inputs& inputs,
                               const ForwardOptions& options, std::int64_t stages) {
  if (architecture.vlm) {
    throw ConfigError("case.stages = " + std::to_string(stages) +
                      ": pipeline stages exist for text models only");
  }
  if (inputs.vision_features) throw ShapeError("[forward] pipeline stages take no vision_features");
  validate_inputs(architecture, inputs, false);
  if (inputs.tokens) check_tokens(*inputs.tokens, architecture.model.vocab_size);
  const std::vector<std::int64_t> begins = stage_begins(architecture.model, stages);

  Array handed_over;
  for (std::size_t stage = 0; stage + 1 < begins.size(); ++stage) {
    Recorder nothing(device, [](std::string_view) { return false; });
    Run<T> run = begin_run(device, architecture, weights, inputs, options, nothing, 0);
    DeviceTensor<T> h = begins[stage] == 0 ? embed(run, inputs, DeviceTensor<T>())
                                           : device.upload<T>(handed_over, "hidden states");
    h = text_layers<T>(run, std::move(h), begins[stage], begins[stage + 1], nullptr);
    if (begins[stage + 1] == architecture.model.n_layers) {
      return output_head(run, inputs, run.norm("norm", h, architecture.model.norm_eps));
    }
    handed_over = device.download(h);
  }
  throw ConfigError("case.stages: no stage has the last layer");
}

FORGECHECK_INSTANTIATE_GPU(make_kv_caches);
FORGECHECK_INSTANTIATE_GPU(forward);
FORGECHECK_INSTANTIATE_GPU(forward_staged);

}  // namespace forgecheck::gpu

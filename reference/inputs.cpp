#include "reference/inputs.h"

#include <algorithm>

#include "reference/error.h"

namespace forgecheck {

std::pair<std::int64_t, std::int64_t> OutputSlice::resolve(std::int64_t length) const {
  const auto clamp = [length](std::int64_t index) {
    return std::clamp<std::int64_t>(index < 0 ? index + length : index, 0, length);
  };
  const std::int64_t begin = clamp(start.value_or(0));
  return {begin, std::max(begin, clamp(stop.value_or(length)))};
}

namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw ShapeError("[forward] " + message);
}

/// What the elements of an input are: in words, and as a rule.
struct Elements {
  const char* words;
  bool (*fit)(Dtype);
};
constexpr Elements kNumbers = {"a floating point type", is_floating_point};
constexpr Elements kIntegers = {"int64", [](Dtype dtype) { return dtype == Dtype::i64; }};
constexpr Elements kBooleans = {"bool", [](Dtype dtype) { return dtype == Dtype::boolean; }};

void require_type(const std::string& name, const Array& array, std::int64_t rank, const Elements& elements) {
  if (!elements.fit(array.dtype())) {
    refuse(name + " has type " + std::string(torch_name(array.dtype())) + ", expected " + elements.words);
  }
  if (static_cast<std::int64_t>(array.shape().size()) != rank) {
    refuse(name + " has shape " + to_string(array.shape()) + ", expected " + std::to_string(rank) + " axes");
  }
}

void require(const std::string& name, const Array& array, const Shape& shape, const Elements& elements) {
  require_type(name, array, static_cast<std::int64_t>(shape.size()), elements);
  require_shape("[forward] " + name, array.shape(), shape);
}

void check_combination(const Inputs& in) {
  if (in.tokens.has_value() == in.inputs_embeds.has_value()) {
    refuse(std::string("exactly one of tokens and inputs_embeds must be given, got ") +
           (in.tokens ? "both" : "neither"));
  }
  const int routes = static_cast<int>(in.inputs_embeds.has_value()) +
                     static_cast<int>(in.prefix_embeds.has_value()) +
                     static_cast<int>(in.image_features.has_value());
  if (routes > 1) refuse("at most one of inputs_embeds, prefix_embeds and image_features may be given");
  if (in.image_mask && !in.image_features) refuse("image_mask needs image_features");
  const bool extends_residual = in.prefix_embeds || in.inputs_embeds;
  if (in.modality_ids && !extends_residual) refuse("modality_ids needs prefix_embeds or inputs_embeds");
  if (in.key_padding_mask && !extends_residual)
    refuse("key_padding_mask needs prefix_embeds or inputs_embeds");
}

void refuse_acausal(VlmArch arch) {
  switch (arch) {
    case VlmArch::joint_decoder:
    case VlmArch::cross_attention:
    case VlmArch::mot:
      return;
    case VlmArch::moma:
      refuse("a KV cache is not possible with moma: expert choice is not causal");
  }
  throw_not_an_enumerator("vlm.arch", arch);
}

void check_kv_cache(const Architecture& architecture, const Inputs& in) {
  if (architecture.vlm) refuse_acausal(architecture.vlm->arch);
  if (in.output_slice) refuse("output_slice cannot be combined with a KV cache");
  const std::pair<const char*, bool> forbidden[] = {
      {"prefix_embeds", in.prefix_embeds.has_value()},
      {"image_features", in.image_features.has_value()},
      {"modality_ids", in.modality_ids.has_value()},
      {"doc_ids", in.doc_ids.has_value()},
      {"key_padding_mask", in.key_padding_mask.has_value()},
  };
  for (const auto& [name, given] : forbidden) {
    if (given) refuse(std::string(name) + " cannot be combined with a KV cache");
  }
}

void check_modalities(const Architecture& architecture, const Inputs& in, std::int64_t residual) {
  const bool mot = architecture.is(VlmArch::mot), moma = architecture.is(VlmArch::moma);
  if (architecture.vlm && needs_modality_ids(architecture.vlm->arch) && !in.modality_ids) {
    refuse("modality_ids is required by arch = " + to_string(architecture.vlm->arch));
  }
  if (mot && architecture.vlm->mot_modalities.size() != 2) {
    refuse("vlm.mot_modalities has " + std::to_string(architecture.vlm->mot_modalities.size()) +
           " entries: the forward call handles image and text only");
  }
  if (mot && residual < architecture.num_image_tokens) {
    refuse("num_image_tokens = " + std::to_string(architecture.num_image_tokens) +
           " is more than the residual length " + std::to_string(residual));
  }
  if (!moma) return;
  const std::int64_t modalities = std::ssize(architecture.vlm->moma_modalities);
  std::int64_t outside = 0;
  for (std::int64_t i = 0; i < in.modality_ids->size(); ++i) {
    const std::int64_t id = in.modality_ids->int_at(i);
    if (id < 0 || id >= modalities) ++outside;
  }
  if (outside > 0) {
    refuse("modality_ids has " + std::to_string(outside) + " of " + std::to_string(in.modality_ids->size()) +
           " values outside 0 .. " + std::to_string(modalities - 1));
  }
}

}  // namespace

void validate_inputs(const Architecture& architecture, const Inputs& in, bool with_kv_cache) {
  check_combination(in);
  if (with_kv_cache) check_kv_cache(architecture, in);

  const ModelConfig& model = architecture.model;
  if (in.tokens) require_type("tokens", *in.tokens, 2, kIntegers);
  if (in.inputs_embeds) require_type("inputs_embeds", *in.inputs_embeds, 3, kNumbers);
  const Shape& text = in.tokens ? in.tokens->shape() : in.inputs_embeds->shape();
  const std::int64_t batch = text[0];
  std::int64_t residual = text[1];
  if (batch == 0 || residual == 0) refuse("the text has shape " + to_string(text) + ": nothing to compute");
  if (in.inputs_embeds) {
    require("inputs_embeds", *in.inputs_embeds, {batch, residual, model.dim}, kNumbers);
  }
  if (in.prefix_embeds) {
    require_type("prefix_embeds", *in.prefix_embeds, 3, kNumbers);
    const std::int64_t prefix = in.prefix_embeds->shape()[1];
    require("prefix_embeds", *in.prefix_embeds, {batch, prefix, model.dim}, kNumbers);
    residual += prefix;
  }
  if (in.image_features) {
    require_type("image_features", *in.image_features, 3, kNumbers);
    const std::int64_t images = in.image_features->shape()[1];
    require("image_features", *in.image_features, {batch, images, model.dim}, kNumbers);
    if (images == 0)
      refuse("image_features has shape " + to_string(in.image_features->shape()) + ": no tokens");
    if (in.image_mask) require("image_mask", *in.image_mask, {batch, images}, kBooleans);
  }
  if (in.modality_ids) require("modality_ids", *in.modality_ids, {batch, residual}, kIntegers);
  if (in.key_padding_mask) {
    require("key_padding_mask", *in.key_padding_mask, {batch, residual}, kBooleans);
  }
  if (in.doc_ids) require("doc_ids", *in.doc_ids, {batch, residual}, kIntegers);
  if (residual > model.max_seq_len) {
    refuse("a sequence of " + std::to_string(residual) +
           " positions is past model.max_seq_len = " + std::to_string(model.max_seq_len));
  }
  check_modalities(architecture, in, residual);
  const bool fires = architecture.is(VlmArch::cross_attention) &&
                     architecture.vlm->cross_attention_every_n_layers <= model.n_layers;
  if (fires && !in.image_features) refuse("image_features is required by arch = cross_attention");
}

}  // namespace forgecheck

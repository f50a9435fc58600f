// Properties of a Mixture-of-Transformers that has the weights of a dense model (spec section 12: warm start).
#include <algorithm>

#include "reference/models/init.h"
#include "tests/properties/cases.h"

namespace forgecheck {
namespace {

/// Embeddings are the whole sequence, the images in front; RMSNorm, as a warm start leaves the biases of LayerNorm alone.
bool is_warm_started(Case& c) {
  if (!c.architecture.is(VlmArch::mot)) return false;
  c.architecture.model.num_experts = 0;
  c.architecture.model.norm_type = NormType::rmsnorm;
  c.architecture.adapter.reset();
  c.architecture.feature_dim = 0;
  c.mot_moe_totals = false;
  c.moe_step.reset();
  const std::int64_t batch = c.inputs.batch;
  c.inputs = {
      .batch = batch, .text_len = c.architecture.num_image_tokens + c.inputs.text_len, .embeds = true};
  return plain_forward(c);
}

/// The text model that the blocks are copied from, with positions [begin, end) of the embeddings as its input.
Problem dense_source(const Problem& mot, std::int64_t begin, std::int64_t end) {
  Case text = mot.definition;
  text.architecture.vlm.reset();
  text.architecture.num_image_tokens = 0;
  text.inputs.text_len = end - begin;
  Problem dense = seeded_problem(text);
  dense.inputs.inputs_embeds =
      Array::from(positions_of(mot.inputs.inputs_embeds->to<double>(), begin, end)).cast(Dtype::f32);
  return dense;
}

Problem warm_started(const Problem& mot) {
  Problem warm = mot;
  warm.seeded = false;
  mot_warm_start(warm.definition.architecture, warm.parameters,
                 dense_source(mot, 0, mot.definition.inputs.text_len).parameters);
  return warm;
}

TEST(MotProperties, TheFirstModalityOfAWarmStartedModelIsItsDenseSource) {
  expect_property({is_warm_started, [](Backend& backend, const Problem& problem) {
                     const std::int64_t images = problem.definition.architecture.num_image_tokens;
                     const std::int64_t length = problem.definition.inputs.text_len;
                     const bool text_first =
                         problem.definition.architecture.vlm->mot_modalities.front() == "text";
                     const std::int64_t begin = text_first ? images : 0, end = text_first ? length : images;
                     return unless_equal(tap_of(backend, dense_source(problem, begin, end)),
                                         positions_of(tap_of(backend, warm_started(problem)), begin, end));
                   }});
}

TEST(MotProperties, PositionsOfTheTextBeginAgainBehindTheImages) {
  expect_property({[](Case& c) {
                     if (!is_warm_started(c)) return false;
                     c.architecture.vlm->mot_modalities = {"image", "text"};
                     return true;
                   },
                   [](Backend& backend, const Problem& problem) {
                     // With its images masked out a text is alone: its positions count from 0.
                     const std::int64_t images = problem.definition.architecture.num_image_tokens;
                     const std::int64_t length = problem.definition.inputs.text_len;
                     Problem masked = warm_started(problem);
                     masked.definition.inputs.padding = true;
                     Tensor<std::uint8_t> mask({problem.definition.inputs.batch, length});
                     for (std::int64_t i = 0; i < mask.size(); ++i) mask[i] = i % length < images ? 0 : 1;
                     masked.inputs.key_padding_mask = Array::from(mask);
                     return unless_equal(tap_of(backend, dense_source(problem, images, length)),
                                         positions_of(tap_of(backend, masked), images, length));
                   }});
}

}  // namespace
}  // namespace forgecheck

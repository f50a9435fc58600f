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

/// Where the text is the images once more, its last token sees every key of theirs twice, and so what their last one sees.
TEST(MotProperties, PositionsOfTheTextBeginAgainBehindTheImages) {
  expect_property({[](Case& c) {
                     c.architecture.model.n_layers = 1;
                     if (!is_warm_started(c)) return false;
                     c.inputs.text_len = 2 * c.architecture.num_image_tokens;
                     return c.architecture.num_image_tokens > 1;
                   },
                   [](Backend& backend, const Problem& problem) {
                     const std::int64_t images = problem.definition.architecture.num_image_tokens;
                     Problem twice = warm_started(problem);
                     Tensor<double> embeds = twice.inputs.inputs_embeds->to<double>();
                     const std::int64_t half = images * embeds.dim(2);
                     for (std::int64_t b = 0; b < embeds.dim(0); ++b) {
                       std::copy_n(embeds.data.begin() + 2 * b * half, half,
                                   embeds.data.begin() + (2 * b + 1) * half);
                     }
                     twice.inputs.inputs_embeds = Array::from(embeds).cast(Dtype::f32);
                     const Tensor<double> logits = tap_of(backend, twice);
                     return unless_equal(positions_of(logits, images - 1, images),
                                         positions_of(logits, 2 * images - 1, 2 * images));
                   }});
}

}  // namespace
}  // namespace forgecheck

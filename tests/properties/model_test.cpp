// Whole models of random small sizes, on random tokens.
#include <numeric>

#include "reference/models/feed_forward.h"
#include "reference/models/generate.h"
#include "reference/ops/embedding.h"
#include "tests/properties/generators.h"
#include "tests/reference/models/small_models.h"

namespace forgecheck {
namespace {

Architecture random_architecture() {
  Architecture architecture = *rc::gen::arbitrary<bool>() ? small_text() : small_moe();
  ModelConfig& model = architecture.model;
  model.n_kv_heads = *rc::gen::element<std::int64_t>(1, 2);
  model.n_layers = size_between(1, 3);
  model.norm_type = *rc::gen::element(NormType::rmsnorm, NormType::layernorm);
  model.activation = *rc::gen::element(Activation::silu, Activation::gelu, Activation::relu);
  model.qk_norm = *rc::gen::arbitrary<bool>();
  model.tie_embeddings = *rc::gen::arbitrary<bool>();
  if (model.num_experts > 0) {
    model.moe_router = *rc::gen::element(RouterType::softmax_topk, RouterType::sigmoid_topk);
    model.moe_top_k = size_between(1, 4);
    model.moe_frequency = size_between(1, 2);
    model.moe_packed_experts = *rc::gen::arbitrary<bool>();
    model.moe_shared_experts = size_between(0, 1);
  }
  return architecture;
}

struct Case {
  Architecture architecture = random_architecture();
  Weights<float> weights = seeded_weights<float>(architecture);
  std::int64_t batch = size_between(1, 3), length = size_between(1, 6);
  Ids tokens = random_ids({batch, length}, 0, 10);

  Tensor<float> logits(const Ids& of) {
    return run_model(architecture, weights, token_inputs(of.shape, of.data)).logits;
  }
};

/// Sample b of x (B, ...), as a batch of one.
template <class T>
Tensor<T> sample(const Tensor<T>& x, std::int64_t b) {
  const std::int64_t size = x.size() / x.dim(0);
  Shape shape = x.shape;
  shape[0] = 1;
  return Tensor<T>(shape, {x.data.begin() + b * size, x.data.begin() + (b + 1) * size});
}

RC_GTEST_PROP(ModelProperties, SampleAloneHasTheSameBits, ()) {
  Case c;
  const auto together = c.logits(c.tokens);
  const std::int64_t b = size_between(0, c.batch - 1);
  RC_ASSERT(identical(c.logits(sample(c.tokens, b)), sample(together, b)));
}

RC_GTEST_PROP(ModelProperties, PermutedBatchGivesThePermutedOutput, ()) {
  Case c;
  const auto logits = c.logits(c.tokens);
  Ids rotated = c.tokens;
  std::rotate(rotated.data.begin(), rotated.data.begin() + c.length, rotated.data.end());
  const auto rotated_logits = c.logits(rotated);
  for (std::int64_t b = 0; b < c.batch; ++b) {
    RC_ASSERT(identical(sample(rotated_logits, b), sample(logits, (b + 1) % c.batch)));
  }
}

RC_GTEST_PROP(ModelProperties, ShorterSequenceIsAPrefixOfTheLonger, ()) {
  Case c;
  const std::int64_t kept = size_between(1, c.length);
  Ids shorter({c.batch, kept});
  for (std::int64_t b = 0; b < c.batch; ++b) {
    std::copy_n(c.tokens.row(b).begin(), kept, shorter.row(b).begin());
  }
  RC_ASSERT(identical(c.logits(shorter), slice_sequence(c.logits(c.tokens), 0, kept)));
}

RC_GTEST_PROP(ModelProperties, AnyChunksGiveTheForwardCall, ()) {
  Case c;
  std::vector<std::int64_t> chunks;
  for (std::int64_t left = c.length; left > 0; left -= chunks.back()) chunks.push_back(size_between(1, left));
  Tracer tracer;
  RC_ASSERT(identical(decode(c.architecture, c.weights, c.tokens, chunks, {}, tracer), c.logits(c.tokens)));
}

RC_GTEST_PROP(ModelProperties, AnyNumberOfStagesGivesTheForwardCall, ()) {
  Case c;
  const std::int64_t stages = size_between(1, c.architecture.model.n_layers);
  const auto staged = forward_staged(c.architecture, c.weights, token_inputs(c.tokens.shape, c.tokens.data),
                                     {}, stages, Tracer());
  RC_ASSERT(identical(staged, c.logits(c.tokens)));
}

RC_GTEST_PROP(ModelProperties, OtherDocumentsDoNotChangeABit, ()) {
  Case c;
  const Ids doc_ids = random_ids({c.batch, c.length}, 0, 1);
  Inputs inputs = token_inputs(c.tokens.shape, c.tokens.data);
  inputs.doc_ids = Array::from(doc_ids);
  const auto before = run_model(c.architecture, c.weights, inputs).logits;
  Ids changed = c.tokens;
  for (std::int64_t i = 0; i < changed.size(); ++i) {
    if (doc_ids[i] == 1) changed[i] = (changed[i] + 1) % 11;
  }
  inputs.tokens = Array::from(changed);
  const auto after = run_model(c.architecture, c.weights, inputs).logits;
  for (std::int64_t i = 0; i < doc_ids.size(); ++i) {
    if (doc_ids[i] == 0) RC_ASSERT(numbers_of_row(after, i) == numbers_of_row(before, i));
  }
}

RC_GTEST_PROP(ModelProperties, LongerGenerationContinuesTheShorter, ()) {
  Case c;
  const auto generated = [&](std::int64_t count) {
    GenerateOptions options;
    options.max_new_tokens = count;
    Tracer tracer;
    return generate(
        c.architecture, c.weights, c.tokens, options, kPlain, [] { return 0.0; }, tracer, "t");
  };
  const std::int64_t few = size_between(0, 3);
  const Ids shorter = generated(few), longer = generated(few + 2);
  for (std::int64_t b = 0; b < c.batch; ++b) {
    RC_ASSERT(
        std::ranges::equal(shorter.row(b), longer.row(b).first(static_cast<std::size_t>(c.length + few))));
  }
}

template <class T>
class OneExpert : public testing::Test {};
using Types = testing::Types<double, float, Bfloat16>;
TYPED_TEST_SUITE(OneExpert, Types);

// Its weight is a score divided by itself.
TYPED_TEST(OneExpert, IsItsMlp) {
  Architecture architecture = small_moe();
  architecture.model.num_experts = architecture.model.moe_top_k = 1;
  for (const RouterType router : {RouterType::softmax_topk, RouterType::sigmoid_topk}) {
    architecture.model.moe_router = router;
    Module<TypeParam> parts(architecture, seeded_weights<TypeParam>(architecture));
    rc::detail::checkGTest([&] {
      const auto x = random_tensor<TypeParam>({1, size_between(1, 5), 8});
      parts.tracer = Tracer();
      const auto routed = moe(parts.run, "layers.1.mlp", x, true, {});
      RC_ASSERT(identical(routed, mlp(parts.run, "layers.1.mlp.experts.0", x, false)));
    });
  }
}

}  // namespace
}  // namespace forgecheck

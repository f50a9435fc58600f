// Expert choice: every choice in its place, every bit of the sums.
#include "gpu/ops/expert_choice.h"

#include "reference/ops/embedding.h"
#include "reference/ops/expert_choice.h"
#include "reference/ops/router.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/repeatable.h"
#include "tests/reference/ops/values.h"

namespace forgecheck::gpu {
namespace {

/// Experts' choices (E, k_e) of `tokens` tokens, as top_k makes them.
Ids choices(std::int64_t experts, std::int64_t chosen, std::int64_t tokens, std::uint64_t seed) {
  return forgecheck::top_k(random_tensor<float>({experts, tokens}, seed), chosen);
}

template <class T>
class ExpertChoiceTest : public GpuTest {
 protected:
  using H = host_t<T>;
  DeviceTensor<T> on_device(const Tensor<H>& x) { return this->template put<T>(x); }
  DeviceTensor<std::int64_t> ids(const Ids& x) { return this->template put<std::int64_t>(x); }
};
TYPED_TEST_SUITE(ExpertChoiceTest, ElementTypes);

TEST_F(GpuTest, TokensPerExpertAreTheReferences) {
  for (const std::int64_t tokens : {0, 1, 2, 7, 21, 100}) {
    for (const double factor : {0.0, 0.01, 1.0 / 7, 0.25, 0.5, 0.999, 1.0, 2.5, 1e300}) {
      EXPECT_EQ(tokens_per_expert(tokens, factor), forgecheck::tokens_per_expert(tokens, factor))
          << tokens << " " << factor;
    }
  }
}

TYPED_TEST(ExpertChoiceTest, ScoresMatchTheReference) {
  using T = TypeParam;
  const auto logits = random_tensor<T>({300, 9}, 1);
  auto noise = random_tensor<T>({300, 9}, 2);
  const auto plain = this->get(expert_choice_scores<T>(this->device, this->on_device(logits), nullptr));
  expect_close<T>(plain, forgecheck::expert_choice_scores<double>(exact(logits), nullptr), 16);
  if (std::is_same_v<T, bf16>) return;  // the sum rounds: below
  const auto added = this->on_device(noise);
  const auto noisy = this->get(expert_choice_scores(this->device, this->on_device(logits), &added));
  const auto exact_noise = exact(noise);
  expect_close<T>(noisy, forgecheck::expert_choice_scores(exact(logits), &exact_noise), 16);
}

TEST_F(GpuTest, ExpertChoiceScoresInBfloat16RoundTheNoisyLogit) {
  const auto logits = random_tensor<bf16>({40, 3}, 3, 2.0), noise = random_tensor<bf16>({40, 3}, 4);
  const auto added = put<bf16>(noise);
  const auto scores = get(expert_choice_scores(device, put<bf16>(logits), &added));
  EXPECT_EQ(scores.data, numbers(forgecheck::expert_choice_scores(logits, &noise)));
  const auto exact_noise = exact(noise);
  const auto once = forgecheck::expert_choice_scores(exact(logits), &exact_noise);
  int rounded_differently = 0;
  for (std::int64_t i = 0; i < once.size(); ++i) {
    if (numbers(tensor<Bfloat16>({1}, {once[i]}))[0] != scores[i]) ++rounded_differently;
  }
  EXPECT_GT(rounded_differently, 5);
}

TYPED_TEST(ExpertChoiceTest, TransposeSwapsRowsAndColumns) {
  using T = TypeParam;
  for (const Shape& shape : {Shape{1, 7}, Shape{7, 1}, Shape{33, 5}, Shape{4, 129}, Shape{700, 3}}) {
    const auto x = random_tensor<T>(shape, 5);
    const auto out = this->get(transpose(this->device, this->on_device(x)));
    EXPECT_EQ(out.shape, (Shape{shape[1], shape[0]}));
    EXPECT_EQ(out.data, numbers(forgecheck::transpose(x)));
  }
}

TYPED_TEST(ExpertChoiceTest, GatheredScoresAreThoseOfTheChoices) {
  using T = TypeParam;
  const auto scores = random_tensor<T>({5, 129}, 6);
  const Ids indices = choices(5, 70, 129, 7);
  const auto out = this->get(gather_scores(this->device, this->on_device(scores), this->ids(indices)));
  ASSERT_EQ(out.shape, indices.shape);
  for (std::int64_t i = 0; i < out.size(); ++i) {
    ASSERT_EQ(out[i], numbers_of_row(scores, i / 70)[static_cast<std::size_t>(indices[i])]);
  }
}

TYPED_TEST(ExpertChoiceTest, CombinedSumsAreTheReferencesToTheBit) {
  using T = TypeParam;
  struct Sizes {
    std::int64_t experts, chosen, tokens, width;
  };
  // All tokens by all experts; tokens that no expert chose; widths around a warp and past a block.
  for (const auto& [experts, chosen, tokens, width] :
       {Sizes{1, 1, 1, 1}, Sizes{4, 9, 9, 31}, Sizes{3, 2, 33, 32}, Sizes{8, 20, 65, 33},
        Sizes{5, 3, 7, 300}}) {
    const Ids indices = choices(experts, chosen, tokens, 8);
    const auto outputs = random_tensor<T>({experts * chosen, width}, 9);
    const auto scores = random_tensor<T>({experts, chosen}, 10);
    Tensor<host_t<T>> oracle({tokens, width});
    for (std::int64_t e = 0; e < experts; ++e) {
      Tensor<host_t<T>> own({chosen, width});
      std::copy_n(outputs.data.begin() + e * own.size(), own.size(), own.data.begin());
      const std::vector<std::int64_t> own_tokens(indices.row(e).begin(), indices.row(e).end());
      forgecheck::scatter_add(oracle, own, scores.row(e), own_tokens);
    }
    const auto out = this->get(combine_chosen(this->device, this->on_device(outputs), this->on_device(scores),
                                              this->ids(indices), tokens));
    EXPECT_EQ(out.shape, oracle.shape);
    EXPECT_EQ(out.data, numbers(oracle)) << tokens << " tokens";
  }
}

TYPED_TEST(ExpertChoiceTest, ATokenThatNobodyChoseGetsZero) {
  using T = TypeParam;
  const auto outputs = this->on_device(tensor<host_t<T>>({2, 1}, {5, 7}));
  const auto scores = this->on_device(tensor<host_t<T>>({2, 1}, {0.5, 0.5}));
  const auto out =
      this->get(combine_chosen(this->device, outputs, scores, this->ids(Ids({2, 1}, {2, 2})), 4));
  EXPECT_EQ(out.data, (std::vector<double>{0, 0, 6, 0}));
}

TEST_F(GpuTest, ExpertChoiceChecksItsShapes) {
  const auto zeros = [&](const Shape& shape) { return put<float>(Tensor<float>(shape)); };
  const auto indices = put<std::int64_t>(Ids({2, 3}));
  const auto noise = zeros({4, 3});
  EXPECT_EQ(message_of([&] {
              expert_choice_scores(device, zeros({4, 2}), &noise);
            }),
            "[expert_choice] noise has shape 4x3, expected 4x2");
  EXPECT_EQ(message_of([&] {
              gather_scores(device, zeros({3, 9}), indices);
            }),
            "[expert_choice] experts of the indices has shape 2, expected 3");
  EXPECT_EQ(message_of([&] {
              combine_chosen(device, zeros({6, 5}), zeros({2, 2}), indices, 9);
            }),
            "[expert_choice] scores has shape 2x2, expected 2x3");
  EXPECT_EQ(message_of([&] {
              combine_chosen(device, zeros({5, 5}), zeros({2, 3}), indices, 9);
            }),
            "[expert_choice] expert_outputs has shape 5x5, expected 6x5");
}

TYPED_TEST(ExpertChoiceTest, NoTokensGiveNoTokens) {
  using T = TypeParam;
  const auto none = this->on_device(Tensor<host_t<T>>({0, 3}));
  EXPECT_EQ(expert_choice_scores<T>(this->device, none, nullptr).shape, none.shape);
  EXPECT_EQ(transpose(this->device, none).shape, (Shape{3, 0}));
  const auto indices = this->ids(Ids({3, 0}));
  const auto scores = this->on_device(Tensor<host_t<T>>({3, 0}));
  EXPECT_EQ(gather_scores(this->device, scores, indices).shape, (Shape{3, 0}));
  const auto outputs = this->on_device(Tensor<host_t<T>>({0, 5}));
  EXPECT_EQ(combine_chosen(this->device, outputs, scores, indices, 0).shape, (Shape{0, 5}));
  this->device.synchronize();
}

TYPED_TEST(ExpertChoiceTest, EveryRunHasTheSameBits) {
  using T = TypeParam;
  const auto logits = this->on_device(random_tensor<T>({130, 5}, 11));
  const auto noise = this->on_device(random_tensor<T>({130, 5}, 12));
  const auto indices = this->ids(choices(5, 60, 130, 13));
  const auto outputs = this->on_device(random_tensor<T>({300, 33}, 14));
  expect_repeatable([&] { return this->bytes(expert_choice_scores(this->device, logits, &noise)); });
  expect_repeatable([&] { return this->bytes(transpose(this->device, logits)); });
  const auto scores = transpose(this->device, logits);
  expect_repeatable([&] { return this->bytes(gather_scores(this->device, scores, indices)); });
  const auto chosen = gather_scores(this->device, scores, indices);
  expect_repeatable([&] { return this->bytes(combine_chosen(this->device, outputs, chosen, indices, 130)); });
}

}  // namespace
}  // namespace forgecheck::gpu

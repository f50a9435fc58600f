// Hints from the wrong values only.
#include <algorithm>
#include <cmath>

#include "tests/harness/hint/hint.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;

/// Two heads of 8, of 4 key-value heads none: MHA.
const std::string kModelOfHintPatterns =
    "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24";
const std::string kContext = "layers.1.attention.context";

Problem dense_model() {
  return small_problem("dense[" + kModelOfHintPatterns + "]/batch=2,text_len=5/seed=1");
}

// ---- factors ----

TEST(HintFactor, TwoHalfAndMinusOneAreNamed) {
  const Problem problem = dense_model();
  for (const auto& [factor, name] :
       {std::pair(2.0F, "times 2"), {0.5F, "times 1 / 2"}, {-1.0F, "times -1"}}) {
    EXPECT_THAT(hint_of_changed(problem, "layers.0.mlp",
                                [&](Tensor<float>& x) {
                                  for (float& value : x.data) value *= factor;
                                }),
                HasSubstr(name));
  }
}

TEST(HintFactor, TheRootOfHeadDimIsNamedAtAHeadsTap) {
  const Problem problem = dense_model();
  const auto scaled = [](float factor) {
    return [factor](Tensor<float>& x) {
      for (float& value : x.data) value *= factor;
    };
  };
  EXPECT_THAT(hint_of_changed(problem, "layers.1.attention.q_proj", scaled(1 / std::sqrt(8.0F))),
              HasSubstr("1 / sqrt(head_dim)"));
  EXPECT_THAT(hint_of_changed(problem, kContext, scaled(8.0F)), HasSubstr("times head_dim"));
  EXPECT_THAT(hint_of_changed(problem, "layers.0", scaled(4.0F)), HasSubstr("times sqrt(dim)"));
}

TEST(HintFactor, AnyOtherFactorIsANumber) {
  // near a factor with a name, but not that one
  EXPECT_EQ(hint_of_changed(dense_model(), "layers.0.mlp",
                            [](Tensor<float>& x) {
                              for (float& value : x.data) value *= 1.995F;
                            }),
            "every value is the oracle's times 1.995");
  EXPECT_THAT(hint_of_changed(dense_model(), "layers.0.mlp",
                              [](Tensor<float>& x) {
                                for (float& value : x.data) value *= 1.0703F;
                              }),
              HasSubstr("times 1.0703"));
}

TEST(HintFactor, OneNumberHasOnlyNamedFactors) {
  const Problem problem = small_problem("moe[" + kModelOfHintPatterns +
                                        ",num_experts=4,moe_aux_loss_weight=0.01]/batch=2,text_len=5/seed=3");
  const auto scaled = [](float factor) { return [factor](Tensor<float>& x) { x[0] *= factor; }; };
  EXPECT_THAT(hint_of_changed(problem, "aux_loss", scaled(0.01F)), HasSubstr("times moe_aux_loss_weight"));
  EXPECT_THAT(hint_of_changed(problem, "aux_loss", scaled(0.25F)), HasSubstr("1 / num_experts"));
  EXPECT_EQ(hint_of_changed(problem, "aux_loss", scaled(0.7F)), "");
}

/// A factor that is fitted to the wrong values always brings them a little nearer.
TEST(HintFactor, OneElementJustPastItsToleranceIsNoFactor) {
  const Problem problem = dense_model();
  const Trace right = run_permuted(problem, Dtype::f32);
  for (const std::string tap : {"layers.0.mlp", "layers.1.attention.q_proj", "layers.1.mlp.hidden", "norm"}) {
    Tensor<float> values = right.at(tap).to<float>();
    const std::int64_t at =
        std::ranges::max_element(values.data, {}, [](float x) { return std::abs(x); }) - values.data.begin();
    const float before = values[at];
    // What reads the tap may notice before.
    FirstDivergence first;
    for (float error = 1e-7F; first.tap != tap; error *= 1.01F) {
      ASSERT_LT(error, 1.0F);
      values[at] = before * (1 + error);
      const Judgement judgement = judge_float32(problem, with_tap(right, tap, Array::from(values)));
      first = judgement.first_divergence.value_or(FirstDivergence());
    }
    EXPECT_EQ(first.hint, "") << tap;
  }
}

TEST(HintFactor, AFactorForEachRowIsANormalisation) {
  EXPECT_THAT(hint_of_changed(dense_model(), "layers.1.mlp",
                              [](Tensor<float>& x) {
                                for (std::int64_t r = 0; r < x.rows(); ++r) {
                                  for (float& value : x.row(r)) value *= 0.5F + 0.1F * static_cast<float>(r);
                                }
                              }),
              HasSubstr("a factor of its own, 0.5 to 1.4"));
}

// ---- sums and steps ----

TEST(HintOtherTap, AMissingResidualIsNamed) {
  const Problem problem = dense_model();
  const Trace right = run_permuted(problem, Dtype::f32);
  const auto with_term = [&](const std::string& term, float sign) {
    Tensor<float> sum = right.at("layers.1").to<float>();
    const Tensor<float> other = right.at(term).to<float>();
    for (std::int64_t i = 0; i < sum.size(); ++i) sum[i] += sign * other[i];
    return hint_of(problem, "layers.1", sum);
  };
  EXPECT_EQ(with_term("layers.0", -1), "equal to the oracle minus layers.0: left out of a sum");
  EXPECT_EQ(with_term("layers.1.attention", -1),
            "equal to the oracle minus layers.1.attention: left out of a sum");
  EXPECT_EQ(with_term("layers.1.mlp", 1), "equal to the oracle plus layers.1.mlp: added once too often");
}

TEST(HintOtherTap, AStepThatIsSkippedIsNamed) {
  const Problem problem = dense_model();
  const Trace right = run_permuted(problem, Dtype::f32);
  EXPECT_EQ(hint_of(problem, "layers.1.attention_norm", right.at("layers.0").to<float>()),
            "equal to layers.0");
  EXPECT_EQ(hint_of(problem, "layers.0.mlp.hidden", right.at("layers.0.mlp.up_proj").to<float>()),
            "equal to layers.0.mlp.up_proj");
}

TEST(HintOtherTap, AForgottenSharedExpertIsNamedThoughItsShapeIsAnother) {
  const Problem problem = small_problem("moe[" + kModelOfHintPatterns +
                                        ",num_experts=4,moe_shared_experts=1]/batch=2,"
                                        "text_len=5/seed=3");
  const Trace right = run_permuted(problem, Dtype::f32);
  Tensor<float> out = right.at("layers.1.mlp").to<float>();
  const Tensor<float> shared = right.at("layers.1.mlp.shared_expert").to<float>();
  ASSERT_NE(out.shape, shared.shape);
  for (std::int64_t i = 0; i < out.size(); ++i) out[i] -= shared[i];
  EXPECT_THAT(hint_of(problem, "layers.1.mlp", out), HasSubstr("minus layers.1.mlp.shared_expert"));
}

TEST(HintOtherTap, ATapThatIsComputedLaterIsNoCause) {
  const Problem problem = dense_model();
  const Trace right = run_permuted(problem, Dtype::f32);
  EXPECT_EQ(hint_of(problem, "layers.0.attention_norm", right.at("layers.0.mlp_norm").to<float>()), "");
}

TEST(HintOtherTap, AValueThatIsOneRoundingAwayIsNoCopy) {
  const Problem problem = dense_model();
  Tensor<float> values = run_permuted(problem, Dtype::f32).at("layers.0").to<float>();
  for (float& value : values.data) value = std::nextafter(value, 10.0F);
  EXPECT_EQ(hint_of(problem, "layers.1.attention_norm", values), "");
}

// ---- order ----

/// The tap with element i taken from index(i) of the right one.
template <class Index>
std::string hint_of_order(const Problem& problem, const std::string& tap, const Index& index) {
  return hint_of_changed(problem, tap, [&](Tensor<float>& x) {
    const Tensor<float> old = x;
    for (std::int64_t i = 0; i < x.size(); ++i) x[i] = old[index(i, old)];
  });
}

TEST(HintOrder, InterleavedColumnsOfAHead) {
  // Head of 8: the pair (j, j + 4) is at (2j, 2j + 1).
  const auto interleaved = [](std::int64_t i, const Tensor<float>&) {
    const std::int64_t column = i % 8;
    return i - column + column / 2 + column % 2 * 4;
  };
  EXPECT_THAT(hint_of_order(dense_model(), "layers.0.attention.q_proj", interleaved),
              HasSubstr("are interleaved"));
  const auto split = [](std::int64_t i, const Tensor<float>&) {
    const std::int64_t column = i % 8;
    return i - column + column % 4 * 2 + column / 4;
  };
  EXPECT_THAT(hint_of_order(dense_model(), "layers.0.attention.q_proj", split),
              HasSubstr("are de-interleaved"));
}

TEST(HintOrder, HeadsInAnotherOrderOrRepeated) {
  const auto exchanged = [](std::int64_t i, const Tensor<float>&) { return i / 8 % 2 == 0 ? i + 8 : i - 8; };
  const auto repeated = [](std::int64_t i, const Tensor<float>&) { return i / 8 % 2 == 0 ? i : i - 8; };
  EXPECT_THAT(hint_of_order(dense_model(), kContext, exchanged),
              HasSubstr("heads are those of the oracle in the order 1, 0"));
  EXPECT_THAT(hint_of_order(dense_model(), kContext, repeated), HasSubstr("in the order 0, 0"));
}

TEST(HintOrder, HeadsThatWereNotTransposedBack) {
  // (2, 2, 5, 8) read as (2, 5, 2, 8).
  const auto unturned = [](std::int64_t i, const Tensor<float>&) {
    const std::int64_t column = i % 8, row = i / 8 % 10, batch = i / 80;
    const std::int64_t head = row / 5, position = row % 5;
    return batch * 80 + (position * 2 + head) * 8 + column;
  };
  EXPECT_THAT(hint_of_order(dense_model(), kContext, unturned),
              HasSubstr("(B, H, S, d) read as (B, S, H, d)"));
}

TEST(HintOrder, AShiftByOnePosition) {
  const auto late = [](std::int64_t i, const Tensor<float>&) { return i / 16 % 5 == 0 ? i : i - 16; };
  const auto early = [](std::int64_t i, const Tensor<float>&) { return i / 16 % 5 == 4 ? i : i + 16; };
  EXPECT_THAT(hint_of_order(dense_model(), "layers.0", late), HasSubstr("holds the oracle's s - 1"));
  EXPECT_THAT(hint_of_order(dense_model(), "layers.0", early), HasSubstr("holds the oracle's s + 1"));
}

TEST(HintOrder, AShiftByOnePositionInTheCache) {
  const Problem problem = small_problem("dense[" + kModelOfHintPatterns +
                                        "]/batch=2,text_len=6/seed=8/decode=4+1+1");  // (2, 2, 6, 8)
  const auto late = [](std::int64_t i, const Tensor<float>&) { return i / 8 % 6 == 0 ? i : i - 8; };
  for (const std::string tap : {"layers.1.kv_cache.k", "layers.1.kv_cache.v"}) {
    EXPECT_THAT(hint_of_order(problem, tap, late), HasSubstr("holds the oracle's s - 1"));
  }
}

TEST(HintOrder, RepeatedRowsOrColumnsAreNoOrder) {
  const auto repeated_row = [](std::int64_t i, const Tensor<float>&) { return i / 16 == 1 ? i - 16 : i; };
  const auto repeated_column = [](std::int64_t i, const Tensor<float>&) { return i % 16 == 1 ? i - 1 : i; };
  EXPECT_EQ(hint_of_order(dense_model(), "layers.0.mlp", repeated_row), "");
  EXPECT_EQ(hint_of_order(dense_model(), "layers.0.mlp", repeated_column), "");
}

TEST(HintOrder, TransposedAndExchangedAxes) {
  const auto transposed = [](std::int64_t i, const Tensor<float>& x) {
    return i % x.rows() * x.width() + i / x.rows();
  };
  EXPECT_THAT(hint_of_order(dense_model(), "logits", transposed), HasSubstr("transposed"));
  const auto batch_second = [](std::int64_t i, const Tensor<float>& x) {  // (5, 2, W) read as (2, 5, W)
    const std::int64_t row = i / x.width();
    return (row % 2 * 5 + row / 2) * x.width() + i % x.width();
  };
  EXPECT_THAT(hint_of_order(dense_model(), "layers.0", batch_second), HasSubstr("first two axes"));
}

TEST(HintOrder, NoOrderExplainsNoise) {
  const Tensor<float> noise = seeded_tensor("noise", {160}, 5, 1e-3F, 0.0F);
  EXPECT_EQ(hint_of_changed(dense_model(), "layers.0.mlp",
                            [&](Tensor<float>& x) {
                              std::ranges::swap_ranges(x.row(0), x.row(1));
                              for (std::int64_t i = 0; i < x.size(); ++i) x[i] += noise[i];
                            }),
            "");
}

TEST(HintOrder, AnyOtherOrderOfColumnsOrRows) {
  const auto reversed = [](std::int64_t i, const Tensor<float>& x) {
    return i - i % x.width() + x.width() - 1 - i % x.width();
  };
  EXPECT_THAT(hint_of_order(dense_model(), "layers.0.mlp", reversed),
              HasSubstr("columns are the oracle's in another order: 15, 14"));
  const auto rows = [](std::int64_t i, const Tensor<float>& x) {
    const std::int64_t row = i / x.width();
    return (row < 2 ? 1 - row : row) * x.width() + i % x.width();
  };
  EXPECT_THAT(hint_of_order(dense_model(), "layers.0.mlp", rows),
              HasSubstr("rows are the oracle's in another order: 1, 0, 2"));
}

// ---- precision ----

TEST(HintPrecision, ValuesRoundedToAShorterTypeAreNamed) {
  const auto rounded = [](const Tensor<float>& x, auto round) {
    Tensor<float> out = x;
    for (float& value : out.data) value = round(value);
    return out;
  };
  const Problem problem = dense_model();
  const Tensor<float> right = run_permuted(problem, Dtype::f32).at("layers.0.mlp").to<float>();
  EXPECT_THAT(hint_of(problem, "layers.0.mlp",
                      rounded(right, [](float x) { return static_cast<float>(Bfloat16(x)); })),
              HasSubstr("bits of a bfloat16"));
  EXPECT_THAT(hint_of(problem, "layers.0.mlp",
                      rounded(right, [](float x) { return half_to_float(float_to_half(x)); })),
              HasSubstr("bits of a float16"));
}

TEST(HintPrecision, OnlyIfTheErrorIsAFewRoundings) {
  const Problem problem = dense_model();
  const Tensor<float> right = run_permuted(problem, Dtype::f32).at("layers.0.mlp").to<float>();
  const float size = std::abs(*std::ranges::max_element(right.data, {}, [](float x) { return std::abs(x); }));
  const auto hint_with_one_off_by = [&](float roundings) {
    Tensor<float> values = right;
    values[7] += roundings * 0x1p-7F * size;
    for (float& value : values.data) value = static_cast<float>(Bfloat16(value));
    return hint_of(problem, "layers.0.mlp", values);
  };
  EXPECT_THAT(hint_with_one_off_by(3), HasSubstr("bits of a bfloat16"));
  EXPECT_EQ(hint_with_one_off_by(6), "");
}

}  // namespace
}  // namespace forgecheck

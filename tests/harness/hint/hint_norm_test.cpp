// Mistakes in a norm, made by one written here a second time.
#include <cmath>

#include "tests/harness/hint/hint.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;

const std::string kModelOfHintNorm =
    "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24";

/// Small embeddings, so that eps matters in float32.
Problem with_small_stream(const std::string& text) {
  Problem problem = small_problem(text);
  Tensor<float> weight = problem.parameters.at("token_embedding.embedding.weight").to<float>();
  for (float& value : weight.data) value *= 0.05F;
  problem.parameters.insert_or_assign("token_embedding.embedding.weight", Array::from(weight));
  return problem;
}

Problem rms() {
  return with_small_stream("dense[" + kModelOfHintNorm + "]/batch=2,text_len=5/seed=41");
}
Problem layer() {
  return with_small_stream("dense[" + kModelOfHintNorm + ",norm_type=layernorm]/batch=2,text_len=5/seed=42");
}

const std::string kTap = "layers.0.attention_norm";

/// Row by row: out = f(x, weight, bias), x the embedded tokens.
template <class Row>
std::string hint_of_norm(const Problem& problem, const Row& row) {
  const Tensor<float> x = run_permuted(problem, Dtype::f32).at("token_embedding").to<float>();
  const Tensor<float> weight = problem.parameters.at(kTap + ".weight").to<float>();
  const auto bias = problem.parameters.find(kTap + ".bias");
  const Tensor<float> shift =
      bias == problem.parameters.end() ? Tensor<float>(weight.shape) : bias->second.to<float>();
  Tensor<float> out(x.shape);
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    double mean = 0, square = 0;
    for (const float value : x.row(r)) {
      mean += static_cast<double>(value) / static_cast<double>(x.width());
      square += static_cast<double>(value * value) / static_cast<double>(x.width());
    }
    for (std::int64_t j = 0; j < x.width(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      out.row(r)[at] = static_cast<float>(row(static_cast<double>(x.row(r)[at]), mean, square,
                                              static_cast<double>(weight[j]), static_cast<double>(shift[j])));
    }
  }
  return hint_of(problem, kTap, out);
}

TEST(HintNorm, AnotherEps) {
  for (const auto& [eps, name] : {std::pair(1e-6, "eps is 1e-06 instead of 1e-05"), {0.0, "eps is 0.0"}}) {
    EXPECT_THAT(hint_of_norm(rms(), [eps = eps](double x, double, double square, double weight,
                                                double) { return x / std::sqrt(square + eps) * weight; }),
                HasSubstr(name));
  }
}

TEST(HintNorm, EpsOutsideTheRoot) {
  EXPECT_THAT(hint_of_norm(rms(), [](double x, double, double square, double weight,
                                     double) { return x / (std::sqrt(square) + 1e-5) * weight; }),
              HasSubstr("eps stands outside the root"));
}

TEST(HintNorm, TheWeight) {
  EXPECT_THAT(hint_of_norm(rms(), [](double x, double, double square, double,
                                     double) { return x / std::sqrt(square + 1e-5); }),
              HasSubstr("the weight is left out"));
  EXPECT_THAT(hint_of_norm(rms(), [](double x, double, double square, double weight,
                                     double) { return x / std::sqrt(square + 1e-5) * (1 + weight); }),
              HasSubstr("1 + weight"));
}

TEST(HintNorm, LayerNormInsteadOfRmsNormAndTheReverse) {
  EXPECT_THAT(hint_of_norm(rms(),
                           [](double x, double mean, double square, double weight, double) {
                             return (x - mean) / std::sqrt(square - mean * mean + 1e-5) * weight;
                           }),
              HasSubstr("the mean is subtracted, as by LayerNorm"));
  EXPECT_THAT(hint_of_norm(layer(), [](double x, double, double square, double weight,
                                       double bias) { return x / std::sqrt(square + 1e-5) * weight + bias; }),
              HasSubstr("the mean is not subtracted, as by RMSNorm"));
}

TEST(HintNorm, TheBiasAndTheVarianceOfALayerNorm) {
  EXPECT_THAT(hint_of_norm(layer(),
                           [](double x, double mean, double square, double weight, double) {
                             return (x - mean) / std::sqrt(square - mean * mean + 1e-5) * weight;
                           }),
              HasSubstr("the bias is left out"));
  EXPECT_THAT(hint_of_norm(layer(),
                           [](double x, double mean, double square, double weight, double bias) {
                             return (x - mean) / std::sqrt((square - mean * mean) * 16 / 15 + 1e-5) * weight +
                                    bias;
                           }),
              HasSubstr("the variance is divided by n - 1"));
}

TEST(HintNorm, TheNormLeftOutIsTheStepBefore) {
  EXPECT_EQ(hint_of(rms(), kTap, run_permuted(rms(), Dtype::f32).at("token_embedding").to<float>()),
            "equal to token_embedding");
}

TEST(HintNorm, WithoutItsWeightItIsNotTakenForItsInputThoughThatIsNearInBfloat16) {
  // Embedded tokens have a size of about 1.
  const Problem problem = small_problem(
      "dense[dim=128,n_layers=1,n_heads=4,vocab_size=31,max_seq_len=64,ffn_hidden_dim=40]/text_len=9/"
      "seed=90278/bfloat16");
  Problem mistaken = problem;
  const Tensor<float> ones({128}, std::vector<float>(128, 1.0F));
  mistaken.parameters.insert_or_assign(kTap + ".weight", Array::from(ones));
  EXPECT_THAT(hint_at(problem, run_permuted(mistaken, Dtype::bf16), kTap, Dtype::bf16),
              HasSubstr("the weight is left out"));
}

TEST(HintNorm, CrossAttentionsOwnEps) {
  const Problem problem =
      with_small_stream("cross_attention[" + kModelOfHintNorm +
                        ",max_text_len=16,cross_attention_every_n_layers=1,norm_eps=0.01]/"
                        "text_len=4,image_tokens=3/seed=43");
  const std::string tap = "cross_attention_layers.0.mlp_norm";
  const Trace right = run_permuted(problem, Dtype::f32);
  const Tensor<float> a = right.at("layers.0").to<float>(),
                      b = right.at("cross_attention_layers.0.attn").to<float>();
  const Tensor<float> weight = problem.parameters.at(tap + ".weight").to<float>();
  Tensor<float> out(a.shape);
  for (std::int64_t r = 0; r < a.rows(); ++r) {
    double square = 0;
    for (std::int64_t j = 0; j < 16; ++j)
      square += std::pow(static_cast<double>(a[r * 16 + j] + b[r * 16 + j]), 2);
    for (std::int64_t j = 0; j < 16; ++j) {
      out[r * 16 + j] = static_cast<float>(static_cast<double>(a[r * 16 + j] + b[r * 16 + j]) /
                                           std::sqrt(square / 16 + 0.01) * static_cast<double>(weight[j]));
    }
  }
  EXPECT_THAT(hint_of(problem, tap, out), HasSubstr("eps is 0.01 instead of 1e-05"));
}

TEST(HintNorm, ItsInput) {
  const Problem problem = rms();
  const Trace right = run_permuted(problem, Dtype::f32);
  const std::string tap = "layers.1.mlp_norm";
  const auto norm_of = [&](const std::string& input) {
    const Tensor<float> x = right.at(input).to<float>();
    const Tensor<float> weight = problem.parameters.at(tap + ".weight").to<float>();
    Tensor<float> out(x.shape);
    for (std::int64_t r = 0; r < x.rows(); ++r) {
      double square = 0;
      for (const float value : x.row(r)) square += static_cast<double>(value * value) / 16;
      for (std::int64_t j = 0; j < 16; ++j) {
        out[r * 16 + j] = static_cast<float>(static_cast<double>(x[r * 16 + j]) / std::sqrt(square + 1e-5) *
                                             static_cast<double>(weight[j]));
      }
    }
    return hint_of(problem, tap, out);
  };
  EXPECT_THAT(norm_of("layers.0"), HasSubstr("its input lacks layers.1.attention"));
  EXPECT_THAT(norm_of("layers.1.attention"), HasSubstr("without the residual"));
}

TEST(HintNorm, OfEachHead) {
  const Problem problem =
      small_problem("dense[" + kModelOfHintNorm + ",qk_norm=true]/batch=2,text_len=5/seed=44");
  const std::string tap = "layers.1.attention.q_norm";
  const Trace right = run_permuted(problem, Dtype::f32);
  const Tensor<float> x = right.at("layers.1.attention.q_proj").to<float>();  // two heads of 8 in a row
  const Tensor<float> weight = problem.parameters.at(tap + ".weight").to<float>();
  const auto norm_over = [&](std::int64_t size, double eps) {
    Tensor<float> out(right.at(tap).shape());
    for (std::int64_t i = 0; i < x.size(); ++i) {
      double square = 0;
      for (std::int64_t j = 0; j < size; ++j) {
        square += std::pow(static_cast<double>(x[i / size * size + j]), 2) / static_cast<double>(size);
      }
      out[i] = static_cast<float>(static_cast<double>(x[i]) / std::sqrt(square + eps) *
                                  static_cast<double>(weight[i % 8]));
    }
    return hint_of(problem, tap, out);
  };
  EXPECT_THAT(norm_over(16, 1e-5), HasSubstr("the mean runs over all heads instead of each"));
  EXPECT_EQ(hint_of(problem, tap, x.reshaped(right.at(tap).shape())), "equal to layers.1.attention.q_proj");
}

/// The norms of the heads have an eps of their own.
TEST(HintNorm, OfEachHeadWithItsOwnEps) {
  const Problem problem = small_problem(
      "dense[dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32,ffn_"
      "hidden_dim=24,qk_norm=true,norm_eps=0.01]/batch=2,text_len=5/seed=44");
  for (const std::string part : {"q", "k"}) {
    const std::string norm = "layers.1.attention." + part + "_norm";
    EXPECT_THAT(hint_of_run(problem, norm,
                            [&](Problem& mistaken) {
                              const Tensor<float> ones({8}, std::vector<float>(8, 1.0F));
                              mistaken.parameters.insert_or_assign(norm + ".weight", Array::from(ones));
                            }),
                HasSubstr("the weight is left out in " + norm));
  }
}

TEST(HintNorm, OfAMixtureOfTransformersStreamAndOfTheLastBlock) {
  const Problem problem = small_problem(small_cases()[5]);
  for (const std::string tap : {"layers.0.attn_norm.image", "layers.1.mlp_norm.text", "mot_norms.image"}) {
    Problem mistaken = problem;
    const Array& weight = problem.parameters.at(tap + ".weight");
    mistaken.parameters.insert_or_assign(
        tap + ".weight", Array::from(Tensor<float>(weight.shape(), std::vector<float>(16, 1.0F))));
    EXPECT_THAT(hint_at(problem, run_permuted(mistaken, Dtype::f32), tap),
                HasSubstr("the weight is left out in " + tap));
  }
}

}  // namespace
}  // namespace forgecheck

// Which mistakes are named: those that hold, the nearest and those as near, within the runs that they may cost.
#include <cmath>

#include "harness/hint/hints.h"
#include "tests/harness/hint/hint.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kNorm = "layers.0.attention_norm";
const std::string kKeys = "layers.1.attention.k_proj";

/// The embedding's size is `size`, so that eps matters in float32.
Problem with_stream(float size) {
  Problem problem = small_problem("dense[" + kSmall + "]/batch=2,text_len=5/seed=41");
  Tensor<float> weight = problem.parameters.at("token_embedding.embedding.weight").to<float>();
  for (float& value : weight.data) value *= size;
  problem.parameters.insert_or_assign("token_embedding.embedding.weight", Array::from(weight));
  return problem;
}

/// The hint where the first norm has no eps, and its values have noise of that relative size.
std::string hint_without_eps(const Problem& problem, float noise) {
  const Tensor<float> x = run_permuted(problem, Dtype::f32).at("token_embedding").to<float>();
  const Tensor<float> weight = problem.parameters.at(kNorm + ".weight").to<float>();
  const Tensor<float> random = seeded_tensor("noise", x.shape, 1, noise, 0);
  Tensor<float> out(x.shape);
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    double square = 0;
    for (const float value : x.row(r)) square += std::pow(static_cast<double>(value), 2) / 16;
    for (std::int64_t j = 0; j < 16; ++j) {
      const double value = static_cast<double>(x[r * 16 + j]) / std::sqrt(square);
      out[r * 16 + j] = static_cast<float>(value * static_cast<double>(weight[j])) * (1 + random[r * 16 + j]);
    }
  }
  return hint_of(problem, kNorm, out);
}

/// eps of 1e-12 gives the same float32 values as none. Those of 1e-8 are within the tolerance, too, but some
/// five times farther off.
TEST(Guessing, OthersAreNamedOnlyIfTheyFitAsWell) {
  const std::string hint = hint_without_eps(with_stream(0.18F), 0);
  EXPECT_THAT(hint, HasSubstr("eps is 0.0 instead of 1e-05"));
  EXPECT_THAT(hint, HasSubstr(", or if eps is 1e-12 instead of 1e-05"));
  EXPECT_THAT(hint, Not(HasSubstr("1e-08")));
}

TEST(Guessing, APredictionThatIsNearButNotWithinTheToleranceIsNotNamed) {
  EXPECT_THAT(hint_without_eps(with_stream(0.05F), 0), HasSubstr("eps is 0.0"));
  EXPECT_EQ(hint_without_eps(with_stream(0.05F), 1e-4F), "");
}

Problem square() {
  return small_problem(
      "dense[dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=16]/"
      "batch=2,text_len=5/seed=53");
}

/// The keys of a run with their weight transposed, and noise.
Trace with_transposed_keys(const Problem& problem, float noise) {
  Problem mistaken = problem;
  const Tensor<float> old = problem.parameters.at(kKeys + ".weight").to<float>();
  Tensor<float> weight = old;
  for (std::int64_t i = 0; i < weight.size(); ++i) weight[i] = old[i % 16 * 16 + i / 16];
  mistaken.parameters.insert_or_assign(kKeys + ".weight", Array::from(weight));
  const Trace run = run_permuted(mistaken, Dtype::f32);
  Tensor<float> keys = run.at(kKeys).to<float>();
  const Tensor<float> random = seeded_tensor("noise", keys.shape, 1, noise, 0);
  for (std::int64_t i = 0; i < keys.size(); ++i) keys[i] *= 1 + random[i];
  return with_tap(run, kKeys, Array::from(keys));
}

TEST(Guessing, AProblemUnderWhichTheTapIsStillWrongIsNotNamed) {
  const Problem problem = square();
  EXPECT_THAT(hint_at(problem, with_transposed_keys(problem, 0), kKeys), HasSubstr("weight is transposed"));
  EXPECT_EQ(hint_at(problem, with_transposed_keys(problem, 1e-3F), kKeys), "");
}

/// What is found out about wrong keys in so many runs, where mistakes are compared in `rows` first.
Hint hint_at_keys(const Problem& problem, const Trace& candidate, std::int64_t runs,
                  const std::vector<std::int64_t>& rows = {}) {
  const ReferenceRun oracle = run_forced(problem, Dtype::f64, kPlain, candidate, Forcing::everything);
  const Trace baseline = run_forced(problem, Dtype::f32, kPlain, candidate, Forcing::everything).trace;
  const WrongTap wrong{problem,
                       candidate,
                       oracle,
                       Dtype::f32,
                       kKeys,
                       place_of(kKeys, problem.definition.architecture),
                       TapNumbers{candidate.at(kKeys).to<double>(), oracle.trace.at(kKeys).to<double>(),
                                  baseline.at(kKeys).to<double>()}};
  return find_hint(wrong, {kKeys}, runs, rows);
}

TEST(Guessing, MistakesAreComparedInTheRowsThatAreGiven) {
  const Problem problem = square();
  EXPECT_THAT(hint_at_keys(problem, with_transposed_keys(problem, 0), 1000, {1, 2}).text,
              HasSubstr("weight is transposed"));
}

TEST(Guessing, AMistakeMustHoldInAllRows) {
  const Problem problem = square();
  const Tensor<float> explained = with_transposed_keys(problem, 0).at(kKeys).to<float>();
  const Trace noisy = with_transposed_keys(problem, 1e-3F);
  Tensor<float> keys = noisy.at(kKeys).to<float>();
  for (const std::int64_t row : {1, 2}) std::ranges::copy(explained.row(row), keys.row(row).begin());
  EXPECT_EQ(hint_at_keys(problem, with_tap(noisy, kKeys, Array::from(keys)), 1000, {1, 2}).text, "");
}

/// Noise that nothing explains, so that every mistake is tried.
TEST(Guessing, ItSaysWhetherEveryMistakeCouldBeTried) {
  const Problem problem = square();
  const Trace candidate = with_transposed_keys(problem, 1e-3F);
  for (const std::int64_t runs : {0, 1, 3}) {
    EXPECT_FALSE(hint_at_keys(problem, candidate, runs).all_tried) << runs;
  }
  EXPECT_TRUE(hint_at_keys(problem, candidate, 1000).all_tried);
}

}  // namespace
}  // namespace forgecheck

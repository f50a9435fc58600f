#include "reference/sampled.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "reference/array.h"
#include "reference/ops/router.h"

namespace forgecheck {
namespace {

constexpr double kUnit = 0x1p-24;
const Sampled kX = Sampled::of(0.7);

/// The results of `compute` in many runs of one kind: with even seeds, or with odd ones.
std::set<double> outcomes(const std::function<Sampled()>& compute, std::uint64_t seed = 2) {
  std::set<double> values;
  for (std::uint64_t run = 0; run < 50; ++run) {
    const Sampling sampling(seed + 2 * run);
    values.insert(compute().value);
  }
  return values;
}

/// Two outcomes, `units` u of `size` above and below `exact`.
void expect_moved(const std::function<Sampled()>& compute, double exact, double units, double size) {
  const std::set<double> values = outcomes(compute);
  ASSERT_EQ(values.size(), 2U);
  EXPECT_NEAR((exact - *values.begin()) / (kUnit * size), units, 1e-6);
  EXPECT_NEAR((*values.rbegin() - exact) / (kUnit * size), units, 1e-6);
}

TEST(Sampling, TheSameSeedDrawsTheSameNumbers) {
  const auto drawn = [](std::uint64_t seed) {
    const Sampling sampling(seed);
    std::vector<double> signs;
    for (int i = 0; i < 200; ++i) signs.push_back(Sampling::sign());
    signs.push_back(Sampling::uniform());
    return signs;
  };
  EXPECT_EQ(drawn(3), drawn(3));
  EXPECT_NE(drawn(3), drawn(4));
}

TEST(Sampling, ThePiecesOfAnOperationDrawByTheirIndex) {
  const auto drawn = [](const std::vector<std::int64_t>& order, std::uint64_t seed, int operation) {
    const Sampling sampling(seed);
    std::map<std::int64_t, double> draws;
    for (int i = 0; i <= operation; ++i) {
      const Sampling::Pieces pieces;
      for (const std::int64_t index : order) {
        const Sampling::Piece piece(pieces, index);
        double bits = 0;
        for (int draw = 0; draw < 40; ++draw) bits = 2 * bits + Sampling::sign();
        draws[index] = bits + Sampling::uniform();
      }
    }
    return draws;
  };
  const auto first = drawn({0, 1, 2}, 3, 0);
  EXPECT_EQ(first, drawn({2, 0, 1}, 3, 0));
  EXPECT_NE(first.at(0), first.at(1));
  EXPECT_NE(first.at(1), first.at(2));
  EXPECT_NE(first.at(0), drawn({0}, 4, 0).at(0)) << "another run";
  EXPECT_NE(first.at(0), drawn({0}, 3, 1).at(0)) << "another operation";
}

// The kind of run and its thresholds are those of the whole run; after a piece the run goes on where it was.
TEST(Sampling, APieceBelongsToItsRun) {
  const auto after = [](bool with_piece) {
    const Sampling sampling(3);
    const Sampling::Pieces pieces;
    const double sign = Sampling::sign(), threshold = Sampling::threshold(0.25);
    if (with_piece) {
      const Sampling::Piece piece(pieces, 7);
      EXPECT_TRUE(Sampling::three_tf32());
      EXPECT_EQ(Sampling::threshold(0.25), threshold);
      EXPECT_NE(Sampling::uniform(), 0);
    }
    std::vector<double> next{sign};
    for (int i = 0; i < 100; ++i) next.push_back(Sampling::sign());
    next.push_back(Sampling::uniform());
    return next;
  };
  EXPECT_EQ(after(true), after(false));
}

TEST(Sampling, NormalDrawsHaveMeanZeroAndVarianceOne) {
  const Sampling sampling(1);
  double sum = 0, squares = 0;
  constexpr int kCount = 100000;
  for (int i = 0; i < kCount; ++i) {
    const double draw = Sampling::normal();
    sum += draw;
    squares += draw * draw;
  }
  EXPECT_NEAR(sum / kCount, 0, 0.015);
  EXPECT_NEAR(squares / kCount, 1, 0.02);
}

TEST(Sampled, SumsAndProductsMoveByOneUnit) {
  const Sampled y = Sampled::of(0.9);
  expect_moved([&] { return kX + y; }, 0.7 + 0.9, 1, 1.6);
  expect_moved([&] { return kX - y; }, 0.7 - 0.9, 1, 0.2);
  expect_moved([&] { return kX * y; }, 0.7 * 0.9, 1, 0.63);
}

/// Whether each of 200 terms, added one after the other, moves the sum up.
std::vector<bool> moves_up(std::uint64_t seed, double first_sum, const std::function<double(int)>& term) {
  const Sampling sampling(seed);
  std::vector<bool> up;
  double sum = first_sum;
  for (int i = 0; i < 200; ++i) {
    const double next = (Sampled::of(sum) + Sampled::of(term(i))).value;
    up.push_back(next > sum + term(i));
    sum = next;
  }
  return up;
}

int count_up(const std::vector<bool>& up) {
  return static_cast<int>(std::ranges::count(up, true));
}

// The bits beyond the sum's last place are those of the term: they are lost, or rounded up, each time.
TEST(Sampled, EqualTermsOfASumLoseTheSame) {
  const auto equal = [](int) { return 0.1; };
  int up = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const int count = count_up(moves_up(seed, 32.01, equal));
    EXPECT_TRUE(count == 0 || count == 200) << count;
    up += count / 200;
  }
  EXPECT_NEAR(up, 100, 35);
}

TEST(Sampled, EqualTermsMayDifferByWhatWasLostBefore) {
  const auto nearly_equal = [](int i) { return 0.1 * (1 + 4 * kUnit * (i % 3 - 1)); };
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const int count = count_up(moves_up(seed, 32.01, nearly_equal));
    EXPECT_TRUE(count == 0 || count == 200) << count;
  }
}

TEST(Sampled, OtherTermsAndSumsOfAnotherSizeLoseOtherParts) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto different = [](int i) { return 0.1 + 1e-3 * i; };
    EXPECT_NEAR(count_up(moves_up(seed, 32.01, different)), 100, 50);
    EXPECT_NEAR(count_up(moves_up(seed, -32.01, different)), 100, 50);
  }
  int changes = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const std::vector<bool> up = moves_up(seed, 16.01, [](int) { return 0.1; });  // twice as large after 160
    EXPECT_EQ(count_up({up.begin(), up.begin() + 159}) % 159, 0);
    changes += up[0] != up[199] ? 1 : 0;
  }
  EXPECT_NEAR(changes, 50, 25);
}

TEST(Sampled, AResultThatIsAFloatIsExact) {
  const Sampled two = 2, half = 0.5F;
  EXPECT_EQ(outcomes([&] { return two + half; }), std::set<double>{2.5});
  EXPECT_EQ(outcomes([&] { return two * half; }), std::set<double>{1.0});
  EXPECT_EQ(outcomes([&] { return exp(Sampled(0)); }), std::set<double>{1.0});
}

TEST(Sampled, ConstantsAreThoseOfFloat32) {
  EXPECT_EQ(Sampled(1e-5).value, static_cast<double>(1e-5F));
}

// The table of the errors of libraries, in u.
TEST(Sampled, FunctionsMoveByWhatLibrariesLose) {
  expect_moved([] { return kX / Sampled(3); }, 0.7 / 3, 4, 0.7 / 3);
  expect_moved([] { return sqrt(kX); }, std::sqrt(0.7), 4, std::sqrt(0.7));
  expect_moved([] { return exp(kX); }, std::exp(0.7), 4 + 2.4 * 0.7, std::exp(0.7));
  expect_moved([] { return exp(-kX); }, std::exp(-0.7), 4 + 2.4 * 0.7, std::exp(-0.7));
  expect_moved([] { return erf(kX); }, std::erf(0.7), 8, 1);
  expect_moved([] { return log(kX); }, std::log(0.7), 6, 1);
  expect_moved([] { return log(Sampled(100)); }, std::log(100), 6, std::log(100));
  expect_moved([] { return cos(kX); }, std::cos(0.7), 4, std::cos(0.7));
  expect_moved([] { return sin(kX); }, std::sin(0.7), 4, std::sin(0.7));
  expect_moved([] { return tanh(kX); }, std::tanh(0.7), 4, std::tanh(0.7));
  expect_moved([] { return pow(kX, Sampled(3)); }, std::pow(0.7, 3), 8, std::pow(0.7, 3));
}

TEST(Sampled, CancellationShows) {
  // 1 + erf(x) near the left tail: the error of erf is 8 u of 1, however small the sum is.
  const std::set<double> values = outcomes([] { return Sampled(1) + erf(Sampled(-3)); });
  EXPECT_GT((*values.rbegin() - *values.begin()) / (1 - std::erf(3.0)), 0.02);
}

TEST(MultiplyAdd, EvenSeedsRoundProductAndSum) {
  for (const double value : outcomes([] { return multiply_add(Sampled(1), kX, kX); }, 4)) {
    EXPECT_NEAR(value, 1.49, 2 * kUnit * 1.49);
    EXPECT_GT(std::abs(value - 1.49), 0.3 * kUnit);
  }
}

// A TF32 number has 11 bits, two of them 22: the error left after three products is 2^-22 of the whole.
TEST(MultiplyAdd, OddSeedsAreThreeProductsOfTf32) {
  const double whole = 1 + 0x1p-12, less = 1 + 0x1p-12 + 0x1p-23;
  EXPECT_EQ(*outcomes([&] { return multiply_add(Sampled(0), Sampled::of(whole), Sampled(1)); }, 3).rbegin(),
            whole);
  EXPECT_EQ(*outcomes([&] { return multiply_add(Sampled(0), Sampled::of(less), Sampled(1)); }, 3).rbegin(),
            whole);
  // small times small is dropped
  const double dropped = whole * whole - 0x1p-24;
  EXPECT_EQ(
      *outcomes([&] { return multiply_add(Sampled(0), Sampled::of(whole), Sampled::of(whole)); }, 3).rbegin(),
      dropped);
}

TEST(MultiplyAdd, SumsOnTensorCoresAreCutOff) {
  const std::set<double> values =
      outcomes([] { return multiply_add(Sampled(0), Sampled(-3), Sampled(1)); }, 3);
  EXPECT_EQ(values, (std::set<double>{-3, -3 * (1 - 0x1p-23)}));
}

TEST(RoundTo, Bfloat16IsOneOfTheTwoNeighboursInProportion) {
  const double below = 1.0, unit = 0x1p-7;
  int above = 0;
  for (std::uint64_t seed = 0; seed < 10000; ++seed) {
    const Sampling sampling(seed);
    const double value = round_to<SampledBfloat16>(Sampled::of(below + 0.25 * unit)).value;
    ASSERT_TRUE(value == below || value == below + unit) << value;
    above += value == below ? 0 : 1;
  }
  EXPECT_NEAR(above, 2500, 200);
}

/// Equal tokens have equal errors in every implementation.
TEST(RoundTo, InOneRunARoundingIsAFunctionThatNeverDecreases) {
  const double unit = 0x1p-7;
  int jumps_elsewhere = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Sampling sampling(seed);
    double before = 0;
    std::set<double> thresholds;
    for (int i = 0; i < 1000; ++i) {
      const double exact = 1 + i * unit / 100;
      const double value = round_to<SampledBfloat16>(Sampled::of(exact)).value;
      ASSERT_GE(value, before);
      if (value > before) thresholds.insert((exact - 1) / unit - std::floor((exact - 1) / unit));
      before = value;
      EXPECT_EQ(round_to<SampledBfloat16>(Sampled::of(exact)).value, value);
    }
    jumps_elsewhere += thresholds.size() > 5 ? 1 : 0;
  }
  EXPECT_EQ(jumps_elsewhere, 20);  // every gap has a threshold of its own
}

TEST(RoundTo, ABfloat16StaysWhatItIs) {
  for (const double value : {0.0, 1.0, -3.140625, 0x1p-133, 0x1p100}) {
    EXPECT_EQ(outcomes([&] { return round_to<SampledBfloat16>(Sampled::of(value)); }),
              std::set<double>{value});
  }
}

TEST(RoundTo, Float32IsTheComputingType) {
  EXPECT_EQ(round_to<SampledFloat>(kX).value, 0.7);
}

TEST(SampledElement, IsReadRoundedAndRecordedUnrounded) {
  Tensor<SampledBfloat16> tensor({1});
  tensor[0] = SampledBfloat16(kX);
  EXPECT_EQ(static_cast<Sampled>(tensor[0]).value, static_cast<double>(static_cast<float>(Bfloat16(0.7F))));
  const Array array = Array::from(tensor);
  EXPECT_EQ(array.dtype(), Dtype::f64);
  EXPECT_EQ(array.at(0), 0.7);
  EXPECT_EQ(array.to<SampledBfloat16>()[0].value.bits, Bfloat16(0.7F).bits);
  EXPECT_EQ(array.to<SampledFloat>()[0].value, 0.7F);
}

TEST(PartialSum, IsRoundedAnewInBfloat16) {
  const SampledBfloat16 element(Sampled::of(1 + 0x1p-8));
  std::set<double> values;
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    values.merge(outcomes([&] { return partial_sum(element); }, seed));
  EXPECT_EQ(values, (std::set<double>{1.0, 1 + 0x1p-7}));
  EXPECT_EQ(partial_sum(Bfloat16(1.5F)), 1.5F);
}

TEST(TopK, EqualScoresAreChosenInAnyOrderOfASampledRun) {
  const Sampling sampling(2);
  const Tensor<SampledFloat> scores =
      Array::from(Tensor<float>({1, 4}, {0.5F, 0.5F, 0.1F, 0.5F})).to<SampledFloat>();
  std::set<std::int64_t> first;
  for (int draw = 0; draw < 100; ++draw) first.insert(top_k(scores, 1)[0]);
  EXPECT_EQ(first, (std::set<std::int64_t>{0, 1, 3}));
}

}  // namespace
}  // namespace forgecheck

#include "reference/ops/activation.h"

#include <limits>

#include "reference/array.h"
#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

// x times the standard normal distribution function; the tanh form gives 0.841192 and -0.158808 at 1 and -1.
TEST(Gelu, IsTheExactErfForm) {
  const auto out = activate(doubles({5}, {1, -1, 2, 0, -3}), Activation::gelu, kPlain);
  EXPECT_THAT(numbers(out), AreNear({0.8413447460685429, -0.15865525393145705, 1.9544997361036416, 0,
                                     -3 * 0.0013498980316300946}));
}

TEST(Silu, IsXTimesSigmoid) {
  const auto out = activate(doubles({4}, {1, -1, kLn3, 0}), Activation::silu, kPlain);
  EXPECT_THAT(numbers(out), AreNear({0.7310585786300049, -0.2689414213699951, 0.75 * kLn3, 0}));
}

TEST(Silu, FarFromZeroIsXOrZero) {
  const auto out = activate(doubles({2}, {800, -800}), Activation::silu, kPlain);
  EXPECT_EQ(numbers(out), (std::vector<double>{800, 0}));
}

TEST(Relu, KeepsPositiveAndZeroesNegative) {
  const auto out = activate(doubles({4}, {2.5, -2.5, 0, -1e-300}), Activation::relu, kPlain);
  EXPECT_EQ(numbers(out), (std::vector<double>{2.5, 0, 0, 0}));
}

// As PyTorch's.
TEST(Relu, AZeroKeepsItsSign) {
  const auto out = activate(doubles({2}, {-0.0, 0.0}), Activation::relu, kPlain);
  EXPECT_TRUE(std::signbit(out[0]));
  EXPECT_FALSE(std::signbit(out[1]));
}

TEST(Relu, NanStaysNan) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(activate(doubles({1}, {nan}), Activation::relu, kPlain)[0]));
  const auto narrow = activate(tensor<Bfloat16>({1}, {nan}), Activation::relu, kPlain);
  EXPECT_TRUE(std::isnan(static_cast<float>(narrow[0])));
}

TEST(Activation, Bfloat16RoundsOnce) {
  for (int i = -40; i <= 40; ++i) {
    const float x = bf16(0.13F * static_cast<float>(i));
    const auto input = tensor<Bfloat16>({1}, {x});
    EXPECT_EQ(numbers(activate(input, Activation::silu, kPlain)), bf16_numbers({x / (1.0F + std::exp(-x))}));
    EXPECT_EQ(numbers(activate(input, Activation::gelu, kPlain)),
              bf16_numbers({0.5F * x * (1.0F + std::erf(x / std::sqrt(2.0F)))}));
  }
}

constexpr Arithmetic kOneDnn{.library = linalg::Library::onednn};

// As many roundings as the two of the formula and those of oneDNN's exp.
TEST(Silu, OneDnnsIsTheSameFunction) {
  Tensor<float> x({3, 777});
  for (std::int64_t i = 0; i < x.size(); ++i) x[i] = 0.01F * static_cast<float>(i - 1200);
  const Tensor<float> exact = activate(x, Activation::silu, kPlain),
                      out = activate(x, Activation::silu, kOneDnn);
  ASSERT_EQ(out.shape, x.shape);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    ASSERT_NEAR(out[i], exact[i], 8 * 0x1p-24 * std::abs(exact[i])) << x[i];
  }
  EXPECT_FALSE(identical(out, exact)) << "oneDNN's exp is another one";
  // In another size, and back.
  EXPECT_EQ(numbers(activate(tensor<float>({1}, {0}), Activation::silu, kOneDnn)), std::vector<double>{0});
  EXPECT_TRUE(identical(activate(x, Activation::silu, kOneDnn), out));
  EXPECT_EQ(activate(Tensor<float>({0, 3}), Activation::silu, kOneDnn).size(), 0);
}

// Far from zero, where exp leaves float's range, and at what is no number.
TEST(Silu, OneDnnsIsTheSameAtTheEdges) {
  const float infinity = std::numeric_limits<float>::infinity();
  const Tensor<float> x({6}, {-1000, -80, -1e-40F, 80, 1000, infinity});
  const Tensor<float> exact = activate(x, Activation::silu, kPlain),
                      out = activate(x, Activation::silu, kOneDnn);
  for (std::int64_t i = 0; i < x.size() - 1; ++i) {
    EXPECT_NEAR(out[i], exact[i], 8 * 0x1p-24 * std::abs(exact[i])) << x[i];
  }
  EXPECT_EQ(out[5], infinity);
  for (const float no_number : {std::numeric_limits<float>::quiet_NaN(), -infinity}) {
    const Tensor<float> nan = tensor<float>({1}, {no_number});
    EXPECT_TRUE(std::isnan(activate(nan, Activation::silu, kPlain)[0])) << no_number;
    EXPECT_TRUE(std::isnan(activate(nan, Activation::silu, kOneDnn)[0])) << no_number;
  }
}

TEST(Silu, OneDnnsIsRoundedOnceToBfloat16) {
  for (int i = -40; i <= 40; ++i) {
    const float x = bf16(0.13F * static_cast<float>(i));
    const auto input = tensor<Bfloat16>({1}, {x});
    EXPECT_EQ(numbers(activate(input, Activation::silu, kOneDnn)),
              numbers(activate(input, Activation::silu, kPlain)));
  }
}

TEST(Activation, OneDnnComputesSiluOfFloatsAlone) {
  Tensor<float> x({64});
  for (std::int64_t i = 0; i < x.size(); ++i) x[i] = 0.1F * static_cast<float>(i - 32);
  EXPECT_TRUE(identical(activate(x, Activation::gelu, kOneDnn), activate(x, Activation::gelu, kPlain)));
  EXPECT_TRUE(identical(activate(x, Activation::relu, kOneDnn), activate(x, Activation::relu, kPlain)));
  const Tensor<double> wide = Array::from(x).to<double>();
  EXPECT_TRUE(identical(activate(wide, Activation::silu, kOneDnn), activate(wide, Activation::silu, kPlain)));
}

// silu(ln 3) = 3/4 ln 3; the other way round it would be silu(4) ln 3.
TEST(Swiglu, GateGoesThroughSilu) {
  const auto out = swiglu(doubles({2}, {kLn3, 0}), doubles({2}, {4, 9}), kPlain);
  EXPECT_THAT(numbers(out), AreNear({3 * kLn3, 0}));
}

TEST(Swiglu, Bfloat16RoundsSiluThenTheProduct) {
  int rounded_differently = 0;
  for (int i = 1; i <= 64; ++i) {
    const float gate = bf16(0.11F * static_cast<float>(i)), up = bf16(1.7F - 0.3F * static_cast<float>(i));
    const auto out = swiglu(tensor<Bfloat16>({1}, {gate}), tensor<Bfloat16>({1}, {up}), kPlain);
    const float silu = gate / (1.0F + std::exp(-gate));
    EXPECT_EQ(numbers(out), bf16_numbers({bf16(silu) * up}));
    if (bf16(bf16(silu) * up) != bf16(silu * up)) ++rounded_differently;
  }
  EXPECT_GT(rounded_differently, 0);
}

TEST(Swiglu, TakesOneDnnsSilu) {
  Tensor<float> gate({200}), up({200});
  for (std::int64_t i = 0; i < gate.size(); ++i) {
    gate[i] = 0.07F * static_cast<float>(i - 100);
    up[i] = static_cast<float>(i);
  }
  const Tensor<float> silu = activate(gate, Activation::silu, kOneDnn), out = swiglu(gate, up, kOneDnn);
  for (std::int64_t i = 0; i < gate.size(); ++i) ASSERT_EQ(out[i], silu[i] * up[i]);
  EXPECT_FALSE(identical(out, swiglu(gate, up, kPlain)));
}

TEST(Swiglu, ShapesMustAgree) {
  EXPECT_EQ(message_of([] {
              swiglu(doubles({2}, {1, 2}), doubles({1}, {1}), kPlain);
            }),
            "[swiglu] up has shape 1, expected 2");
}

}  // namespace
}  // namespace forgecheck

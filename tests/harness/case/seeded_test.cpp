#include "harness/case/seeded.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "reference/error.h"

namespace forgecheck {
namespace {

// The vectors were not made by this program. Floats are hexadecimal, so no digit is lost.
nlohmann::json vectors() {
  std::ifstream file(FORGECHECK_SOURCE_DIR "/tests/data/seeded_vectors.json");
  return nlohmann::json::parse(file);
}

std::uint64_t to_uint64(const nlohmann::json& text) {
  return std::stoull(text.get<std::string>(), nullptr, 0);
}

float to_float(const nlohmann::json& text) {
  const double value = std::strtod(text.get<std::string>().c_str(), nullptr);
  EXPECT_EQ(static_cast<double>(static_cast<float>(value)), value) << text << " is not a float32";
  return static_cast<float>(value);
}

std::uint32_t bits(float value) {
  return std::bit_cast<std::uint32_t>(value);
}

std::string_view bytes_of(const Tensor<float>& x) {
  static_assert(std::endian::native == std::endian::little);
  return {reinterpret_cast<const char*>(x.data.data()), x.data.size() * sizeof(float)};
}

const std::map<std::string, ParameterKind> kKindOfVector = {
    {"layers.0.attention.q_proj.weight", ParameterKind::linear},
    {"token_embedding.embedding.weight", ParameterKind::embedding},
    {"layers.3.mlp.router.gate.weight", ParameterKind::router_gate},
    {"layers.0.mlp.router.expert_bias", ParameterKind::expert_bias},
    {"layers.0.mlp.router.expert_ema", ParameterKind::expert_ema},
    {"norm.weight", ParameterKind::norm_weight},
    {"norm.bias", ParameterKind::norm_bias},
    {"layers.1.mlp.up_w", ParameterKind::packed_linear},
    {"adapter.proj1.bias", ParameterKind::adapter_bias},
};

TEST(Seeded, HashesAgreeWithVectors) {
  const nlohmann::json all = vectors();
  EXPECT_EQ(splitmix64(0), to_uint64(all.at("splitmix64(0)")));
  EXPECT_EQ(fnv1a64(""), to_uint64(all.at("fnv1a64('')")));
  // From the test vectors of the FNV authors; 0xff bytes must not be taken as negative.
  EXPECT_EQ(fnv1a64("foobar"), 0x85944171f73967e8U);
  EXPECT_EQ(fnv1a64("\xff"), (0xcbf29ce484222325U ^ 0xffU) * 0x100000001b3U);
}

TEST(Seeded, TensorsAgreeWithVectorsToTheBit) {
  const nlohmann::json all = vectors();
  ASSERT_EQ(all.at("tensors").size(), kKindOfVector.size());
  for (const nlohmann::json& vector : all.at("tensors")) {
    const auto name = vector.at("name").get<std::string>();
    SCOPED_TRACE(name);
    const std::uint64_t seed = to_uint64(vector.at("seed"));
    EXPECT_EQ(seeded_key(name, seed), to_uint64(vector.at("key")));
    const Tensor<float> x = seeded_tensor(name, vector.at("shape").get<Shape>(), seed,
                                          to_float(vector.at("scale")), to_float(vector.at("offset")));
    ASSERT_EQ(x.shape, vector.at("shape").get<Shape>());
    const nlohmann::json& first = vector.at("first");
    ASSERT_FALSE(first.empty());
    for (std::size_t i = 0; i < first.size(); ++i)
      EXPECT_EQ(bits(x.data.at(i)), bits(to_float(first[i]))) << i;
    EXPECT_EQ(bits(x.data.back()), bits(to_float(vector.at("last"))));
    EXPECT_EQ(fnv1a64(bytes_of(x)), to_uint64(vector.at("fnv1a64_of_little_endian_bytes")));
  }
}

// Elements where one rounding of (product + offset) gives the neighbouring float32 instead. The values are
// numpy's float32 arithmetic; none of the vectors in the file tells the two apart.
TEST(Seeded, ProductAndSumAreRoundedSeparately) {
  const Tensor<float> x = seeded_tensor("rounding", {64}, 1, 0.3F, 0.7F);
  EXPECT_EQ(x[5], 0x1.3282b4p-1F);
  EXPECT_EQ(x[22], 0x1.b68b64p-1F);
  EXPECT_EQ(x[26], 0x1.1f5c54p-1F);
  EXPECT_EQ(x[33], 0x1.f4d248p-1F);
}

TEST(Seeded, RulesAgreeWithVectorsToTheBit) {
  const nlohmann::json all = vectors();
  for (const nlohmann::json& vector : all.at("tensors")) {
    const auto name = vector.at("name").get<std::string>();
    SCOPED_TRACE(name);
    const ParameterInfo parameter{name, vector.at("shape").get<Shape>(), kKindOfVector.at(name)};
    const SeededRule rule = seeded_rule(parameter);
    EXPECT_EQ(bits(rule.scale), bits(to_float(vector.at("scale"))));
    EXPECT_EQ(bits(rule.offset), bits(to_float(vector.at("offset"))));
    const Tensor<float> x = seeded_parameter(parameter, to_uint64(vector.at("seed")));
    EXPECT_EQ(fnv1a64(bytes_of(x)), to_uint64(vector.at("fnv1a64_of_little_endian_bytes")));
  }
}

TEST(Seeded, AdapterWeightsFollowTheRuleOfLinearWeights) {
  const SeededRule rule = seeded_rule({"adapter.proj1.weight", {28, 12}, ParameterKind::adapter_weight});
  EXPECT_EQ(rule.scale, 0.5F);  // sqrt(3 / 12): the last axis is summed over
  EXPECT_EQ(rule.offset, 0.0F);
}

TEST(Seeded, PackedWeightsScaleByAxisOne) {
  EXPECT_EQ(seeded_rule({"up_w", {4, 12, 48}, ParameterKind::packed_linear}).scale, 0.5F);
}

TEST(Seeded, ValuesFillTheRangeAroundTheOffset) {
  const Tensor<float> x = seeded_tensor("range", {20000}, 3, 0.25F, 1.0F);
  double low = 2.0;
  double high = 0.0;
  double sum = 0.0;
  for (const float value : x.data) {
    low = std::min(low, static_cast<double>(value));
    high = std::max(high, static_cast<double>(value));
    sum += static_cast<double>(value);
  }
  EXPECT_GE(low, 0.75);
  EXPECT_LT(high, 1.25);
  // Of 20000 uniform draws, the chance of none in the outer 0.1% of a side is exp(-20).
  EXPECT_LT(low, 0.7505);
  EXPECT_GT(high, 1.2495);
  EXPECT_NEAR(sum / 20000, 1.0, 5 * 0.25 / std::sqrt(3.0 * 20000));
}

TEST(Seeded, NameAndSeedBothChangeEveryTensor) {
  const Tensor<float> x = seeded_tensor("a", {64}, 0, 1.0F, 0.0F);
  EXPECT_EQ(x.data, seeded_tensor("a", {8, 8}, 0, 1.0F, 0.0F).data);
  EXPECT_NE(x.data, seeded_tensor("b", {64}, 0, 1.0F, 0.0F).data);
  EXPECT_NE(x.data, seeded_tensor("a", {64}, 1, 1.0F, 0.0F).data);
}

TEST(Seeded, ScalarAndEmptyShapesWork) {
  EXPECT_EQ(seeded_tensor("s", {}, 0, 1.0F, 0.0F).size(), 1);
  EXPECT_EQ(seeded_tensor("e", {3, 0}, 0, 1.0F, 0.0F).size(), 0);
}

TEST(Seeded, RefusesShapeWithoutTheSummedAxis) {
  const std::pair<Shape, ParameterKind> wrong[] = {{{}, ParameterKind::linear},
                                                   {{4, 0}, ParameterKind::router_gate},
                                                   {{4}, ParameterKind::packed_linear},
                                                   {{0}, ParameterKind::expert_ema}};
  for (const auto& [shape, kind] : wrong) {
    try {
      seeded_rule({"layers.0.odd", shape, kind});
      ADD_FAILURE() << "shape " << to_string(shape) << " was accepted";
    } catch (const ShapeError& error) {
      EXPECT_NE(std::string(error.what()).find("\"layers.0.odd\" of shape " + to_string(shape)),
                std::string::npos)
          << error.what();
    }
  }
}

}  // namespace
}  // namespace forgecheck

#include "reference/enum_table.h"

#include <gtest/gtest.h>

#include "reference/config.h"
#include "reference/linalg/matmul.h"
#include "reference/options.h"
#include "reference/parameters.h"
#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

enum class Fruit { apple, pear, plum };

constexpr Named<Fruit> kFruits[] = {{Fruit::apple, "apple"}, {Fruit::pear, "pear"}, {Fruit::plum, "plum"}};
constexpr Named<Fruit> kNoPlum[] = {{Fruit::apple, "apple"}, {Fruit::pear, "pear"}};
constexpr Named<Fruit> kPearTwice[] = {{Fruit::apple, "apple"}, {Fruit::pear, "pear"}, {Fruit::pear, "pear"}};
constexpr Fruit kList[] = {Fruit::apple, Fruit::pear, Fruit::plum};
constexpr Fruit kDraws[] = {Fruit::plum, Fruit::plum, Fruit::apple, Fruit::pear};
constexpr Fruit kDrawsWithoutPear[] = {Fruit::plum, Fruit::apple, Fruit::apple};

TEST(EnumTable, IsCompleteWithEveryValueOnce) {
  EXPECT_TRUE(is_complete<kFruits>());
  EXPECT_TRUE(is_complete<kList>());
  EXPECT_FALSE(is_complete<kNoPlum>());
  EXPECT_FALSE(is_complete<kPearTwice>());
}

TEST(EnumTable, ListsAreHeldAgainstIt) {
  EXPECT_TRUE(holds_all_of(kDraws, kFruits));
  EXPECT_FALSE(holds_all_of(kDrawsWithoutPear, kFruits));
}

TEST(EnumTable, ValuesWithoutNameAreNamedInTheError) {
  EXPECT_EQ(name_of(kFruits, "fruit", Fruit::plum), "plum");
  EXPECT_EQ(message_of<Error>([] { name_of(kFruits, "fruit", static_cast<Fruit>(3)); }),
            "fruit = 3: not a value of its enumeration");
}

/// Checks that a function that branches on an enumeration throws for any other value.
template <class Enum, class Choice>
void expect_refused(const Choice& choice) {
  EXPECT_EQ(message_of<Error>([&] {
              choice(static_cast<Enum>(77));
            }).find(" = 77: not a value of its enumeration") == std::string::npos,
            false);
}

TEST(Choices, RefuseWhatIsNoValue) {
  expect_refused<NormType>([](NormType value) { to_string(value); });
  expect_refused<NormType>([](NormType value) { has_bias(value); });
  expect_refused<Activation>([](Activation value) { to_string(value); });
  expect_refused<Activation>([](Activation value) { is_swiglu(value); });
  expect_refused<RouterType>([](RouterType value) { to_string(value); });
  expect_refused<RouterType>([](RouterType value) { keeps_state(value); });
  expect_refused<BiasSchedule>([](BiasSchedule value) { to_string(value); });
  expect_refused<VlmArch>([](VlmArch value) { to_string(value); });
  expect_refused<VlmArch>([](VlmArch value) { images_in_residual(value); });
  expect_refused<VlmArch>([](VlmArch value) { needs_modality_ids(value); });
  expect_refused<AdapterType>([](AdapterType value) { to_string(value); });
  expect_refused<AdapterType>([](AdapterType value) { pools(value); });
  expect_refused<LossKind>([](LossKind value) { to_string(value); });
  expect_refused<Dtype>([](Dtype value) { size_of(value); });
  expect_refused<Dtype>([](Dtype value) { is_floating_point(value); });
  expect_refused<Dtype>([](Dtype value) { machine_epsilon(value); });
  expect_refused<linalg::Library>([](linalg::Library value) { name(value); });
  expect_refused<linalg::Library>([](linalg::Library value) { linalg::unavailable_reason(value, true); });
  expect_refused<linalg::Order>([](linalg::Order value) { name(value); });
}

TEST(Choices, OfAModelRefuseWhatIsNoValue) {
  Architecture architecture;
  architecture.vlm.emplace().arch = static_cast<VlmArch>(77);
  expect_refused<VlmArch>([&](VlmArch) { model_parameters(architecture); });
  expect_refused<VlmArch>([&](VlmArch) { validate(architecture); });
  expect_refused<VlmArch>([&](VlmArch) { architecture.vlm->resolved_heads(architecture.model); });
  expect_refused<VlmArch>([&](VlmArch) { architecture.vlm->resolved_kv_heads(architecture.model); });
}

}  // namespace
}  // namespace forgecheck

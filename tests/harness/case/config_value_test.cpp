// The text of single values and of lists of fields, both ways.
#include "harness/case/config_value.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "reference/error.h"

namespace forgecheck {
namespace {

using List = std::vector<std::string>;
using Map = std::map<std::string, std::int64_t>;

TEST(ConfigValue, TextIsTheShortestThatReadsBack) {
  const std::vector<std::pair<FieldValue, std::string>> cases = {
      {true, "true"},
      {false, "false"},
      {std::int64_t{-3}, "-3"},
      {std::numeric_limits<std::int64_t>::min(), "-9223372036854775808"},
      {1e-5, "1e-05"},
      {0.0001, "0.0001"},
      {0.1, "0.1"},
      {2.0, "2.0"},
      {-0.0, "-0.0"},
      {500000.0, "500000.0"},
      {1e15, "1000000000000000.0"},
      {1e16, "1e+16"},
      {1234567.0, "1234567.0"},
      {5e-324, "5e-324"},
      {std::numeric_limits<double>::infinity(), "inf"},
      {-std::numeric_limits<double>::infinity(), "-inf"},
      {std::string("silu"), "silu"},
      {std::string("joint_decoder"), "joint_decoder"},
      {std::string(), "\"\""},
      {std::string("true"), "\"true\""},
      {std::string("inf"), "\"inf\""},
      {std::string("64"), "\"64\""},
      {std::string("a/b c"), "\"a/b c\""},
      {std::string("say \"no\"\\\n"), "\"say \\\"no\\\"\\\\\\n\""},
      {List{"image", "text"}, "[image,text]"},
      {List{}, "[]"},
      {List{"a,b", "1"}, "[\"a,b\",\"1\"]"},
      {Map{{"image", 2}, {"text", 3}}, "{image=2,text=3}"},
      {Map{}, "{}"},
      {Map{{"a=b", -1}}, "{\"a=b\"=-1}"},
  };
  for (const auto& [value, text] : cases) {
    EXPECT_EQ(format_value(value), text);
    EXPECT_EQ(parse_value(text), value) << text;
  }
}

TEST(ConfigValue, NanReadsBack) {
  const FieldValue value = parse_value(format_value(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_TRUE(std::isnan(std::get<double>(value)));
}

TEST(ConfigValue, EveryDoubleReadsBackToTheBit) {
  std::mt19937_64 generator(7);
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t bits = generator();
    double value = 0;
    static_assert(sizeof bits == sizeof value);
    std::copy_n(reinterpret_cast<const char*>(&bits), sizeof value, reinterpret_cast<char*>(&value));
    if (std::isnan(value)) continue;
    EXPECT_EQ(std::get<double>(parse_value(format_value(value))), value);
  }
}

TEST(ConfigValue, BrokenTextIsQuotedInTheMessage) {
  for (const char* text : {"", "1x", "1.5.2", "\"open", "\"bad \\q\"", "[image", "[image,]", "[1]", "{image}",
                           "{image=}", "{image=x}", "{image=1.5}", "{image=1,image=2}", "a b", "[a]b",
                           "silu,relu", "9223372036854775808", "1e999"}) {
    try {
      parse_value(text);
      ADD_FAILURE() << text << " was accepted";
    } catch (const ConfigError& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("\"" + std::string(text) + "\": ")) << error.what();
    }
  }
}

TEST(ConfigValue, FieldsAreSplitAtOuterCommasOnly) {
  const FieldList fields =
      parse_fields("arch=moma,moma_modalities=[image,text],path=\"a,b=c\",x={image=2,text=3}");
  const FieldList expected = {{"arch", std::string("moma")},
                              {"moma_modalities", List{"image", "text"}},
                              {"path", std::string("a,b=c")},
                              {"x", Map{{"image", 2}, {"text", 3}}}};
  EXPECT_EQ(fields, expected);
  EXPECT_TRUE(parse_fields("").empty());
}

TEST(ConfigValue, BrokenFieldsAreRejected) {
  for (const char* text : {"dim", "dim=", "=3", "dim=3,", "dim=3,dim=4", "dim=3 ", "dim=[a]x", ",dim=3"}) {
    EXPECT_THROW(parse_fields(text), ConfigError) << text;
  }
}

}  // namespace
}  // namespace forgecheck

// The strict reader: its values, its paths, and what it refuses.
#include "harness/io/strict_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reference/error.h"
#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {
namespace {

using testing::StartsWith;

template <class Work>
std::string refusal(const Work& work) {
  try {
    work();
  } catch (const FormatError& error) {
    return error.what();
  }
  return "(accepted)";
}

std::string parse_refusal(const std::string& text) {
  return refusal([&] { parse_json(text, "x.json"); });
}

TEST(StrictJson, ParsesWhatTheLibraryParses) {
  const std::string text = R"({"a": [1, -2, 1.5, "x", true, false, null, {}, []], "b": {"c": {"d": [[3]]}}})";
  EXPECT_EQ(parse_json(text, "x").value, nlohmann::json::parse(text));
  EXPECT_EQ(parse_json(" 7 ", "x").value, 7);
  EXPECT_EQ(parse_json("18446744073709551615", "x").value, UINT64_MAX);
}

TEST(StrictJson, WhatIsNotJsonIsNamedWithItsSource) {
  for (const std::string text :
       {"", "{", "[1,]", "{\"a\":}", "{} x", "{}{}", "nul", "1e", "\"\xff\"", "'a'"}) {
    EXPECT_THAT(parse_refusal(text), StartsWith("x.json: is not valid JSON: ")) << text;
  }
  EXPECT_EQ(parse_refusal(std::string("{}\0x", 4)), "x.json: has a NUL byte at offset 2");
}

TEST(StrictJson, AKeyThatIsThereTwiceIsNamedWithItsPath) {
  EXPECT_EQ(parse_refusal(R"({"a": 1, "a": 2})"), "x.json: a: is given twice");
  EXPECT_EQ(parse_refusal(R"({"a": [{"b": 1}, {"b": {"c": 1, "c": 1}}]})"),
            "x.json: a[1].b.c: is given twice");
  EXPECT_EQ(parse_refusal(R"({"a": 1, "b": {"a": 1}, "c": [{"a": 1}, {"a": 1}]})"), "(accepted)");
}

TEST(StrictJson, ANumberThatNoDoubleHoldsIsNamedWithItsPath) {
  EXPECT_EQ(parse_refusal("1e999"), "x.json: the number 1e999 is too large");
  EXPECT_EQ(parse_refusal("[0, -1e999]"), "x.json: [1]: the number -1e999 is too large");
  EXPECT_EQ(parse_refusal(R"({"results": [{"used": 1}, {"used": 1e400}]})"),
            "x.json: results[1].used: the number 1e400 is too large");
  EXPECT_EQ(parse_refusal(R"({"a": 1e308, "b": 1e-999})"), "(accepted)");
}

TEST(StrictJson, NestingIsBounded) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_EQ(parse_refusal(nested(64)), "(accepted)");
  EXPECT_EQ(parse_refusal(nested(65)), "x.json: is nested more than 64 levels deep");
  EXPECT_EQ(parse_refusal(std::string(1'000'000, '[')), "x.json: is nested more than 64 levels deep");
}

class JsonValueTest : public testing::Test {
 protected:
  JsonValue at(const std::string& key) const { return document_.root().at(key); }

  JsonDocument document_ = parse_json(
      R"({"text": "x", "number": 0.5, "integer": -3, "large": 18446744073709551615, "flag": true, "none": null,
          "list": [1, "two"], "object": {"key": 1, "a b": {"c": 2}}})",
      "x.json");
};

TEST_F(JsonValueTest, ValuesOfTheRightTypeAreRead) {
  EXPECT_EQ(at("text").text(), "x");
  EXPECT_EQ(at("number").number(), 0.5);
  EXPECT_EQ(at("integer").number(), -3.0);
  EXPECT_EQ(at("integer").integer(), -3);
  EXPECT_EQ(at("integer").integer(-3, -3), -3);
  EXPECT_TRUE(at("flag").flag());
  EXPECT_TRUE(at("none").is_null());
  EXPECT_EQ(at("list").items().size(), 2U);
  EXPECT_EQ(at("object").members().size(), 2U);
  EXPECT_EQ(at("text").text_among({"y", "x"}), "x");
  EXPECT_FALSE(document_.root().find("absent"));
}

TEST_F(JsonValueTest, AWrongTypeIsNamedWithPathAndValue) {
  EXPECT_EQ(refusal([&] { at("number").text(); }), "x.json: number: expected a text, got 0.5");
  EXPECT_EQ(refusal([&] { at("text").number(); }), "x.json: text: expected a number, got \"x\"");
  EXPECT_EQ(refusal([&] { at("integer").flag(); }), "x.json: integer: expected true or false, got -3");
  EXPECT_EQ(refusal([&] { at("list").items()[1].number(); }),
            "x.json: list[1]: expected a number, got \"two\"");
  EXPECT_EQ(refusal([&] { at("text").items(); }), "x.json: text: expected a list, got \"x\"");
  EXPECT_EQ(refusal([&] { at("list").members(); }), "x.json: list: expected an object, got [1,\"two\"]");
  EXPECT_EQ(refusal([&] { at("list").at("key"); }), "x.json: list: expected an object, got [1,\"two\"]");
  EXPECT_EQ(refusal([&] { at("object").at("a b").at("c").text(); }),
            "x.json: object[\"a b\"].c: expected a text, got 2");
  EXPECT_EQ(refusal([&] {
              at("text").text_among({"y", "z"});
            }),
            "x.json: text: expected one of y, z, got \"x\"");
  EXPECT_EQ(refusal([&] { document_.root("case").at("flag").text(); }),
            "x.json: case.flag: expected a text, got true");
}

TEST_F(JsonValueTest, AnIntegerOutOfRangeIsNamedWithTheRange) {
  EXPECT_EQ(refusal([&] { at("number").integer(); }),
            "x.json: number: expected an integer below 2^63, got 0.5");
  EXPECT_EQ(refusal([&] { at("large").integer(); }),
            "x.json: large: expected an integer below 2^63, got 18446744073709551615");
  EXPECT_EQ(refusal([&] { at("integer").integer(0); }),
            "x.json: integer: expected an integer from 0 to 2^63 - 1, got -3");
  EXPECT_EQ(refusal([&] { at("integer").integer(1, 5); }),
            "x.json: integer: expected an integer from 1 to 5, got -3");
  EXPECT_EQ(refusal([&] { at("integer").integer(-9, -4); }),
            "x.json: integer: expected an integer from -9 to -4, got -3");
  EXPECT_EQ(refusal([&] { at("integer").integer(1, 1); }), "x.json: integer: expected 1, got -3");
}

TEST_F(JsonValueTest, TheLargestIntegerIsRead) {
  const auto document =
      parse_json("[9223372036854775807, 9223372036854775808, -9223372036854775808]", "x.json");
  const std::vector<JsonValue> items = document.root().items();
  EXPECT_EQ(items[0].integer(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(refusal([&] { items[1].integer(0); }),
            "x.json: [1]: expected an integer from 0 to 2^63 - 1, got 9223372036854775808");
  EXPECT_EQ(refusal([&] { items[1].integer(); }),
            "x.json: [1]: expected an integer below 2^63, got 9223372036854775808");
  EXPECT_EQ(items[2].integer(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(items[0].integer(0), std::numeric_limits<std::int64_t>::max());
}

TEST_F(JsonValueTest, AnUnknownKeyIsNamedWithTheNearestKnownOne) {
  EXPECT_EQ(refusal([&] { at("object").require_keys({"key", "a b"}); }), "(accepted)");
  EXPECT_EQ(refusal([&] {
              at("object").require_keys({"kay", "a b"});
            }),
            "x.json: object.key: unknown field, did you mean kay?");
  EXPECT_EQ(refusal([&] {
              at("object").require_keys({"other", "a b"});
            }),
            "x.json: object.key: unknown field, expected one of other, a b");
  EXPECT_EQ(refusal([&] { at("text").require_keys({"a"}); }), "x.json: text: expected an object, got \"x\"");
}

TEST_F(JsonValueTest, AMissingMemberIsNamedWithItsPath) {
  EXPECT_EQ(refusal([&] { at("object").at("kez"); }), "x.json: object.kez: is missing");
}

TEST(StrictJson, LongValuesAreCutInMessages) {
  const JsonDocument document = parse_json("\"" + std::string(1000, 'n') + "\"", "x.json");
  EXPECT_EQ(refusal([&] { document.root().number(); }),
            "x.json: expected a number, got \"" + std::string(119, 'n') + "...");
}

// A report must stay valid UTF-8: a character of several bytes is shown whole or not at all.
TEST(StrictJson, LongValuesAreCutBetweenCharacters) {
  const auto shown_of = [](std::size_t letters, const std::string& character) {
    return shown(nlohmann::json(std::string(letters, 'n') + character + std::string(100, 'm')));
  };
  for (const std::string character : {"\u00e9", "\u20ac", "\U0001f600"}) {
    const std::size_t bytes = character.size();
    // The quote, the letters and the character are 120 bytes, and then up to all but one byte more.
    const std::size_t letters = 119 - bytes;
    EXPECT_EQ(shown_of(letters, character), "\"" + std::string(letters, 'n') + character + "...");
    for (std::size_t more = 1; more <= bytes; ++more) {
      EXPECT_EQ(shown_of(letters + more, character), "\"" + std::string(letters + more, 'n') + "...") << more;
    }
  }
  EXPECT_EQ(shown(nlohmann::json(std::string(118, 'n'))), "\"" + std::string(118, 'n') + "\"");
}

TEST(StrictJson, FilesAreNamedByTheirPath) {
  const TemporaryDirectory directory;
  EXPECT_EQ(read_json(directory.write("a.json", "[1]")).value, nlohmann::json::parse("[1]"));
  const auto message_of = [&](const std::string& text) {
    const auto path = directory.write("a.json", text);
    const std::string message = refusal([&] { read_json(path); });
    EXPECT_THAT(message, StartsWith(path.string() + ": "));
    return message.substr(std::min(message.size(), path.string().size() + 2));
  };
  EXPECT_THAT(message_of("{"), StartsWith("is not valid JSON"));
  EXPECT_THAT(message_of(""), StartsWith("is not valid JSON"));
  EXPECT_EQ(message_of("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n"),
            "is a Git LFS pointer, not the file itself: run git lfs pull");
  EXPECT_THAT(refusal([&] { read_json(directory.path() / "gone.json"); }),
              testing::HasSubstr("gone.json: cannot be opened"));
  EXPECT_THAT(refusal([&] { read_json(directory.path()); }), testing::HasSubstr("Is a directory"));
}

}  // namespace
}  // namespace forgecheck

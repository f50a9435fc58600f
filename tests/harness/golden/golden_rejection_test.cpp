// A file that is no golden, or whose metadata are not what they must be, is refused with its path and the
// field.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/golden/golden_file.h"
#include "harness/io/safetensors.h"
#include "reference/error.h"
#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Rejection {
  std::string metadata;
  std::vector<std::string> named;
};

void PrintTo(const Rejection& rejection, std::ostream* out) {
  *out << rejection.metadata;
}

class GoldenRejection : public testing::TestWithParam<Rejection> {
 protected:
  GoldenRejection() : path_(directory_.path() / "x.safetensors") {}

  /// The message of the FormatError or ConfigError of reading a file; "(accepted)" without one.
  std::string rejection(const std::map<std::string, Array>& tensors,
                        const std::map<std::string, std::string>& metadata) const {
    write_safetensors(path_, tensors, metadata);
    return rejection();
  }
  std::string rejection() const {
    try {
      read_golden(path_, "x");
    } catch (const FormatError& error) {
      return error.what();
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "(accepted)";
  }

  static const std::map<std::string, Array>& tensors() {
    static const std::map<std::string, Array> value = {
        {"input.tokens", Array::from(Tensor<std::int64_t>({1, 2}))},
        {"expected.logits", Array::from(Tensor<float>({1, 2, 3}))}};
    return value;
  }

  TemporaryDirectory directory_;
  std::filesystem::path path_;
};

const char kValid[] = R"({"schema": 1, "weights": "seeded", "producer": {}, "case": {}})";

TEST_P(GoldenRejection, NamesPathAndField) {
  const std::string message = rejection(tensors(), {{"forgecheck", GetParam().metadata}});
  EXPECT_THAT(message, StartsWith(path_.string() + ": "));
  for (const std::string& part : GetParam().named) EXPECT_THAT(message, HasSubstr(part));
}

const Rejection kRejections[] = {
    {"", {"is not valid JSON"}},
    {"{", {"is not valid JSON"}},
    {"[1]", {": expected an object, got [1]"}},
    {R"({"weights": "seeded", "producer": {}, "case": {}})", {"schema: is missing"}},
    {R"({"schema": 2, "weights": "seeded", "producer": {}, "case": {}})",
     {"schema: is 2, of a newer forgecheck; this one reads 1"}},
    {R"({"schema": 2, "new": 3})", {"schema: is 2, of a newer forgecheck; this one reads 1"}},
    {R"({"schema": 0, "weights": "seeded", "producer": {}, "case": {}})", {"schema: expected 1, got 0"}},
    {R"({"schema": "1", "weights": "seeded", "producer": {}, "case": {}})",
     {"schema: expected 1, got \"1\""}},
    {R"({"schema": 1, "producer": {}, "case": {}})", {"weights: is missing"}},
    {R"({"schema": 1, "weights": 3, "producer": {}, "case": {}})", {"weights: expected a text, got 3"}},
    {R"({"schema": 1, "weights": "", "producer": {}, "case": {}})", {"weights: expected", "\"\""}},
    {R"({"schema": 1, "weights": "..", "producer": {}, "case": {}})", {"\"..\""}},
    {R"({"schema": 1, "weights": "../model.safetensors", "producer": {}, "case": {}})",
     {"../model.safetensors"}},
    {R"({"schema": 1, "weights": "/etc/passwd", "producer": {}, "case": {}})", {"/etc/passwd"}},
    {R"({"schema": 1, "weights": "a/b.safetensors", "producer": {}, "case": {}})", {"a/b.safetensors"}},
    {R"({"schema": 1, "weights": "seeded", "case": {}})", {"producer: is missing"}},
    {R"({"schema": 1, "weights": "seeded", "producer": "me", "case": {}})",
     {"producer: expected an object, got \"me\""}},
    {R"({"schema": 1, "weights": "seeded", "producer": {"version": 3}, "case": {}})",
     {"producer.version: expected a text, got 3"}},
    {R"({"schema": 1, "weights": "seeded", "producer": {}})", {"case: is missing"}},
    {R"({"schema": 1, "weights": "seeded", "producer": {}, "case": "dense"})",
     {"case: expected an object, got \"dense\""}},
    {R"({"schema": 1, "weights": "seeded", "producer": {}, "case": {"modle": {}}})", {"case.modle: unknown"}},
    {R"({"schema": 1, "weights": "seeded", "producer": {}, "case": {"model": {"dim": -3}}})",
     {"model.dim = -3"}},
    {R"({"schema": 1, "weights": "seeded", "producer": {}, "case": {"model": {"dim": "3"}}})",
     {"case.model.dim: expected an integer, got \"3\""}},
    {R"({"schema": 1, "weights": "seeded", "producer": {}, "case": {"mode": "test"}})",
     {"case.mode: expected one of eval, train, got \"test\""}},
    {R"({"schema": 1, "weights": "seeded", "producer": {}, "config": 3})",
     {"config: expected a text, got 3"}},
    {R"({"schema": 1, "weights": "seeded", "producer": {}, "config": "../config.json"})", {"../config.json"}},
    {R"({"schema": 1, "weights": "seeded", "producer": {}, "config": "missing.json"})", {"missing.json"}},
    // keys that would be passed over in silence
    {R"({"schema": 1, "weights": "seeded", "producer": {}, "case": {}, "dtpye": "bfloat16"})",
     {"metadata forgecheck: dtpye: unknown field, expected one of schema, weights, producer, case, config"}},
    {R"({"schema": 1, "weights": "seeded", "producer": {}, "case": {"dtpye": "bfloat16"}})",
     {"case.dtpye: unknown field, did you mean dtype?"}},
    {R"({"schema": 1, "weights": "seeded", "producer": {}, "case": {}, "wieghts": "x"})",
     {"wieghts: unknown field, did you mean weights?"}},
    {R"({"schema": 1, "weights": "seeded", "producer": {}, "case": {}, "config": "config.toml"})",
     {"config: a golden has either a case or a config"}},
    {R"({"schema": 1, "weights": "seeded", "producer": {}, "case": {}, "case": {}})",
     {"case: is given twice"}},
};
INSTANTIATE_TEST_SUITE_P(All, GoldenRejection, testing::ValuesIn(kRejections));

class GoldenTensors : public GoldenRejection {};

TEST_F(GoldenTensors, TheValidFileIsAccepted) {
  EXPECT_EQ(rejection(tensors(), {{"forgecheck", kValid}}), "(accepted)");
}

TEST_F(GoldenTensors, AFileWithoutTheMetadataIsNoGolden) {
  EXPECT_THAT(rejection(tensors(), {}), HasSubstr("not a golden"));
  EXPECT_THAT(rejection(tensors(), {{"format", "pt"}}), StartsWith(path_.string()));
}

TEST_F(GoldenTensors, AnUnknownInputIsNamed) {
  for (const std::string name : {"input.token", "input.", "inputs.tokens", "tokens", "Expected.logits"}) {
    auto more = tensors();
    more.emplace(name, Array::from(Tensor<float>({1})));
    EXPECT_THAT(rejection(more, {{"forgecheck", kValid}}), HasSubstr("tensor " + name + ","));
  }
}

TEST_F(GoldenTensors, WithoutAnExpectedTapItSaysNothing) {
  auto fewer = tensors();
  fewer.erase("expected.logits");
  EXPECT_THAT(rejection(fewer, {{"forgecheck", kValid}}), HasSubstr("no expected tap"));
}

TEST_F(GoldenTensors, AMissingOrBrokenFileIsNamed) {
  EXPECT_THAT(rejection(), StartsWith(path_.string() + ": cannot be opened"));
  directory_.write("x.safetensors", "no header");
  EXPECT_THAT(rejection(), StartsWith(path_.string() + ": header length"));
}

TEST_F(GoldenTensors, AGreedyTapMustContinueItsPrompt) {
  directory_.write("config.toml", "dim = 16\nn_layers = 1\nn_heads = 2\n");
  const std::string metadata =
      R"({"schema": 1, "weights": "model.safetensors", "producer": {}, "config": "config.toml"})";
  auto with = [&](const std::string& name, const Shape& shape) {
    auto more = tensors();
    more.emplace(name, Array::from(Tensor<std::int64_t>(shape)));
    return rejection(more, {{"forgecheck", metadata}});
  };
  EXPECT_EQ(with("expected.greedy_from_5", {1, 8}), "(accepted)");
  EXPECT_THAT(with("expected.greedy_from_5", {1, 4}), HasSubstr("greedy_from"));
  EXPECT_THAT(with("expected.greedy_from_5", {8}), HasSubstr("greedy_from_5 has shape 8"));
}

TEST_F(GoldenTensors, MissingWeightsAreNamedWhenTheyAreLoaded) {
  write_safetensors(path_, tensors(),
                    {{"forgecheck", R"({"schema": 1, "weights": "gone.safetensors", "producer": {},
                                        "case": {"model": {"dim": 16, "n_layers": 1, "n_heads": 2}}})"}});
  Golden golden = read_golden(path_, "x");
  try {
    load_weights(golden);
    ADD_FAILURE() << "accepted";
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), HasSubstr((directory_.path() / "gone.safetensors").string()));
  }
}

TEST_F(GoldenTensors, AFloat64TapMakesItAFloat64Trace) {
  auto more = tensors();
  more.insert_or_assign("expected.logits", Array::from(Tensor<double>({1, 2, 3})));
  write_safetensors(path_, more, {{"forgecheck", kValid}});
  EXPECT_EQ(read_golden(path_, "x").type, Dtype::f64);
  write_safetensors(path_, tensors(), {{"forgecheck", kValid}});
  EXPECT_EQ(read_golden(path_, "x").type, Dtype::f32);
}

TEST_F(GoldenTensors, WeightsThatNoMemoryHoldsAreRefusedWithThePath) {
  write_safetensors(path_, tensors(),
                    {{"forgecheck", R"({"schema": 1, "weights": "seeded", "producer": {}, "case": {"model":
                                        {"dim": 65536, "n_layers": 64, "ffn_hidden_dim": 65536}}})"}});
  Golden golden = read_golden(path_, "x");
  EXPECT_THAT([&] { load_weights(golden); },
              testing::ThrowsMessage<ConfigError>(
                  testing::AllOf(StartsWith(path_.string() + ": case dense["), HasSubstr("needs about"))));
}

// Taps are in the order of their names: the last one decides no more than the others.
TEST_F(GoldenTensors, OneFloat64TapIsEnoughWhereverItStands) {
  const std::map<std::string, Array> taps = {{"expected.a", Array::from(Tensor<double>({1}))},
                                             {"expected.b", Array::from(Tensor<float>({1}))},
                                             {"expected.c", Array::from(Tensor<std::int64_t>({1}))}};
  for (const std::string float64 : {"expected.a", "expected.b", "expected.c"}) {
    auto more = tensors();
    more.insert(taps.begin(), taps.end());
    std::swap(more.at("expected.a"), more.at(float64));
    write_safetensors(path_, more, {{"forgecheck", kValid}});
    EXPECT_EQ(read_golden(path_, "x").type, Dtype::f64) << float64;
  }
}

// The types of taps say nothing else: a bfloat16 model may record float32.
TEST_F(GoldenTensors, WithoutAFloat64TapTheCaseDecides) {
  const std::string bfloat16 =
      R"({"schema": 1, "weights": "seeded", "producer": {}, "case": {"dtype": "bfloat16"}})";
  write_safetensors(path_, tensors(), {{"forgecheck", bfloat16}});
  EXPECT_EQ(read_golden(path_, "x").type, Dtype::bf16);
}

TEST(GoldenRejection, AProducerWhoseBackendIsNoText) {
  TemporaryDirectory directory;
  write_safetensors(
      directory.path() / "x.safetensors", {{"expected.logits", Array::from(Tensor<float>({1}))}},
      {{"forgecheck", R"({"schema": 1, "weights": "seeded", "producer": {"backend": 3}, "case": {}})"}});
  EXPECT_THROW(read_golden(directory.path() / "x.safetensors", "x"), FormatError);
}

}  // namespace
}  // namespace forgecheck

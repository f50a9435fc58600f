// Recorded traces: every one of the repository is read, what is written is read back, and the bytes are
// always the same.
#include "harness/golden/golden_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/backend/backend.h"
#include "harness/golden/store.h"
#include "harness/io/sha256.h"
#include "reference/parameters.h"
#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {
namespace {

using testing::Contains;
using testing::Key;

const std::filesystem::path kGoldens = FORGECHECK_SOURCE_DIR "/golden";

std::vector<Golden> all_goldens() {
  std::vector<Golden> goldens;
  for (const GoldenEntry& entry : find_goldens(kGoldens, ""))
    goldens.push_back(read_golden(entry.path, entry.name));
  return goldens;
}

bool equal(const Array& a, const Array& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && std::ranges::equal(a.bytes(), b.bytes());
}

std::map<std::string, Array> inputs_of(const Inputs& inputs) {
  std::map<std::string, Array> arrays = inputs.gumbel;
  Inputs::visit(inputs, [&](const std::string& name, const std::optional<Array>& array) {
    if (array) arrays.emplace(name, *array);
  });
  return arrays;
}

void expect_equal(const std::map<std::string, Array>& got, const std::map<std::string, Array>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (const auto& [name, array] : want) {
    ASSERT_THAT(got, Contains(Key(name)));
    EXPECT_TRUE(equal(got.at(name), array)) << name;
  }
}

TEST(RepositoryGoldens, EachIsReadAndSaysWhoMadeIt) {
  const std::vector<Golden> goldens = all_goldens();
  EXPECT_GE(goldens.size(), 119U);
  for (const Golden& golden : goldens) {
    SCOPED_TRACE(golden.name);
    EXPECT_FALSE(golden.expected.empty());
    EXPECT_FALSE(golden.producer.backend.empty());
    EXPECT_FALSE(inputs_of(golden.problem.inputs).empty());
    EXPECT_TRUE(golden.problem.parameters.empty());
    // Upstream computes in the case's type, the family "reference" is recorded in float64.
    if (!golden.name.starts_with("reference/")) {
      EXPECT_EQ(golden.type, golden.problem.definition.dtype);
    }
  }
}

TEST(RepositoryGoldens, EachHasAnOutput) {
  for (const Golden& golden : all_goldens()) {
    const bool has_output = golden.expected.find("logits") != nullptr ||
                            golden.expected.find("tokens") != nullptr ||
                            golden.expected.find("loss.total") != nullptr;
    EXPECT_TRUE(has_output) << golden.name;
  }
}

TEST(RepositoryGoldens, EachCaseIsTheSameAfterJsonAndText) {
  for (const Golden& golden : all_goldens()) {
    SCOPED_TRACE(golden.name);
    const Case& definition = golden.problem.definition;
    const std::string json = case_json(definition);
    EXPECT_EQ(case_json(parse_case_json(json)), json);
    if (definition.run == RunKind::gradients) continue;
    EXPECT_EQ(case_json(parse_case_text(case_text(definition))), json);
  }
}

TEST(RepositoryGoldens, EveryArchitectureAndRunIsAmongThem) {
  std::set<std::string> archs, runs, types;
  for (const Golden& golden : all_goldens()) {
    archs.insert(arch_name(golden.problem.definition.architecture));
    runs.insert(to_string(golden.problem.definition.run));
    types.insert(std::string(torch_name(golden.type)));
  }
  EXPECT_EQ(archs,
            (std::set<std::string>{"dense", "moe", "joint_decoder", "cross_attention", "mot", "moma"}));
  EXPECT_EQ(runs, (std::set<std::string>{"forward", "decode", "loss", "gradients", "generate"}));
  EXPECT_THAT(types, testing::IsSupersetOf({"float32", "bfloat16"}));
}

TEST(RepositoryGoldens, WeightsAreThoseOfTheArchitecture) {
  for (Golden& golden : all_goldens()) {
    SCOPED_TRACE(golden.name);
    load_weights(golden);
    const std::vector<ParameterInfo> infos = all_parameters(golden.problem.definition.architecture);
    ASSERT_EQ(golden.problem.parameters.size(), infos.size());
    for (const ParameterInfo& info : infos) {
      ASSERT_THAT(golden.problem.parameters, Contains(Key(info.name)));
      EXPECT_EQ(golden.problem.parameters.at(info.name).shape(), info.shape) << info.name;
    }
  }
}

TEST(RepositoryGoldens, GreedyTapsOfACheckpointAskForTheirContinuation) {
  // 5 tokens of each row, continued by 10.
  Golden golden = read_golden(kGoldens / "checkpoints/hf_llama/golden.safetensors", "hf_llama");
  EXPECT_EQ(golden.weights, "model.safetensors");
  EXPECT_EQ(golden.problem.definition.greedy_from, 5);
  EXPECT_EQ(golden.problem.definition.greedy_new_tokens, 10);
  load_weights(golden);
  EXPECT_FALSE(golden.problem.seeded);
}

// ---- writing ----

class WrittenGolden : public testing::TestWithParam<std::string> {
 protected:
  TemporaryDirectory directory_;
};

INSTANTIATE_TEST_SUITE_P(
    Cases, WrittenGolden,
    testing::Values(
        "dense[dim=16,n_layers=1,n_heads=2,vocab_size=11,max_seq_len=16]/batch=2,text_len=4/seed=7/"
        "bfloat16/output_slice=1:",
        "moma[dim=16,n_layers=1,n_heads=2,vocab_size=11,ffn_hidden_dim=16,max_seq_len=16,max_text_len=8]/"
        "batch=2,text_len=4,image_tokens=3,padding=true/seed=8/train",
        "dense[dim=16,n_layers=1,n_heads=2,vocab_size=11,max_seq_len=16]/batch=1,text_len=4/"
        "seed=18446744073709551615/generate=3,eos_token_id=2"));

TEST_P(WrittenGolden, IsReadBackAsItself) {
  const Problem problem = seeded_problem(parse_case_text(GetParam()));
  const Trace trace = make_backend("reference")->run(problem, {});
  const Producer producer{"someone", "1.2", {{"backend", "someone"}, {"version", "1.2"}, {"torch", "2.15"}}};
  const std::filesystem::path path = directory_.path() / "x.safetensors";
  write_golden(path, problem, trace, producer);
  Golden golden = read_golden(path, "family/x");

  EXPECT_EQ(golden.name, "family/x");
  EXPECT_EQ(golden.producer.backend, "someone");
  EXPECT_EQ(golden.producer.version, "1.2");
  EXPECT_EQ(golden.producer.json.at("torch"), "2.15");
  EXPECT_EQ(golden.weights, "seeded");
  EXPECT_EQ(golden.type, problem.definition.dtype);
  EXPECT_EQ(case_text(golden.problem.definition), GetParam());
  expect_equal(inputs_of(golden.problem.inputs), inputs_of(problem.inputs));
  ASSERT_EQ(golden.expected.entries().size(), trace.entries().size());
  for (const auto& [name, value] : trace.entries())
    EXPECT_TRUE(equal(golden.expected.at(name), value)) << name;
  load_weights(golden);
  expect_equal(golden.problem.parameters, problem.parameters);
  EXPECT_TRUE(golden.problem.seeded);
}

TEST_P(WrittenGolden, HasTheSameBytesEveryTime) {
  const std::filesystem::path a = directory_.path() / "a.safetensors",
                              b = directory_.path() / "b.safetensors";
  for (const std::filesystem::path& path : {a, b}) {
    const Problem problem = seeded_problem(parse_case_text(GetParam()));
    write_golden(path, problem, make_backend("reference")->run(problem, {}), {"r", "1", {{"backend", "r"}}});
  }
  EXPECT_EQ(sha256_file(a), sha256_file(b));
}

}  // namespace
}  // namespace forgecheck

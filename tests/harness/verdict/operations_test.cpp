// Every tap that a golden records has a formula and a file.
#include "harness/verdict/operations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"
#include "harness/tap/tap_kind.h"
#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Operations, EveryTapOfEveryGoldenHasAFormulaAndASource) {
  const std::filesystem::path root = FORGECHECK_SOURCE_DIR;
  std::set<TapKind> kinds;
  for (const GoldenEntry& entry : find_goldens(root / "golden", "")) {
    const Golden golden = read_golden(entry.path, entry.name);
    if (golden.problem.definition.run == RunKind::gradients) continue;
    for (const auto& [name, value] : golden.expected.entries()) {
      SCOPED_TRACE(entry.name + ": " + name);
      const Operation operation = operation_of(name, golden.problem.definition);
      EXPECT_NE(operation.formula, "");
      EXPECT_TRUE(std::filesystem::is_regular_file(root / operation.source)) << operation.source;
      EXPECT_THAT(operation.upstream,
                  testing::AnyOf(testing::StartsWith("kempnerforge/"), testing::StartsWith("scripts/")));
      kinds.insert(place_of(name, golden.problem.definition.architecture).kind);
    }
  }
  EXPECT_EQ(kinds.size(), 30U) << "every kind of tap but `unknown` is recorded somewhere";
}

TEST(Operations, ANameThatIsNoTapHasNone) {
  const Case definition = parse_case_text(small_cases()[0]);
  EXPECT_EQ(operation_of("layers.0.attention.z_proj", definition).formula, "");
  EXPECT_EQ(operation_of("nothing", definition).formula, "");
}

TEST(Operations, TheFormulaIsTheConfigurations) {
  const auto formula = [](const std::string& tap, const std::string& text) {
    return operation_of(tap, parse_case_text(text)).formula;
  };
  EXPECT_THAT(formula("norm", small_cases()[0]),
              HasSubstr("x / sqrt(mean(x^2) + eps) * weight, eps = 1e-05"));
  EXPECT_THAT(formula("norm", small_cases()[7]), HasSubstr("(x - mean)"));
  EXPECT_THAT(formula("layers.0.attention.context", small_cases()[0]),
              HasSubstr("head h reads key-value head h / 2"));
  EXPECT_THAT(formula("layers.0.mlp.hidden", small_cases()[0]), HasSubstr("silu"));
  EXPECT_THAT(formula("layers.0.mlp.hidden", small_cases()[7]), HasSubstr("erf"));
  EXPECT_THAT(formula("layers.0.mlp", small_cases()[1]), HasSubstr("shared_expert"));
  EXPECT_THAT(formula("layers.1.mlp", small_cases()[2]), HasSubstr("capacity"));
  EXPECT_THAT(formula("layers.0.mlp", small_cases()[2]), HasSubstr("down_proj"));
}

TEST(TapKind, TheNameSaysWhereAModuleStands) {
  const Architecture mot = parse_case_text(small_cases()[5]).architecture;
  const TapPlace place = place_of("layers.1.attn.q_proj.image", mot);
  EXPECT_EQ(place.kind, TapKind::projection);
  EXPECT_EQ(block_text(place.name), "layers.1");
  EXPECT_EQ(place.name.modality, "image");
  EXPECT_EQ(place_of("layers.1.text", mot).kind, TapKind::block);
  EXPECT_EQ(place_of("mot_norms.text", mot).name.modality, "text");
  const Architecture cross = parse_case_text(small_cases()[4]).architecture;
  EXPECT_TRUE(place_of("cross_attention_layers.0.attn", cross).cross());
  EXPECT_EQ(place_of("cross_attention_layers.0.attn", cross).kind, TapKind::attention);
}

TEST(TapKind, AModulesParametersAreThoseThatItReads) {
  const auto parameters = [](std::size_t index, const std::string& tap) {
    const Problem problem = small_problem(small_cases()[index]);
    return parameters_of(tap, problem.definition.architecture, problem.parameters);
  };
  EXPECT_THAT(parameters(0, "layers.0.attention"), ElementsAre("layers.0.attention.o_proj.weight"));
  EXPECT_THAT(parameters(5, "layers.0.attn.text"), ElementsAre("layers.0.attn.o_proj.text.weight"));
  EXPECT_THAT(parameters(7, "norm"), ElementsAre("norm.weight", "norm.bias"));
  EXPECT_THAT(parameters(8, "logits"), ElementsAre("token_embedding.embedding.weight"));
  EXPECT_EQ(parameters(1, "layers.0.mlp").size(), 12U) << "three matrices of four experts";
  EXPECT_EQ(parameters(6, "layers.0.mlp").size(), 15U) << "three matrices of two and three experts";
  EXPECT_THAT(parameters(1, "layers.0.mlp.shared_expert"),
              ElementsAre("layers.0.mlp.shared_expert.down_proj.weight"));
}

}  // namespace
}  // namespace forgecheck

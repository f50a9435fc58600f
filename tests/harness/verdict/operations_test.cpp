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

TEST(Operations, TheContextSaysWhichKeysAWindowShows) {
  const Case definition = parse_case_text("dense[" + kSmall + ",sliding_window=3]/text_len=6");
  EXPECT_THAT(
      operation_of("layers.0.attention.context", definition).formula,
      testing::AllOf(
          HasSubstr("out = sum_j p_j v_j"),
          HasSubstr("not padding, j > i - sliding_window = i - 3; q and k rotated by rope, theta = ")));
}

// Upstream's cross-attention blocks have eps = 1e-5 whatever the model's is.
TEST(Operations, TheNormsOfCrossAttentionHaveTheirOwnEps) {
  const Case definition = parse_case_text("cross_attention[" + kSmall +
                                          ",max_text_len=16,cross_attention_every_n_layers=1,norm_eps=0.001]/"
                                          "text_len=4,image_tokens=3/seed=5");
  const auto formula = [&](const std::string& tap) { return operation_of(tap, definition).formula; };
  EXPECT_THAT(formula("cross_attention_layers.0.attn_norm"), HasSubstr("eps = 1e-05"));
  EXPECT_THAT(formula("layers.0.attention_norm"), HasSubstr("eps = 0.001"));
}

TEST(Operations, TheFilesAreThoseOfTheArchitecturesOwnModules) {
  const auto files = [](const std::string& tap, std::size_t index) {
    const Operation operation = operation_of(tap, parse_case_text(small_cases()[index]));
    return operation.source + " " + operation.upstream;
  };
  const std::string ours = "reference/models/", upstream = " kempnerforge/model/";
  EXPECT_EQ(files("layers.0.attention", 0), ours + "self_attention.cpp" + upstream + "attention.py");
  EXPECT_EQ(files("layers.0", 0), ours + "dense_block.cpp" + upstream + "transformer.py");
  EXPECT_EQ(files("layers.0", 3), ours + "dense_block.cpp" + upstream + "transformer.py");
  EXPECT_EQ(files("cross_attention_layers.0.attn", 4),
            ours + "cross_attention_block.cpp" + upstream + "cross_attention.py");
  EXPECT_EQ(files("cross_attention_layers.0.attn.q_proj", 4),
            ours + "cross_attention_block.cpp" + upstream + "cross_attention.py");
  EXPECT_EQ(files("layers.0.attention", 4), ours + "self_attention.cpp" + upstream + "attention.py");
  EXPECT_EQ(files("layers.0.attn.image", 5), ours + "mot_block.cpp" + upstream + "mot.py");
  EXPECT_EQ(files("layers.0.attn.q_proj.image", 5), ours + "self_attention.cpp" + upstream + "mot.py");
  EXPECT_EQ(files("layers.0.image", 5), ours + "mot_block.cpp" + upstream + "mot.py");
  EXPECT_EQ(files("layers.0", 6), ours + "moma_block.cpp" + upstream + "moma.py");

  const std::string ops = "reference/ops/", gate = "layers.0.mlp.router.gate",
                    indices = "layers.0.mlp.router.indices";
  EXPECT_EQ(files(gate, 1), ours + "feed_forward.cpp" + upstream + "router.py");
  EXPECT_EQ(files(indices, 1), ops + "router.cpp" + upstream + "router.py");
  EXPECT_EQ(files("layers.0.mlp.expert_counts", 1), ops + "router.cpp" + upstream + "moe.py");
  const std::string moma_gate = "layers.0.mlp.experts.image.router.gate",
                    moma_indices = "layers.0.mlp.experts.image.router.indices";
  EXPECT_EQ(files(moma_gate, 6), ours + "moma_block.cpp" + upstream + "moma.py");
  EXPECT_EQ(files(moma_indices, 6), ops + "expert_choice.cpp" + upstream + "moma.py");
}

TEST(Operations, TokensAreTheLargestLogitOrDrawn) {
  const auto formula = [](const std::string& run) {
    return operation_of("tokens", parse_case_text("dense[" + kSmall + "]/text_len=4/seed=9/" + run)).formula;
  };
  EXPECT_THAT(formula("generate=5"), HasSubstr("argmax(logits"));
  EXPECT_THAT(formula("generate=5,temperature=0"), HasSubstr("argmax(logits"));
  EXPECT_THAT(formula("generate=5,temperature=0.7"), HasSubstr("drawn from softmax(logits / temperature)"));
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
  const std::string mot_moe =
      "mot[" + kSmall + ",max_text_len=16,num_image_tokens=3,num_experts=2]/text_len=4,image_tokens=3/seed=6";
  const Problem mot = small_problem(mot_moe);
  for (const std::string layer : {"layers.0.", "layers.1."}) {
    for (const std::string modality : {"image", "text"}) {
      const std::vector<std::string> read =
          parameters_of(layer + "mlp." + modality, mot.definition.architecture, mot.parameters);
      EXPECT_EQ(read.size(), 6U) << "three matrices of two experts";
      EXPECT_THAT(read, testing::Each(testing::AllOf(HasSubstr(layer), HasSubstr("." + modality + "."))));
    }
  }
  EXPECT_THAT(parameters(1, "layers.0.mlp.shared_expert"),
              ElementsAre("layers.0.mlp.shared_expert.down_proj.weight"));
}

}  // namespace
}  // namespace forgecheck

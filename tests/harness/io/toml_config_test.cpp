// Upstream's files, and what is wrong with broken ones. That all of upstream's own files load is
// tests/reference/parameters_test.cpp.
#include "harness/io/toml_config.h"

#include <gtest/gtest.h>

#include "reference/error.h"
#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {
namespace {

class TomlConfig : public testing::Test {
 protected:
  Architecture load(const std::string& text) {
    return load_toml_config(directory_.write("model.toml", text));
  }
  /// The message of the error of type E after "<path>", empty if the file loads.
  template <class E = ConfigError>
  std::string rejection(const std::string& text) {
    try {
      load(text);
    } catch (const E& error) {
      const std::string message = error.what();
      const std::string path = (directory_.path() / "model.toml").string();
      EXPECT_TRUE(message.starts_with(path)) << message;
      return message.substr(std::min(message.size(), path.size()));
    }
    return "";
  }

  TemporaryDirectory directory_;
};

TEST_F(TomlConfig, SectionsAreRead) {
  const Architecture architecture = load(R"(
[model]
dim = 64
n_heads = 4
rope_theta = 10000
norm_type = "layernorm"
max_seq_len = 600
[vision_encoder]
feature_dim = 20
num_tokens = 64
[adapter]
type = "avgpool"
[vlm]
arch = "mot"
mot_modalities = ["text", "image"]
[train]
seq_len = 12
)");
  EXPECT_EQ(architecture.model.dim, 64);
  EXPECT_EQ(architecture.model.rope_theta, 10000.0);
  EXPECT_EQ(architecture.model.norm_type, NormType::layernorm);
  EXPECT_EQ(architecture.vlm->mot_modalities, (std::vector<std::string>{"text", "image"}));
  EXPECT_EQ(architecture.feature_dim, 20);
  EXPECT_EQ(architecture.num_image_tokens, 16);  // after the adapter
  EXPECT_EQ(architecture.adapter->type, AdapterType::avgpool);
}

TEST_F(TomlConfig, FileWithoutSectionsIsAModel) {
  EXPECT_EQ(load("dim = 64\nn_heads = 4\n").model.dim, 64);
  EXPECT_EQ(rejection("dimm = 64\n"), ":1: model.dimm = 64: unknown field, did you mean dim?");
}

TEST_F(TomlConfig, OtherSectionsAloneAreNoModel) {
  EXPECT_EQ(rejection("[train]\nsteps = 3\n"),
            ": has none of the sections [model], [vision_encoder], [adapter], [vlm]");
  EXPECT_EQ(rejection(""), ": is empty: a [model] section is needed");
  EXPECT_EQ(rejection("# dim = 64\n"), ": is empty: a [model] section is needed");
}

TEST_F(TomlConfig, KnownSectionWithoutModelMeansDefaults) {
  EXPECT_EQ(load("[vlm]\narch = \"joint_decoder\"\n").model.dim, 4096);
}

TEST_F(TomlConfig, KeysOutsideOfSectionsAreRejected) {
  EXPECT_EQ(rejection("dim = 64\n[model]\nn_heads = 4\n"), ":1: dim = 64: is in no section");
  EXPECT_EQ(rejection("model = 3\n[vlm]\n"), ":1: model = 3: needs a section");
}

// A training file may have lists of tables, which are sections like any other.
TEST_F(TomlConfig, AListOfTablesIsASection) {
  EXPECT_EQ(
      load("[model]\ndim = 64\nn_heads = 4\n[[data]]\npath = \"a\"\n[[data]]\npath = \"b\"\n").model.dim, 64);
  EXPECT_EQ(rejection("[[data]]\npath = \"a\"\n"),
            ": has none of the sections [model], [vision_encoder], [adapter], [vlm]");
  EXPECT_TRUE(rejection("[[model]]\ndim = 64\n").ends_with(": needs a section"));
}

// Only a Mixture-of-Transformers has a fixed number of image tokens.
TEST_F(TomlConfig, ImageTokensBelongToMot) {
  const std::string rest = "\"\n[vision_encoder]\nfeature_dim = 20\nnum_tokens = 64\n";
  EXPECT_EQ(load("[vlm]\narch = \"mot" + rest).num_image_tokens, 64);
  EXPECT_EQ(load("[vlm]\narch = \"joint_decoder" + rest).num_image_tokens, 0);
  EXPECT_EQ(load("[vlm]\narch = \"mot\"\n").num_image_tokens, 0);
}

TEST_F(TomlConfig, VlmBringsTheDefaultAdapter) {
  const Architecture architecture = load("[vlm]\n[vision_encoder]\nfeature_dim = 384\n");
  EXPECT_EQ(architecture.adapter->type, AdapterType::mlp_2layer);
  EXPECT_EQ(architecture.feature_dim, 384);
  EXPECT_FALSE(load("[model]\ndim = 64\n").adapter.has_value());
}

TEST_F(TomlConfig, SyntaxErrorsHaveLineAndColumn) {
  const std::string message = rejection<FormatError>("[model]\ndim = = 3\n");
  EXPECT_TRUE(message.starts_with(":2:7: ")) << message;
  EXPECT_NE(rejection<FormatError>("[model]\ndim = 9223372036854775808\n"), "");
  EXPECT_NE(rejection<FormatError>("[model]\ndim = 3\ndim = 4\n"), "");
  EXPECT_NE(rejection<FormatError>("[model]\nmodel_type = \"\xff\"\n"), "");
}

TEST_F(TomlConfig, MissingFileIsAFormatError) {
  EXPECT_THROW(load_toml_config(directory_.path() / "none.toml"), FormatError);
  EXPECT_THROW(load_toml_config(directory_.path()), FormatError);
}

TEST_F(TomlConfig, MessagesNameLineSectionFieldAndValue) {
  EXPECT_EQ(rejection("[model]\nn_layers = 2\ndim = 64.0\n"), ":3: model.dim = 64.0: needs an integer");
  EXPECT_EQ(rejection("[model]\nqk_norm = 1\n"), ":2: model.qk_norm = 1: needs true or false");
  EXPECT_EQ(rejection("[model]\nactivation = \"tanh\"\n"),
            ":2: model.activation = tanh: needs one of silu, gelu, relu");
  EXPECT_EQ(rejection("[model]\ndim = 1979-05-27\n"), ":2: model.dim = 1979-05-27: needs no date or time");
  EXPECT_EQ(rejection("[vlm]\narch = \"mot\"\nmot_modalities = [1]\n"),
            ":3: vlm.mot_modalities = [ 1 ]: needs strings in its list");
  EXPECT_EQ(rejection("[model]\ndim = -3\n"), ": model.dim = -3: must be positive");
  EXPECT_EQ(rejection("[adapter]\npool_window = 0\n"), ": adapter.pool_window = 0: must be positive");
}

TEST_F(TomlConfig, QkNormEpsIsNotAKey) {
  EXPECT_EQ(rejection("[model]\nqk_norm_eps = 1e-6\n"),
            ":2: model.qk_norm_eps = 1e-06: unknown field, KempnerForge fixes it at 1e-05");
}

TEST_F(TomlConfig, FieldsOfAnotherArchAreUnknown) {
  EXPECT_EQ(rejection("[vlm]\narch = \"mot\"\nmoma_gumbel_noise = true\n"),
            ":3: vlm.moma_gumbel_noise = true: unknown field, it belongs to vlm.arch = moma");
  EXPECT_EQ(load("[vlm]\nmoma_gumbel_noise = false\narch = \"moma\"\n").vlm->moma_gumbel_noise, false);
}

TEST_F(TomlConfig, ExpertsPerModalityIsATable) {
  const Architecture architecture =
      load("[vlm]\narch = \"moma\"\n[vlm.moma_experts_per_modality]\nimage = 2\ntext = 3\n");
  EXPECT_EQ(architecture.vlm->moma_experts_per_modality,
            (std::map<std::string, std::int64_t>{{"image", 2}, {"text", 3}}));
  EXPECT_NE(rejection("[vlm]\narch = \"moma\"\nmoma_experts_per_modality = {image = 2.0, text = 3}\n"), "");
}

TEST_F(TomlConfig, TrainingKeysAreAcceptedAndChecked) {
  const std::string good =
      "[vlm]\narch = \"mot\"\nmot_warm_start_from_text = true\nmot_warm_start_path = \"a.pt\"\n"
      "freeze = [{module = \"vision_encoder\", frozen = true}, {module = \"adapter\"}]\n"
      "freeze_schedule = [{start_step = 10, specs = [{module = \"adapter\", frozen = true}]}]\n"
      "module_patterns = {mot = [\"transformer.layers\", \"transformer.layers.*\"]}\n";
  EXPECT_EQ(load(good).vlm->mot_warm_start_path, "a.pt");
  for (const char* bad :
       {"freeze = true", "freeze = [\"adapter\"]", "freeze = [{frozen = true}]",
        "freeze = [{module = \"adapter\", frozen = 1}]", "freeze = [{module = \"adapter\", when = 3}]",
        "freeze = [{module = 3}]", "freeze_schedule = [3]", "freeze_schedule = [{specs = []}]",
        "freeze_schedule = [{start_step = 1, specs = 3}]",
        "freeze_schedule = [{start_step = 1, specs = [], when = 2}]", "freeze_schedule = {}",
        "freeze_schedule = [{start_step = 1}]", "freeze_schedule = [{start_step = 1.0, specs = []}]",
        "freeze_schedule = [{start_step = 1, specs = [{frozen = true}]}]", "module_patterns = []",
        "module_patterns = {mot = \"transformer\"}", "module_patterns = {mot = [1]}"}) {
    const std::string message = rejection("[vlm]\n" + std::string(bad) + "\n");
    EXPECT_TRUE(message.starts_with(":2: vlm.")) << bad << " gave: " << message;
  }
}

TEST_F(TomlConfig, ResidualIsChecked) {
  EXPECT_EQ(rejection("[model]\nmax_seq_len = 575\n[vlm]\n[vision_encoder]\nnum_tokens = 64\n"),
            ": model.max_seq_len = 575: must hold 64 image tokens and vlm.max_text_len = 512");
}

}  // namespace
}  // namespace forgecheck

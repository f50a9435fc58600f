#include "harness/io/checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "harness/io/hugging_face.h"
#include "harness/io/safetensors.h"
#include "reference/error.h"
#include "reference/parameters.h"
#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {
namespace {

namespace fs = std::filesystem;

const fs::path kCheckpoints = fs::path(FORGECHECK_SOURCE_DIR) / "golden/checkpoints";

bool same_bytes(const Array& a, const Array& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.bytes().data(), b.bytes().data(), a.bytes().size()) == 0;
}

/// The tensors of a recorded checkpoint, to be changed and written again.
class CheckpointFile : public testing::Test {
 protected:
  explicit CheckpointFile(const std::string& name = "kempnerforge_moe",
                          const std::string& config = "config.toml")
      : architecture_(load_config(kCheckpoints / name / config)),
        tensors_(read_safetensors(kCheckpoints / name / "model.safetensors").tensors) {}

  ParameterTable load(const std::map<std::string, Array>& tensors) {
    write_safetensors(directory_.path() / "model.safetensors", tensors, {});
    return load_parameters(directory_.path(), architecture_);
  }
  template <class E>
  std::string rejection() {
    try {
      load(tensors_);
    } catch (const E& error) {
      return error.what();
    }
    return "";
  }
  void rename_all(const std::string& prefix) {
    std::map<std::string, Array> renamed;
    for (const auto& [name, array] : tensors_) renamed.emplace(prefix + name, array);
    tensors_ = std::move(renamed);
  }

  TemporaryDirectory directory_;
  Architecture architecture_;
  std::map<std::string, Array> tensors_;
};

TEST_F(CheckpointFile, HasEveryParameter) {
  const ParameterTable parameters = load(tensors_);
  EXPECT_EQ(parameters.size(), all_parameters(architecture_).size());
  EXPECT_EQ(parameters.size(), tensors_.size());
  for (const auto& [name, array] : tensors_) EXPECT_TRUE(same_bytes(parameters.at(name), array)) << name;
}

TEST_F(CheckpointFile, PrefixTransformerIsTaken) {
  const ParameterTable plain = load(tensors_);
  rename_all("transformer.");
  tensors_.emplace("vision_encoder.conv.weight", tensors_.begin()->second);
  const ParameterTable wrapped = load(tensors_);
  ASSERT_EQ(wrapped.size(), plain.size());
  for (const auto& [name, array] : plain) EXPECT_TRUE(same_bytes(wrapped.at(name), array)) << name;
}

TEST_F(CheckpointFile, SameNameTwiceIsRejected) {
  tensors_.emplace("transformer.norm.weight", tensors_.at("norm.weight"));
  EXPECT_NE(rejection<FormatError>().find("norm.weight twice"), std::string::npos);
}

TEST_F(CheckpointFile, AdapterIsReadWhereThereIsOne) {
  architecture_.vlm.emplace();
  architecture_.adapter.emplace().type = AdapterType::linear;
  architecture_.feature_dim = 4;
  EXPECT_NE(rejection<FormatError>().find("has no tensor adapter.proj.weight"), std::string::npos);
  tensors_.emplace("adapter.proj.weight", Array::from(Tensor<float>(Shape{64, 4})));
  tensors_.emplace("adapter.proj.bias", Array::from(Tensor<float>(Shape{64})));
  EXPECT_TRUE(load(tensors_).contains("adapter.proj.bias"));
}

TEST_F(CheckpointFile, MissingTensorIsNamed) {
  tensors_.erase("layers.3.mlp.experts.5.up_proj.weight");
  EXPECT_NE(rejection<FormatError>().find("has no tensor layers.3.mlp.experts.5.up_proj.weight"),
            std::string::npos);
}

TEST_F(CheckpointFile, MissingExpertBiasIsNoBuffer) {
  tensors_.erase("layers.3.mlp.router.expert_bias");
  EXPECT_NE(rejection<FormatError>(), "");
}

TEST_F(CheckpointFile, MissingEmaIsOneOverExperts) {
  tensors_.erase("layers.3.mlp.router.expert_ema");
  const Array ema = load(tensors_).at("layers.3.mlp.router.expert_ema");
  EXPECT_EQ(ema.shape(), Shape{8});
  for (std::int64_t e = 0; e < 8; ++e) EXPECT_EQ(ema.at(e), 0.125);
}

TEST_F(CheckpointFile, WrongShapeIsNamedWithBoth) {
  tensors_.at("norm.weight") = Array::from(Tensor<float>(Shape{63}));
  const std::string message = rejection<ShapeError>();
  EXPECT_NE(message.find("norm.weight has shape 63, expected 64"), std::string::npos) << message;
}

TEST_F(CheckpointFile, IntegersAreNoWeights) {
  tensors_.at("norm.weight") = Array::from(Tensor<std::int64_t>(Shape{64}));
  EXPECT_NE(rejection<FormatError>().find("norm.weight is int64"), std::string::npos);
}

TEST_F(CheckpointFile, UnknownTensorsAreListedUpToThree) {
  const Array extra = tensors_.at("norm.weight");
  for (const char* name : {"zz1", "zz2", "zz3", "zz4"}) tensors_.emplace(name, extra);
  const std::string message = rejection<FormatError>();
  EXPECT_NE(message.find("zz1, zz2, zz3 and 1 more"), std::string::npos) << message;
}

TEST_F(CheckpointFile, TiedHeadAndOldRotaryTablesAreIgnored) {
  ASSERT_TRUE(architecture_.model.tie_embeddings);
  tensors_.emplace("output_head.proj.weight", tensors_.at("token_embedding.embedding.weight"));
  tensors_.emplace("layers.0.attention.rotary_emb.inv_freq", tensors_.at("norm.weight"));
  EXPECT_FALSE(load(tensors_).contains("output_head.proj.weight"));
}

TEST_F(CheckpointFile, DenseModelOfUpstreamLoads) {
  const Checkpoint checkpoint =
      load_checkpoint(kCheckpoints / "kempnerforge_dense/config.toml", kCheckpoints / "kempnerforge_dense");
  EXPECT_EQ(checkpoint.parameters.size(), 39U);
  EXPECT_EQ(checkpoint.parameters.at("output_head.proj.weight").shape(), (Shape{256, 64}));
}

TEST_F(CheckpointFile, NoSuchFile) {
  EXPECT_THROW(load_parameters(directory_.path(), architecture_), FormatError);
  EXPECT_THROW(load_parameters(directory_.path() / "none.safetensors", architecture_), FormatError);
  EXPECT_THROW(load_config(directory_.path() / "config.yaml"), ConfigError);
}

class ShardedCheckpoint : public CheckpointFile {
 protected:
  /// Every second tensor in each of two files; `map` is the index's weight_map.
  void write_shards() {
    std::map<std::string, Array> shards[2];
    int turn = 0;
    for (const auto& [name, array] : tensors_) {
      shards[turn].emplace(name, array);
      map_[name] = turn == 0 ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors";
      turn = 1 - turn;
    }
    write_safetensors(directory_.path() / "model-00001-of-00002.safetensors", shards[0], {});
    write_safetensors(directory_.path() / "model-00002-of-00002.safetensors", shards[1], {});
  }
  std::string rejection() {
    directory_.write("model.safetensors.index.json", nlohmann::json{{"weight_map", map_}}.dump());
    try {
      load_parameters(directory_.path(), architecture_);
    } catch (const FormatError& error) {
      return error.what();
    }
    return "";
  }
  nlohmann::json map_ = nlohmann::json::object();
};

TEST_F(ShardedCheckpoint, EqualsTheWhole) {
  write_shards();
  ASSERT_EQ(rejection(), "");
  const ParameterTable parameters =
      load_parameters(directory_.path() / "model.safetensors.index.json", architecture_);
  for (const auto& [name, array] : tensors_) EXPECT_TRUE(same_bytes(parameters.at(name), array)) << name;
}

TEST_F(ShardedCheckpoint, AWholeFileGoesBeforeTheIndexBesideIt) {
  write_shards();
  map_["norm.weight"] = "gone.safetensors";
  EXPECT_NE(rejection(), "");
  EXPECT_EQ(load(tensors_).size(), tensors_.size());
}

TEST_F(ShardedCheckpoint, ShardsStayInTheDirectory) {
  write_shards();
  for (const std::string shard :
       {"../model.safetensors", "a/../../model.safetensors", "/etc/passwd", "..", ""}) {
    map_["norm.weight"] = shard;
    EXPECT_NE(rejection().find("\"" + shard + "\" outside"), std::string::npos)
        << shard << ": " << rejection();
  }
}

TEST_F(ShardedCheckpoint, BrokenIndexIsRejected) {
  write_shards();
  map_["norm.weight"] = "model-00003-of-00002.safetensors";
  EXPECT_NE(rejection(), "");
  map_["norm.weight"] = 3;
  EXPECT_NE(rejection(), "");
  map_["norm.weight"] = "model-00001-of-00002.safetensors";
  map_["no.such.tensor"] = "model-00001-of-00002.safetensors";
  EXPECT_NE(rejection().find("has no tensor no.such.tensor"), std::string::npos);
  directory_.write("model.safetensors.index.json", "{\"weight_map\": ");
  EXPECT_THROW(load_parameters(directory_.path(), architecture_), FormatError);
  directory_.write("model.safetensors.index.json", "{}");
  EXPECT_THROW(load_parameters(directory_.path(), architecture_), FormatError);
}

class HuggingFaceCheckpoint : public testing::TestWithParam<std::string> {};

TEST_P(HuggingFaceCheckpoint, EveryTensorHasItsPlace) {
  const fs::path folder = kCheckpoints / GetParam();
  const Checkpoint checkpoint = load_checkpoint(folder / "config.json", folder / "model.safetensors");
  EXPECT_EQ(checkpoint.parameters.size(), all_parameters(checkpoint.architecture).size());
  const auto tensors = read_safetensors(folder / "model.safetensors").tensors;
  EXPECT_EQ(checkpoint.parameters.size(), tensors.size());
  for (const auto& [name, array] : tensors) {
    EXPECT_TRUE(same_bytes(checkpoint.parameters.at(kempnerforge_name(name)), array)) << name;
  }
}

class HuggingFaceFile : public CheckpointFile {
 protected:
  HuggingFaceFile() : CheckpointFile("hf_llama", "config.json") {}
};

TEST_F(HuggingFaceFile, ATiedHeadIsIgnoredUnderItsOwnName) {
  ASSERT_TRUE(tensors_.contains("lm_head.weight"));
  EXPECT_TRUE(load(tensors_).contains("output_head.proj.weight"));
  architecture_.model.tie_embeddings = true;
  tensors_.at("lm_head.weight") = tensors_.at("model.embed_tokens.weight");
  EXPECT_FALSE(load(tensors_).contains("output_head.proj.weight"));
}

TEST_F(HuggingFaceFile, ATiedHeadIsTheEmbedding) {
  architecture_.model.tie_embeddings = true;
  const std::string message = rejection<FormatError>();
  EXPECT_NE(message.find("lm_head.weight differs from model.embed_tokens.weight"), std::string::npos)
      << message;
}

TEST_F(HuggingFaceFile, AnOldRotaryTableIsIgnored) {
  tensors_.emplace("model.layers.0.self_attn.rotary_emb.inv_freq", tensors_.at("model.norm.weight"));
  EXPECT_EQ(load(tensors_).size(), all_parameters(architecture_).size());
}

TEST_F(HuggingFaceFile, ATensorWithoutANameHereIsNamed) {
  // a name that no model has, and one that this configuration has no place for
  for (const std::string name :
       {"model.layers.0.self_attn.o_proj.bias", "model.layers.0.self_attn.q_proj.bias"}) {
    tensors_.emplace(name, tensors_.at("model.norm.weight"));
    EXPECT_EQ(rejection<FormatError>(),
              directory_.path().string() + ": has tensors that the configuration has no place for: " + name);
    tensors_.erase(name);
  }
}

// KempnerForge's names mean nothing in a file of Hugging Face's.
TEST_F(HuggingFaceFile, NamesOfBothKindsDoNotMix) {
  const auto norm = tensors_.extract("model.norm.weight");
  tensors_.emplace("norm.weight", norm.mapped());
  EXPECT_NE(rejection<FormatError>().find("has no tensor model.norm.weight"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Checkpoint, HuggingFaceCheckpoint, testing::Values("hf_llama", "hf_mixtral"));

}  // namespace
}  // namespace forgecheck

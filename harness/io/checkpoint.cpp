#include "harness/io/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <vector>

#include "harness/io/hugging_face.h"
#include "harness/io/safetensors.h"
#include "harness/io/strict_json.h"
#include "harness/io/toml_config.h"
#include "reference/error.h"
#include "reference/parameters.h"

namespace forgecheck {
namespace {

namespace fs = std::filesystem;

/// tensor name -> file name: {"weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors", ...}}.
std::map<std::string, std::string> read_weight_map(const fs::path& index) {
  const JsonDocument document = read_json(index);
  std::map<std::string, std::string> weight_map;
  for (const auto& [tensor, shard] : document.root().at("weight_map").members()) {
    weight_map.emplace(tensor, shard.text());
  }
  return weight_map;
}

/// A shard lies in the directory of its index or below it.
fs::path shard_path(const fs::path& index, const std::string& shard) {
  const fs::path relative(shard);
  const bool climbs = std::find(relative.begin(), relative.end(), "..") != relative.end();
  if (shard.empty() || relative.is_absolute() || climbs) {
    throw FormatError(
        fmt::format("{}: weight_map names the file \"{}\" outside of its directory", index.string(), shard));
  }
  return index.parent_path() / relative;
}

ParameterTable read_shards(const fs::path& index) {
  std::map<std::string, std::set<std::string>> tensors_of;
  for (const auto& [tensor, shard] : read_weight_map(index)) tensors_of[shard].insert(tensor);
  ParameterTable table;
  for (const auto& [shard, tensors] : tensors_of) {
    const fs::path path = shard_path(index, shard);
    const SafetensorsFile file = read_safetensors(path);
    for (const std::string& tensor : tensors) {
      const auto found = file.tensors.find(tensor);
      if (found == file.tensors.end()) {
        throw FormatError(fmt::format("{}: has no tensor {}, which {} says it has", path.string(), tensor,
                                      index.filename().string()));
      }
      table.insert(*found);
    }
  }
  return table;
}

ParameterTable read_tensors(const fs::path& path) {
  std::error_code no_matter;  // reading the file says what is wrong with it
  if (fs::is_directory(path, no_matter)) {
    for (const char* name : {"model.safetensors", "model.safetensors.index.json"}) {
      if (fs::exists(fs::symlink_status(path / name))) return read_tensors(path / name);
    }
    throw FormatError(
        fmt::format("{}: has neither model.safetensors nor model.safetensors.index.json", path.string()));
  }
  return path.extension() == ".json" ? read_shards(path) : read_safetensors(path).tensors;
}

bool is_hugging_face(const ParameterTable& tensors) {
  return std::any_of(tensors.begin(), tensors.end(), [](const auto& tensor) {
    return tensor.first == "model.embed_tokens.weight" || tensor.first.starts_with("model.layers.");
  });
}

/// Upstream's name of a tensor in the file; empty where it has none.
std::string own_name(const std::string& name, bool hugging_face) {
  if (hugging_face) return kempnerforge_name(name);
  const std::string prefix = "transformer.";  // as VLMWrapper's state_dict has it
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

bool is_ignored(const std::string& name) {
  if (name.ends_with("rotary_emb.inv_freq")) return true;  // a table that older versions saved
  return name.starts_with("vision_encoder.");              // features are inputs here
}

/// Takes out the head of a model whose head is the embedding. One with other values is refused: whether a program uses
/// it is not known (transformers does since version 5, before it did not).
void take_tied_head(const fs::path& path, ParameterTable& renamed, const auto& name_in_file) {
  const auto head = renamed.extract("output_head.proj.weight");
  const auto embedding = renamed.find("token_embedding.embedding.weight");
  if (head.empty() || embedding == renamed.end()) return;
  const Array &a = head.mapped(), &b = embedding->second;
  if (a.dtype() != b.dtype() || a.shape() != b.shape() || !std::ranges::equal(a.bytes(), b.bytes())) {
    throw FormatError(fmt::format("{}: {} differs from {}, and the configuration says that they are the same",
                                  path.string(), name_in_file(head.key()), name_in_file(embedding->first)));
  }
}

[[noreturn]] void reject_unknown(const fs::path& path, const std::vector<std::string>& unknown) {
  const std::size_t named = std::min<std::size_t>(3, unknown.size());
  std::string names =
      fmt::format("{}", fmt::join(unknown.begin(), unknown.begin() + std::ptrdiff_t(named), ", "));
  if (unknown.size() > named) names += fmt::format(" and {} more", unknown.size() - named);
  throw FormatError(
      fmt::format("{}: has tensors that the configuration has no place for: {}", path.string(), names));
}

fs::path config_in(const fs::path& folder) {
  const fs::path json = folder / "config.json", toml = folder / "config.toml";
  const bool has_json = fs::exists(json), has_toml = fs::exists(toml);
  if (has_json && has_toml) {
    throw ConfigError(
        fmt::format("{}: has both config.json and config.toml: give one of them", folder.string()));
  }
  if (!has_json && !has_toml) {
    throw ConfigError(fmt::format("{}: has neither config.json nor config.toml", folder.string()));
  }
  return has_json ? json : toml;
}

Array initial_expert_ema(const ParameterInfo& info) {
  Tensor<float> ema(info.shape);
  const float share = 1.0F / static_cast<float>(info.shape.at(0));
  std::fill(ema.data.begin(), ema.data.end(), share);
  return Array::from(ema);
}

}  // namespace

Architecture load_config(const fs::path& path) {
  if (fs::is_directory(path)) return load_config(config_in(path));
  if (path.extension() == ".toml") return load_toml_config(path);
  if (path.extension() == ".json") return load_hf_config(path);
  throw ConfigError(
      fmt::format("{}: a configuration ends in .toml (KempnerForge) or .json (Hugging Face)", path.string()));
}

ParameterTable load_parameters(const fs::path& path, const Architecture& architecture) {
  const ParameterTable tensors = read_tensors(path);
  const bool hugging_face = is_hugging_face(tensors);
  const bool mixtral = std::ranges::any_of(tensors, [](const auto& tensor) {
    return tensor.first.find(".block_sparse_moe.") != std::string::npos;
  });
  const auto name_in_file = [&](const std::string& own) {
    return hugging_face ? hugging_face_name(own, mixtral) : own;
  };
  // 1. Every tensor of the file under our name.
  ParameterTable renamed;
  std::vector<std::string> unknown;
  for (const auto& [name, array] : tensors) {
    const std::string own = own_name(name, hugging_face);
    if (is_ignored(name)) continue;
    if (own.empty()) {
      unknown.push_back(name);
    } else if (!renamed.emplace(own, array).second) {
      throw FormatError(fmt::format("{}: has {} twice, once as {}", path.string(), own, name));
    }
  }
  if (architecture.model.tie_embeddings) take_tied_head(path, renamed, name_in_file);
  // 2. Every tensor of the model, taken out of that table.
  ParameterTable parameters;
  for (const ParameterInfo& info : all_parameters(architecture)) {
    auto found = renamed.extract(info.name);
    if (found.empty() && info.is_buffer()) {
      parameters.emplace(info.name, initial_expert_ema(info));
      continue;
    }
    if (found.empty()) {
      throw FormatError(fmt::format("{}: has no tensor {}", path.string(), name_in_file(info.name)));
    }
    const Array& array = found.mapped();
    require_shape(fmt::format("{}: {}", path.string(), name_in_file(info.name)), array.shape(), info.shape);
    if (!is_floating_point(array.dtype())) {
      throw FormatError(fmt::format("{}: {} is {}, not a floating point type", path.string(),
                                    name_in_file(info.name), torch_name(array.dtype())));
    }
    parameters.insert(std::move(found));
  }
  // 3. What is left has no place.
  for (const auto& [name, array] : renamed) unknown.push_back(name_in_file(name));
  if (!unknown.empty()) reject_unknown(path, unknown);
  return parameters;
}

Checkpoint load_checkpoint(const fs::path& config, const fs::path& parameters) {
  Checkpoint checkpoint{load_config(config), {}};
  checkpoint.parameters = load_parameters(parameters, checkpoint.architecture);
  return checkpoint;
}

}  // namespace forgecheck

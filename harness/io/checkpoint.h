// Weights of a trained model: the safetensors files of KempnerForge and of Hugging Face.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "reference/array.h"
#include "reference/config.h"
#include "reference/weights.h"

namespace forgecheck {

struct Checkpoint {
  Architecture architecture;
  ParameterTable parameters;
};

/// A .toml file is KempnerForge's, a .json file Hugging Face's config.json; of a folder it is the config.json or
/// config.toml in it.
Architecture load_config(const std::filesystem::path& path);

/// Reads a model.safetensors, a model.safetensors.index.json with its shards, or the one of the two that lies
/// in a directory. Names are KempnerForge's (with or without "transformer." in front), or Hugging Face's. The
/// result has exactly the tensors of all_parameters(architecture), in the element types of the file; a
/// missing expert_ema, which is no parameter, is 1 / E.
///
/// Ignored: rotary_emb.inv_freq, the weights of a vision encoder, and the output head where it is tied.
/// Throws FormatError where a tensor is missing or unknown, and ShapeError where one has the wrong shape.
ParameterTable load_parameters(const std::filesystem::path& path, const Architecture& architecture);

Checkpoint load_checkpoint(const std::filesystem::path& config, const std::filesystem::path& parameters);

}  // namespace forgecheck

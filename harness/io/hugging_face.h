// Configurations and tensor names of Hugging Face checkpoints (config.json and model.safetensors as
// save_pretrained writes them) in the words of KempnerForge.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "reference/config.h"

namespace forgecheck {

/// Reads a config.json of model_type llama, mistral, mixtral, qwen2, qwen3 or qwen3_moe, and validates the result.
/// Throws FormatError "<path>: hidden_size: expected an integer from 1 to 2147483647, got 32.0" on a file
/// that is not such JSON, and ConfigError "<path>: attention_bias = true: ..." on a field that no model here
/// can have.
Architecture load_hf_config(const std::filesystem::path& path);

/// "model.layers.3.self_attn.q_proj.weight" -> "layers.3.attention.q_proj.weight"; empty for a name that has
/// no counterpart.
std::string kempnerforge_name(std::string_view hf_name);

/// The way back, for messages; `mixtral`: as a Mixtral's file calls its experts and routers. A name that has no
/// counterpart stays as it is.
std::string hugging_face_name(std::string_view own_name, bool mixtral);

}  // namespace forgecheck

#include "harness/cli/checkpoint_options.h"

#include "harness/cli/command.h"
#include "harness/io/checkpoint.h"
#include "reference/error.h"

namespace forgecheck {

void add_checkpoint_options(CLI::App& command, CheckpointOptions& options, const std::string& dtype_default) {
  command.add_option("--checkpoint", options.checkpoint,
                     "model.safetensors, its index.json, or their folder");
  command.add_option(
      "--config", options.config,
      "KempnerForge's .toml, Hugging Face's config.json, or a folder with one of them (default: the "
      "checkpoint's folder)");
  command.add_option("--tokens", options.tokens, "Token ids, separated by commas");
  command.add_option("--dtype", options.dtype, "float32 or bfloat16 (default: " + dtype_default + ")");
}

std::vector<std::pair<std::string, std::string>> given_besides(const CheckpointOptions& options) {
  std::vector<std::pair<std::string, std::string>> all = {
      {"--config", options.config}, {"--tokens", options.tokens}, {"--dtype", options.dtype}};
  std::erase_if(all, [](const auto& option) { return option.second.empty(); });
  return all;
}

Architecture load_architecture(const CheckpointOptions& options) {
  if (!options.config.empty()) return load_config(options.config);
  const std::filesystem::path checkpoint = options.checkpoint;
  if (std::filesystem::is_directory(checkpoint)) return load_config(checkpoint);
  const std::filesystem::path folder = checkpoint.parent_path();
  return load_config(folder.empty() ? "." : folder);
}

Dtype parse_dtype(const CheckpointOptions& options, Dtype otherwise) {
  if (options.dtype.empty()) return otherwise;
  if (options.dtype == "float32") return Dtype::f32;
  if (options.dtype == "bfloat16") return Dtype::bf16;
  throw ConfigError("--dtype " + options.dtype + ": must be float32 or bfloat16");
}

Array parse_tokens(const std::string& text) {
  std::vector<std::int64_t> tokens;
  std::size_t begin = 0;
  while (true) {
    const std::size_t comma = text.find(',', begin);
    const std::string part = text.substr(begin, comma - begin);
    if (part.empty()) {
      throw ConfigError("--tokens \"" + text + "\": token " + std::to_string(tokens.size() + 1) +
                        " is empty");
    }
    tokens.push_back(parse_integer("--tokens", part));
    if (comma == std::string::npos) break;
    begin = comma + 1;
  }
  const std::int64_t length = std::ssize(tokens);
  return Array::from(Tensor<std::int64_t>({1, length}, std::move(tokens)));
}

}  // namespace forgecheck

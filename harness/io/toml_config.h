// Upstream's configuration files: sections [model], [vision_encoder], [adapter] and [vlm] of a TOML file.
// Source of the rules: kempnerforge/config/{loader,job}.py.
#pragma once

#include <filesystem>

#include "reference/config.h"

namespace forgecheck {

/// Reads and validates. Other sections are ignored; a file without any section is itself a [model] section.
/// With [vlm], a missing [adapter] is the default one, and [vision_encoder] decides feature_dim and (mot)
/// num_image_tokens.
///
/// Throws FormatError "<path>:<line>:<column>: ..." where the file is not TOML or cannot be read, and
/// ConfigError "<path>:<line>: model.dim = -3: ..." on a field that is unknown, of the wrong type or not
/// allowed.
Architecture load_toml_config(const std::filesystem::path& path);

}  // namespace forgecheck

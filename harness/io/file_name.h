// The name of the file in every error about what was read from it.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <string>

#include "reference/error.h"

namespace forgecheck {

/// "<path>: <message>", or the message where it begins with the path.
inline std::string with_path(const std::filesystem::path& path, const std::string& message) {
  return message.starts_with(path.string()) ? message : fmt::format("{}: {}", path.string(), message);
}

/// Calls `work`, which computes with what was read from a file. An error in a configuration, a shape or the
/// form of a file names the file; errors of a backend are not about the file, and pass.
template <class Work>
auto with_file_name(const std::filesystem::path& path, const Work& work) {
  try {
    return work();
  } catch (const ConfigError& error) {
    throw ConfigError(with_path(path, error.what()));
  } catch (const ShapeError& error) {
    throw ShapeError(with_path(path, error.what()));
  } catch (const FormatError& error) {
    throw FormatError(with_path(path, error.what()));
  }
}

}  // namespace forgecheck

// The store of recorded traces: a folder of golden files, and its manifest.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace forgecheck {

/// `*` any text, `?` one character; the pattern matches the whole name.
bool glob_match(std::string_view pattern, std::string_view name);

/// Whether the name matches a filter: as a pattern where that holds `*` or `?`, else as a part.
bool matches_filter(const std::string& filter, const std::string& name);

struct GoldenEntry {
  std::string name;  // path below the folder, without ".safetensors"
  std::filesystem::path path;
};

/// Every golden file below `folder`, by name: the .safetensors files except the weights next to them
/// (model*.safetensors). Only names that match the filter. A dangling symbolic link is included, and
/// read_golden reports it. Throws FormatError if the folder is not there or cannot be read, and on any other
/// symbolic link that is dangling or points to a folder.
std::vector<GoldenEntry> find_goldens(const std::filesystem::path& folder, const std::string& filter);

/// Writes folder/manifest.json for all .safetensors files below the folder. A file whose sha256 has not
/// changed keeps its date; others get `today`.
void write_manifest(const std::filesystem::path& folder, const std::string& today);

/// How the folder differs from its manifest, one line each: changed, missing, unlisted and unreadable files.
/// Throws FormatError if the manifest cannot be read.
std::vector<std::string> check_manifest(const std::filesystem::path& folder);

}  // namespace forgecheck

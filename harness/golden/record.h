// Recording: a list of named cases becomes a folder of golden files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/backend/backend.h"

namespace forgecheck {

struct NamedCase {
  std::string name;  // where its file goes below the folder, without extension
  Case definition;
};

/// Reads lines `name case-text`; empty lines and lines that begin with '#' are skipped. Throws FormatError or
/// ConfigError "<path>:<line>: ..." on a line of another form, and on a name that is there twice or leaves
/// the folder.
std::vector<NamedCase> read_case_list(const std::filesystem::path& path);

/// Runs the case with seeded inputs and weights and writes folder/name.safetensors: the same bytes at every
/// recording. Throws what the backend throws; nothing is written then.
void record_case(const NamedCase& named, Backend& backend, const std::filesystem::path& folder);

}  // namespace forgecheck

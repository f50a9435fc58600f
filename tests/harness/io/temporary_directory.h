// A directory of its own for a test's files, removed after it.
#pragma once

#include <fstream>
#include <string>

#include "harness/io/scratch_folder.h"

namespace forgecheck {

class TemporaryDirectory : public ScratchFolder {
 public:
  /// Writes a file and returns where it lies.
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path() / name, std::ios::binary) << text;
    return path() / name;
  }
};

}  // namespace forgecheck

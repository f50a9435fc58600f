// A new folder below the system's folder for temporary files, removed with all that is in it at the end of its scope.
#pragma once

#include <filesystem>

namespace forgecheck {

class ScratchFolder {
 public:
  /// Throws FormatError where none can be made.
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace forgecheck

// Only one program at a time writes into a folder.
#pragma once

#include <filesystem>

namespace forgecheck {

/// Holds the folder until the end of its scope, or of the program however that ends. Leaves no file behind.
class FolderLock {
 public:
  /// Throws FormatError "<folder>: ..." where another program holds it, or it cannot be opened.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_;
};

}  // namespace forgecheck

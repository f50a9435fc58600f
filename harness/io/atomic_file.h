// A file that appears whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace forgecheck {

/// Takes bytes into a new file in the directory of `path`; commit() puts it in place of `path` by a rename,
/// once its bytes are safely on disk. Until then, and after a failed or killed write, the old file is whole.
/// A file that was not committed is removed at the end of its scope. Throws FormatError "<path>: ..." on any
/// failure.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Nothing may be written behind it.
  void commit();

 private:
  void create();

  std::filesystem::path path_;
  std::filesystem::path temporary_;  // empty once it has taken path's place
  int file_ = -1;
};

/// The whole of a file at once.
void write_atomically(const std::filesystem::path& path, std::string_view text);

}  // namespace forgecheck

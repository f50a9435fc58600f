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
/// Only regular files are replaced. A symbolic link is followed: the file it leads to is replaced, and the
/// link stays. A device, a named pipe or an open descriptor (/dev/stdout, /dev/fd/3) is written to as it is.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  /// Nothing may be written after it.
  void commit();

 private:
  void create();

  std::filesystem::path path_;       // as given: what messages name
  std::filesystem::path target_;     // where the links of path_ lead
  std::filesystem::path temporary_;  // empty without one, and once it has taken the target's place
  int file_ = -1;
};

/// The whole of a file at once.
void write_atomically(const std::filesystem::path& path, std::string_view text);

/// Where the symbolic links of `path` lead; the last of them where they lead in a circle. A name of an open
/// descriptor (/proc/self/fd/1) is kept.
std::filesystem::path follow_links(std::filesystem::path path);

/// Whether what is written to `path` goes to standard output: /dev/stdout and other names of descriptor 1.
bool is_standard_output(const std::filesystem::path& path);

}  // namespace forgecheck

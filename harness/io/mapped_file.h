// A file's bytes in memory, loaded as they are used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

namespace forgecheck {

struct MappedFile {
  std::shared_ptr<const std::byte> data;  // null where the file is empty
  std::uint64_t size = 0;

  /// A view from `offset` on, which keeps the mapping alive.
  std::shared_ptr<const std::byte> view(std::uint64_t offset) const { return {data, data.get() + offset}; }
};

/// Maps a regular file; the mapping ends with the last view of it. The file must not be shortened until then;
/// replacing it by a rename is safe. Throws FormatError "<path>: ..." where it cannot be read.
MappedFile map_file(const std::filesystem::path& path);

/// The file's bytes as text.
std::string_view text_of(const MappedFile& file);

/// Throws FormatError where the text is the pointer that Git LFS leaves in place of a file that was not
/// fetched.
void refuse_lfs_pointer(const std::filesystem::path& path, std::string_view text);

}  // namespace forgecheck

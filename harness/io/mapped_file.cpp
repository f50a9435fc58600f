#include "harness/io/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "reference/error.h"

namespace forgecheck {

namespace {

[[noreturn]] void refuse_file(const std::filesystem::path& path, const std::string& what) {
  throw FormatError(fmt::format("{}: {}", path.string(), what));
}

/// A file descriptor that is closed at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

}  // namespace

MappedFile map_file(const std::filesystem::path& path) {
  // O_NONBLOCK: a named pipe must be refused, not waited for.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.number() < 0) refuse_file(path, fmt::format("cannot be opened: {}", std::strerror(errno)));
  struct stat status {};
  if (::fstat(file.number(), &status) != 0) {
    refuse_file(path, fmt::format("cannot be read: {}", std::strerror(errno)));
  }
  if (S_ISDIR(status.st_mode)) refuse_file(path, fmt::format("cannot be read: {}", std::strerror(EISDIR)));
  if (!S_ISREG(status.st_mode)) refuse_file(path, "is not a regular file");
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return {};
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number(), 0);
  if (address == MAP_FAILED) refuse_file(path, fmt::format("cannot be mapped: {}", std::strerror(errno)));
  const auto unmap = [size](const std::byte* data) { ::munmap(const_cast<std::byte*>(data), size); };
  return {std::shared_ptr<const std::byte>(static_cast<const std::byte*>(address), unmap), size};
}

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.data.get()), file.size};
}

void refuse_lfs_pointer(const std::filesystem::path& path, std::string_view text) {
  // https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: "version" is the first line of a pointer.
  if (text.starts_with("version https://git-lfs.github.com/spec/")) {
    refuse_file(path, "is a Git LFS pointer, not the file itself: run git lfs pull");
  }
}

}  // namespace forgecheck

#include "harness/io/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "reference/error.h"

namespace forgecheck {

FolderLock::FolderLock(const std::filesystem::path& folder)
    : descriptor_(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) throw FormatError(fmt::format("{}: {}", folder.string(), std::strerror(errno)));
  if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  const int error = errno;
  close(descriptor_);
  throw FormatError(error == EWOULDBLOCK
                        ? fmt::format("{}: another recording writes into it", folder.string())
                        : fmt::format("{}: cannot be locked: {}", folder.string(), std::strerror(error)));
}

FolderLock::~FolderLock() {
  close(descriptor_);
}

}  // namespace forgecheck

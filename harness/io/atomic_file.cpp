#include "harness/io/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "reference/error.h"

namespace forgecheck {

namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what) {
  throw FormatError(path.string() + ": " + what + ": " + std::strerror(errno));
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  create();
}

AtomicFile::~AtomicFile() {
  if (file_ >= 0) ::close(file_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

/// Names of this process, numbered: threads never share one, and what a killed process left is passed over.
void AtomicFile::create() {
  static std::atomic<unsigned> next{0};
  do {
    temporary_ = path_;
    temporary_ += ".tmp." + std::to_string(::getpid()) + "." + std::to_string(next++);
    file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (file_ < 0 && errno == EEXIST);
  if (file_ < 0) refuse(path_, "cannot be created");
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) refuse(path_, "cannot be written");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text)));
}

void AtomicFile::commit() {
  if (::fsync(file_) != 0) refuse(path_, "cannot be written");
  if (::close(std::exchange(file_, -1)) != 0) refuse(path_, "cannot be written");
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) refuse(path_, "cannot be replaced");
  temporary_.clear();
}

void write_atomically(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace forgecheck

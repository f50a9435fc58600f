#include "harness/io/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "reference/error.h"

namespace forgecheck {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const fs::path& path, std::string_view what) {
  throw FormatError(fmt::format("{}: {}: {}", path.string(), what, std::strerror(errno)));
}

/// The descriptor that a name like /proc/self/fd/3 or /dev/fd/3 stands for; -1 for any other.
int descriptor_of(const fs::path& path) {
  if (path == "/dev/stdout") return STDOUT_FILENO;
  std::error_code failed;
  if (!fs::equivalent(path.parent_path(), "/proc/self/fd", failed) || failed) return -1;
  const std::string name = path.filename().string();
  int descriptor = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), descriptor);
  return error == std::errc() && end == name.data() + name.size() ? descriptor : -1;
}

/// Whether something is there that a rename must not replace: a device, a named pipe, a socket.
bool is_written_in_place(const fs::path& path) {
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

}  // namespace

fs::path follow_links(fs::path path) {
  constexpr int kMostLinks = 40;  // as many as Linux follows
  for (int i = 0; i < kMostLinks && descriptor_of(path) < 0; ++i) {
    std::error_code failed;
    const fs::path next = fs::read_symlink(path, failed);
    if (failed) break;
    path = path.parent_path() / next;
  }
  return path;
}

bool is_standard_output(const fs::path& path) {
  return descriptor_of(follow_links(path)) == STDOUT_FILENO;
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)), target_(follow_links(path_)) {
  if (const int descriptor = descriptor_of(target_); descriptor >= 0) {
    file_ = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  } else if (is_written_in_place(target_)) {
    file_ = ::open(target_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
  } else if (fs::is_symlink(target_)) {
    throw FormatError(path_.string() + ": is a symbolic link that leads in a circle");
  } else {
    create();
  }
  if (file_ < 0) fail(path_, "cannot be opened");
}

AtomicFile::~AtomicFile() {
  if (file_ >= 0) ::close(file_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

/// Names of this process, numbered: threads never share one, and what a killed process left is passed over.
void AtomicFile::create() {
  static std::atomic<unsigned> next{0};
  do {
    temporary_ = fmt::format("{}.tmp.{}.{}", target_.string(), ::getpid(), next++);
    file_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (file_ < 0 && errno == EEXIST);
  if (file_ < 0) {
    temporary_.clear();
    fail(path_, "cannot be created");
  }
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path_, "cannot be written");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text)));
}

void AtomicFile::commit() {
  const bool in_place = temporary_.empty();
  if (!in_place && ::fsync(file_) != 0) fail(path_, "cannot be written");
  if (::close(std::exchange(file_, -1)) != 0) fail(path_, "cannot be written");
  if (in_place) return;
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) fail(path_, "cannot be replaced");
  temporary_.clear();
}

void write_atomically(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace forgecheck

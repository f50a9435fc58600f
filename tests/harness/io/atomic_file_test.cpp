// A file appears whole or not at all, and nothing is left next to it.
#include "harness/io/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iterator>
#include <thread>
#include <vector>

#include "harness/io/mapped_file.h"
#include "reference/error.h"
#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {
namespace {

namespace fs = std::filesystem;

class AtomicFiles : public testing::Test {
 protected:
  std::string get(const std::string& name) const {
    std::ifstream file(directory_.path() / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::ptrdiff_t files() const { return std::distance(fs::directory_iterator(directory_.path()), {}); }

  TemporaryDirectory directory_;
};

TEST_F(AtomicFiles, CommitReplacesTheOldFile) {
  const fs::path path = directory_.write("a.txt", "a longer old text");
  AtomicFile file(path);
  file.write("text, ");
  const std::byte bytes[] = {std::byte{0}, std::byte{255}};
  file.write(bytes);
  EXPECT_EQ(get("a.txt"), "a longer old text");
  file.commit();
  EXPECT_EQ(get("a.txt"), std::string("text, \0\xff", 8));
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFiles, WithoutCommitTheOldFileStays) {
  const fs::path path = directory_.write("a.txt", "old");
  {
    AtomicFile file(path);
    file.write("new");
    EXPECT_EQ(files(), 2);
  }
  EXPECT_EQ(get("a.txt"), "old");
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFiles, AnEmptyTextMakesAnEmptyFile) {
  write_atomically(directory_.path() / "a.txt", "");
  EXPECT_TRUE(fs::is_regular_file(directory_.path() / "a.txt"));
  EXPECT_EQ(get("a.txt"), "");
}

TEST_F(AtomicFiles, PermissionsAreThoseOfAnyNewFile) {
  const mode_t before = umask(027);
  write_atomically(directory_.path() / "a.txt", "x");
  umask(before);
  EXPECT_EQ(fs::status(directory_.path() / "a.txt").permissions(), fs::perms(0640));
}

TEST_F(AtomicFiles, RefusalsNameThePath) {
  const fs::path missing = directory_.path() / "missing" / "a.txt";
  try {
    write_atomically(missing, "x");
    ADD_FAILURE() << "accepted";
  } catch (const FormatError& error) {
    EXPECT_EQ(error.what(), missing.string() + ": cannot be created: No such file or directory");
  }
  fs::create_directory(directory_.path() / "folder");
  try {
    write_atomically(directory_.path() / "folder", "x");
    ADD_FAILURE() << "accepted";
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("folder: cannot be replaced: "));
  }
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFiles, ASymbolicLinkStaysAndItsTargetIsReplaced) {
  const fs::path folder = directory_.path();
  fs::create_directory(folder / "data");
  directory_.write("data/a.txt", "old");
  fs::create_symlink("data/a.txt", folder / "link");
  fs::create_symlink("link", folder / "link_to_link");
  fs::create_symlink("data/new.txt", folder / "dangling");
  write_atomically(folder / "link_to_link", "text");
  write_atomically(folder / "dangling", "new");
  for (const std::string name : {"link", "link_to_link", "dangling"}) {
    EXPECT_TRUE(fs::is_symlink(folder / name)) << name;
  }
  EXPECT_FALSE(fs::is_symlink(folder / "data" / "a.txt"));
  EXPECT_EQ(get("data/a.txt"), "text");
  EXPECT_EQ(get("data/new.txt"), "new");
  EXPECT_EQ(files(), 4) << "nothing is left beside the links";
}

TEST_F(AtomicFiles, LinksInACircleAreRefused) {
  const fs::path loop = directory_.path() / "loop";
  fs::create_symlink("loop", loop);
  try {
    write_atomically(loop, "x");
    ADD_FAILURE() << "accepted";
  } catch (const FormatError& error) {
    EXPECT_EQ(error.what(), loop.string() + ": is a symbolic link that leads in a circle");
  }
  EXPECT_TRUE(fs::is_symlink(loop));
  EXPECT_EQ(files(), 1);
}

// Linux follows 40 links, and so does whoever reads the file back.
TEST_F(AtomicFiles, AChainOfLinksIsFollowedAsFarAsLinuxFollowsIt) {
  const fs::path folder = directory_.path();
  directory_.write("0", "old");
  for (int i = 1; i <= 41; ++i) fs::create_symlink(std::to_string(i - 1), folder / std::to_string(i));
  write_atomically(folder / "40", "new");
  EXPECT_EQ(get("40"), "new");
  EXPECT_EQ(get("0"), "new");
  EXPECT_FALSE(fs::is_symlink(folder / "0"));
  EXPECT_THROW(write_atomically(folder / "41", "newer"), FormatError);
  EXPECT_EQ(get("0"), "new");
  EXPECT_EQ(files(), 42);
}

/// The read end of a named pipe, which is made here.
class Pipe {
 public:
  explicit Pipe(const fs::path& path) {
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    file_ = open(path.c_str(), O_RDONLY | O_NONBLOCK);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() { close(file_); }
  std::string read_all() const {
    char text[64] = {};
    const ssize_t count = read(file_, text, sizeof text);
    return {text, static_cast<std::size_t>(std::max<ssize_t>(0, count))};
  }

 private:
  int file_ = -1;
};

TEST_F(AtomicFiles, ANamedPipeIsWrittenToAndNotReplaced) {
  const fs::path path = directory_.path() / "pipe";
  const Pipe pipe(path);
  fs::create_symlink("pipe", directory_.path() / "link");
  write_atomically(path, "text");
  EXPECT_EQ(pipe.read_all(), "text");
  write_atomically(directory_.path() / "link", "more");
  EXPECT_EQ(pipe.read_all(), "more");
  EXPECT_TRUE(fs::is_fifo(path));
  EXPECT_TRUE(fs::is_symlink(directory_.path() / "link"));
  EXPECT_EQ(files(), 2);
}

TEST_F(AtomicFiles, ADeviceIsWrittenToAndNotReplaced) {
  fs::create_symlink("/dev/null", directory_.path() / "null");
  write_atomically(directory_.path() / "null", "text");
  EXPECT_TRUE(fs::is_symlink(directory_.path() / "null"));
  EXPECT_TRUE(fs::is_character_file(directory_.path() / "null"));
}

// /dev/stdout leads to /proc/self/fd/1, and this to a file that a shell has open: to replace it would lose
// what is written to the descriptor later.
TEST_F(AtomicFiles, AnOpenDescriptorIsWrittenThrough) {
  const fs::path path = directory_.path() / "a.txt";
  const int file = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_EQ(write(file, "one, ", 5), 5);
  fs::create_symlink("/proc/self/fd/" + std::to_string(file), directory_.path() / "link");
  write_atomically("/dev/fd/" + std::to_string(file), "two, ");
  write_atomically(directory_.path() / "link", "three, ");
  ASSERT_EQ(write(file, "four", 4), 4);
  close(file);
  EXPECT_EQ(get("a.txt"), "one, two, three, four");
  EXPECT_EQ(files(), 2);
}

TEST_F(AtomicFiles, StandardOutputIsKnownByAllOfItsNames) {
  fs::create_symlink("/dev/stdout", directory_.path() / "link");
  for (const fs::path& path : {fs::path("/dev/stdout"), fs::path("/dev/fd/1"), fs::path("/proc/self/fd/1"),
                               directory_.path() / "link"}) {
    EXPECT_TRUE(is_standard_output(path)) << path;
  }
  for (const std::string path :
       {"/dev/stderr", "/dev/null", "stdout", "/dev/fd/10", "/dev/fd/1x", "/dev/fd/", "", "/tmp/1"}) {
    EXPECT_FALSE(is_standard_output(path)) << path;
  }
}

TEST_F(AtomicFiles, LeftoversOfAKilledWriterArePassedOver) {
  // Temporary files end in a number that counts up: the next ones are taken already.
  const fs::path path = directory_.path() / "a.txt";
  std::string temporary;
  {
    const AtomicFile file(path);
    temporary = fs::directory_iterator(directory_.path())->path().filename().string();
  }
  const std::size_t dot = temporary.rfind('.');
  const int number = std::stoi(temporary.substr(dot + 1));
  for (int i = 1; i <= 3; ++i)
    directory_.write(temporary.substr(0, dot + 1) + std::to_string(number + i), "left");
  write_atomically(path, "new");
  EXPECT_EQ(get("a.txt"), "new");
  EXPECT_EQ(files(), 4);
}

TEST_F(AtomicFiles, WritersOfOnePathDoNotMix) {
  const fs::path path = directory_.path() / "a.txt";
  std::vector<std::thread> threads;
  for (char c = 'a'; c < 'i'; ++c) {
    threads.emplace_back([&path, c] {
      for (int i = 0; i < 5; ++i) write_atomically(path, std::string(20'000, c));
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string text = get("a.txt");
  EXPECT_EQ(text, std::string(20'000, text.empty() ? 'x' : text.front()));
  EXPECT_EQ(files(), 1);
}

TEST_F(AtomicFiles, AMappedFileIsItsBytes) {
  const MappedFile file = map_file(directory_.write("a.txt", "abc"));
  ASSERT_EQ(file.size, 3U);
  EXPECT_EQ(*file.view(2), std::byte{'c'});
  const MappedFile empty = map_file(directory_.write("empty.txt", ""));
  EXPECT_EQ(empty.size, 0U);
  EXPECT_EQ(empty.data, nullptr);
}

}  // namespace
}  // namespace forgecheck

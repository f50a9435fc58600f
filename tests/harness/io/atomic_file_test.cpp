// A file appears whole or not at all, and nothing is left beside it.
#include "harness/io/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

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

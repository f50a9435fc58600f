#include "harness/io/sha256.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "reference/error.h"

namespace forgecheck {
namespace {

std::string sha256_of(std::string_view text) {
  return sha256_hex(std::as_bytes(std::span(text)));
}

/// A path of this process and test, removed at the end.
class Sha256File : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(path_); }

  void write(std::string_view text) const {
    std::ofstream(path_, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
  }

  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("forgecheck_sha256_" + std::to_string(getpid()));
};

// Expected digests: FIPS 180-4 example messages of NIST's CSRC ("abc", the 448-bit one, a million "a").
TEST(Sha256, AgreesWithPublishedExamples) {
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_of(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_F(Sha256File, AgreesWithTheDigestOfItsBytes) {
  // Below, at and past the size of the pieces in which a file is read; 0, 0xff and newline bytes among them.
  for (const std::size_t size : {0U, 1U, 65535U, 65536U, 65537U, 200000U}) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + i / 256);
    write(text);
    EXPECT_EQ(sha256_file(path_), sha256_of(text)) << size;
  }
}

TEST_F(Sha256File, RefusesMissingFile) {
  try {
    sha256_file(path_);
    FAIL() << "a missing file has a digest";
  } catch (const FormatError& error) {
    EXPECT_EQ(std::string(error.what()), path_.string() + ": cannot be opened: No such file or directory");
  }
}

TEST_F(Sha256File, RefusesDirectory) {
  std::filesystem::create_directory(path_);
  try {
    sha256_file(path_);
    FAIL() << "a directory has a digest";
  } catch (const FormatError& error) {
    EXPECT_EQ(std::string(error.what()), path_.string() + ": cannot be read: Is a directory");
  }
}

}  // namespace
}  // namespace forgecheck

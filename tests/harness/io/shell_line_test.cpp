#include "harness/io/shell_line.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>

namespace forgecheck {
namespace {

/// What a shell prints for the words, one a line.
std::string as_sh_reads(const std::vector<std::string>& words) {
  const std::string command = "printf '%s\\n' " + shell_line(words);
  std::FILE* const shell = popen(command.c_str(), "r");
  std::string text;
  std::array<char, 4096> buffer{};
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), shell)) {
    text.append(buffer.data(), count);
  }
  EXPECT_EQ(pclose(shell), 0);
  return text;
}

TEST(ShellLine, AShellReadsTheSameWords) {
  const std::vector<std::string> words = {"plain",    "two words",  "it's",    "''", "$HOME",  "`id`",
                                          "a;b",      "*",          "~",       "#",  "\\",     "\"",
                                          "a\tb",     "!",          "a&b",     "(",  "a=b,%@", "/x/y-z_1.so",
                                          "moe[d=1]", "d=1/seed=7", "\xC3\xA4"};
  std::string lines;
  for (const std::string& word : words) lines += word + "\n";
  EXPECT_EQ(as_sh_reads(words), lines);
  EXPECT_EQ(as_sh_reads({"a", "", "b"}), "a\n\nb\n");
}

TEST(ShellLine, OnlyWhatAShellWouldReadOtherwiseIsQuoted) {
  EXPECT_EQ(shell_line({"forgecheck", "verify", "--shard", "1/4", "a b", "moe*"}),
            "forgecheck verify --shard 1/4 'a b' 'moe*'");
  EXPECT_EQ(shell_line({}), "");
}

}  // namespace
}  // namespace forgecheck

// Runs the built program in a folder of the test's own and keeps what it prints.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {

inline std::string file_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path.string() + " cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::string golden_path(const std::string& name) {
  return FORGECHECK_SOURCE_DIR "/golden/" + name;
}

/// The program under test: the built one, or the one that the environment names (a mutant).
inline std::string program() {
  const char* named = std::getenv("FORGECHECK_PROGRAM");
  return named == nullptr ? FORGECHECK_PROGRAM : named;
}

struct Outcome {
  int status = -1;  // exit status; 128 + the signal if one ended the program
  std::string out;
  std::string err;
};

class ProgramTest : public testing::Test {
 protected:
  /// Runs the program with these arguments, in the folder.
  Outcome run(const std::vector<std::string>& arguments) const {
    std::vector<std::string> words{program()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return spawn(words);
  }

  /// The same under a limit of the shell, such as "ulimit -v 8000000" (kilobytes of address space).
  Outcome run_under(const std::string& limit, const std::vector<std::string>& arguments) const {
    std::vector<std::string> words{"/bin/sh", "-c", limit + R"( && exec "$0" "$@")", program()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return spawn(words);
  }

  /// Expects exit status 2, nothing on stdout, and one line on stderr that contains every part.
  void expect_refused(const std::vector<std::string>& arguments,
                      const std::vector<std::string>& parts) const {
    const Outcome outcome = run(arguments);
    ASSERT_EQ(outcome.status, 2) << outcome.out << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, testing::StartsWith("forgecheck: "));
    EXPECT_THAT(outcome.err, testing::EndsWith("\n"));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    for (const std::string& part : parts) EXPECT_THAT(outcome.err, testing::HasSubstr(part));
  }

  /// Where a file of the folder lies.
  std::filesystem::path at(const std::string& name) const { return folder_.path() / name; }
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    return folder_.write(name, text);
  }

 private:
  Outcome spawn(std::vector<std::string> words) const {
    const std::string out = (streams_.path() / "out").string(), err = (streams_.path() / "err").string();
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    posix_spawn_file_actions_addchdir_np(&actions, folder_.path().c_str());
    pid_t child = 0;
    const int failed = posix_spawn(&child, words[0].c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) throw std::runtime_error(words[0] + " cannot be started");
    int state = 0;
    if (waitpid(child, &state, 0) != child) throw std::runtime_error("waitpid failed");
    return {WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state), file_text(out), file_text(err)};
  }

  TemporaryDirectory folder_;
  TemporaryDirectory streams_;
};

}  // namespace forgecheck

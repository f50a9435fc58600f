#include "harness/backend/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>

#include "reference/error.h"

namespace forgecheck {

namespace {

constexpr std::size_t kLongestLine = 1 << 20;
constexpr int kPollMilliseconds = 50;

[[noreturn]] void fail(const std::string& what) {
  throw BackendError(fmt::format("{}: {}", what, std::strerror(errno)));
}

void close_if_open(int& descriptor) {
  if (descriptor >= 0) close(descriptor);
  descriptor = -1;
}

/// Resident memory, in bytes, of one process if it is of the group (proc(5), fields 5 and 24 of stat).
double resident_in_group(const std::filesystem::path& process, pid_t group) {
  std::ifstream file(process / "stat");
  std::string line;
  if (!std::getline(file, line)) return 0.0;
  // The second field is the name in parentheses, which may hold anything.
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string word;
  double pages = 0.0;
  for (int field = 3; fields >> word; ++field) {
    if (field == 5 && word != std::to_string(group)) return 0.0;
    if (field == 24) pages = std::stod(word);
  }
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double resident_bytes(pid_t group) {
  double sum = 0.0;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") == std::string::npos)
      sum += resident_in_group(entry.path(), group);
  }
  return sum;
}

std::string how_it_ended(int status) {
  if (WIFEXITED(status)) return fmt::format("ended with exit status {}", WEXITSTATUS(status));
  if (WIFSIGNALED(status)) {
    return fmt::format("was ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  }
  return "ended";
}

}  // namespace

ChildProcess::ChildProcess(const std::string& command, const std::filesystem::path& errors) {
  // A socket, since a write to a pipe that nobody reads would end this program.
  std::array<int, 2> in{}, out{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in.data()) != 0) fail("socketpair");
  if (pipe2(out.data(), O_CLOEXEC) != 0) fail("pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                   0600);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::string shell = "sh", option = "-c", text = command;
  std::array<char*, 4> arguments{shell.data(), option.data(), text.data(), nullptr};
  const int failed = posix_spawn(&group_, "/bin/sh", &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(in[0]);
  close(out[1]);
  input_ = in[1];
  output_ = out[0];
  if (failed != 0) throw BackendError(fmt::format("cannot start sh: {}", std::strerror(failed)));
}

ChildProcess::~ChildProcess() {
  end();
}

std::string ChildProcess::end() {
  if (group_ < 0) return "";
  close_if_open(input_);
  close_if_open(output_);
  // A program that has just ended is not yet a zombie everywhere; one that has not is ended here.
  int status = 0;
  pid_t ended = 0;
  for (int i = 0; i < 10 && ended == 0; ++i) {
    ended = waitpid(group_, &status, WNOHANG);
    if (ended == 0) usleep(10'000);
  }
  kill(-group_, SIGKILL);
  if (ended == 0) waitpid(group_, nullptr, 0);
  group_ = -1;
  return ended > 0 ? how_it_ended(status) : "";
}

void ChildProcess::send(const std::string& line) {
  const std::string text = line + "\n";
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t count = ::send(input_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const std::string how = end();
      throw BackendError(how.empty() ? "no longer reads its standard input" : how);
    }
    sent += static_cast<std::size_t>(count);
  }
}

void ChildProcess::require_within(const ChildLimits& limits, double seconds) const {
  if (seconds > limits.seconds) throw BackendError(fmt::format("gave no answer in {} s", limits.seconds));
  if (const double bytes = resident_bytes(group_); bytes > limits.gigabytes * 1e9) {
    throw BackendError(
        fmt::format("used {:.1f} GB of memory, {} are allowed", bytes / 1e9, limits.gigabytes));
  }
}

std::string ChildProcess::receive(const ChildLimits& limits) {
  const auto start = std::chrono::steady_clock::now();
  while (true) {
    if (const std::size_t line_end = received_.find('\n'); line_end != std::string::npos) {
      std::string line = received_.substr(0, line_end);
      received_.erase(0, line_end + 1);
      return line;
    }
    if (received_.size() > kLongestLine) throw BackendError("wrote a line of more than a megabyte");
    pollfd waiting{output_, POLLIN, 0};
    if (poll(&waiting, 1, kPollMilliseconds) <= 0) {
      // Only now: whoever answers at once is never asked how much memory it has, which reads all of /proc.
      require_within(limits, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      continue;
    }
    std::array<char, 65536> buffer{};
    const ssize_t count = read(output_, buffer.data(), buffer.size());
    if (count > 0) {
      received_.append(buffer.data(), static_cast<std::size_t>(count));
    } else if (count == 0) {
      const std::string how = end();
      throw BackendError(how.empty() ? "closed its standard output" : how);
    }
  }
}

}  // namespace forgecheck

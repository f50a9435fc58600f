// A program beside this one that speaks in lines. It runs in a process group of its own, so that it and
// whatever it has started end together.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace forgecheck {

/// What one answer may take.
struct ChildLimits {
  double seconds = 60.0;
  double gigabytes = 16.0;  // resident memory of the whole process group, in units of 10^9 bytes
};

class ChildProcess {
 public:
  /// Starts `sh -c command`. Its standard error is appended to the file `errors`. Throws BackendError.
  ChildProcess(const std::string& command, const std::filesystem::path& errors);
  /// Ends the program and its process group.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  /// Writes a line to its standard input. Throws BackendError if it no longer reads.
  void send(const std::string& line);
  /// The next line of its standard output. Throws BackendError where none comes: it ended, it took longer
  /// than the limit or more memory, or the line has more than a megabyte.
  std::string receive(const ChildLimits& limits);

 private:
  /// Ends the group, and says how the program itself ended: by itself, with a status or by a signal, or "".
  std::string end();
  /// Throws BackendError where it has taken longer, or has more memory.
  void require_within(const ChildLimits& limits, double seconds) const;

  pid_t group_ = -1;
  int input_ = -1;   // what it reads
  int output_ = -1;  // what it writes
  std::string received_;
};

}  // namespace forgecheck

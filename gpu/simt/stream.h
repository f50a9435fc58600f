// Work in streams: any stream's first piece of work may run next, unless it waits for something.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "gpu/simt/random.h"
#include "simt/host.h"

namespace simt {

/// One recording of an event. An event may be recorded again while something still waits for the
/// previous recording.
struct Recording {
  bool done = false;
  std::chrono::steady_clock::time_point time;
};

struct Event {
  std::shared_ptr<Recording> latest;  // null before the first cudaEventRecord
  bool timing = true;
};

struct Work {
  std::function<void()> run;
  std::shared_ptr<const Recording> after;  // runs when this is done; null for no wait
  std::uint64_t number = 0;                // in the order of the host's calls
};

struct Stream {
  std::deque<Work> queue;
  bool blocking = true;  // takes part in the order of the legacy default stream
  bool destroyed = false;
};

class Streams {
 public:
  Stream* create(bool blocking);
  void destroy(Stream* stream);
  bool valid(const Stream* stream) const;
  Stream* legacy() { return &legacy_; }

  void enqueue(Stream* stream, std::function<void()> run, std::shared_ptr<const Recording> after = nullptr);

  /// Runs one piece of work that may run now, chosen by `random`. False when there is none.
  bool run_one(Random& random);

  bool idle() const;

  /// Forgets all work.
  void clear();

 private:
  bool may_run(const Stream& stream) const;

  Stream legacy_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::uint64_t count_ = 0;
};

}  // namespace simt

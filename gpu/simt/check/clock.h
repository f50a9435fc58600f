// Which accesses of a kernel are ordered. Time is cut into intervals: a new one begins with every block and
// every __syncthreads, so that most checks compare two numbers; inside an interval only __syncwarp orders
// accesses, by vector clocks of the 32 lanes of a warp.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "gpu/simt/block.h"

namespace simt::check {

/// An interval (38 bits), a thread of the block (10 bits), and the thread's own clock (16 bits).
using Moment = std::uint64_t;

class Clock {
 public:
  void launch_begins();
  void block_begins(uint3 index);
  void block_barrier();
  void warp_barrier(unsigned warp, unsigned lanes_of_barrier);

  Moment now(unsigned thread) const {
    return interval_ << 26 | Moment{thread} << 16 | clocks_[thread][thread % lanes];
  }

  /// Of this launch, and, for shared memory, of this block. Anything older is ordered.
  bool in_launch(Moment moment) const { return interval_of(moment) >= launch_first_; }
  bool in_block(Moment moment) const { return interval_of(moment) >= block_first_; }

  /// Whether an access at `moment` is certain to have happened before what `thread` does now.
  bool before(Moment moment, unsigned thread) const;

  static unsigned thread_of(Moment moment) { return static_cast<unsigned>(moment >> 16 & 1023); }

  /// The index of the block that the moment belongs to, in this launch.
  uint3 block_of(Moment moment) const;

 private:
  static std::uint64_t interval_of(Moment moment) { return moment >> 26; }
  void reset(unsigned warp);

  std::uint64_t interval_ = 1;
  std::uint64_t launch_first_ = 1;
  std::uint64_t block_first_ = 1;
  struct FirstInterval {
    std::uint64_t interval;
    uint3 block;
  };
  std::vector<FirstInterval> blocks_;                            // of this launch
  std::array<std::array<std::uint16_t, lanes>, 1024> clocks_{};  // what each thread knows of its warp's lanes
  std::array<bool, 32> used_{};  // warps whose clocks have moved in this interval
};

}  // namespace simt::check

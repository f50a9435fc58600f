#include "gpu/simt/check/clock.h"

#include <algorithm>

namespace simt::check {

void Clock::launch_begins() {
  launch_first_ = ++interval_;
  blocks_.clear();
}

void Clock::block_begins(uint3 index) {
  block_first_ = ++interval_;
  blocks_.push_back({interval_, index});
  for (unsigned warp = 0; warp < used_.size(); ++warp) {
    reset(warp);
  }
}

void Clock::block_barrier() {
  ++interval_;
  for (unsigned warp = 0; warp < used_.size(); ++warp) {
    if (used_[warp]) {
      reset(warp);
    }
  }
}

/// No thread knows anything of another in this interval, and every thread's own clock is 1.
void Clock::reset(unsigned warp) {
  for (unsigned lane = 0; lane < lanes; ++lane) {
    clocks_[warp * lanes + lane] = {};
    clocks_[warp * lanes + lane][lane] = 1;
  }
  used_[warp] = false;
}

void Clock::warp_barrier(unsigned warp, unsigned lanes_of_barrier) {
  used_[warp] = true;
  std::array<std::uint16_t, lanes> known{};
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if (lanes_of_barrier >> lane & 1) {
      for (unsigned other = 0; other < lanes; ++other) {
        known[other] = std::max(known[other], clocks_[warp * lanes + lane][other]);
      }
    }
  }
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if (lanes_of_barrier >> lane & 1) {
      clocks_[warp * lanes + lane] = known;
      if (known[lane] < 0xffff) {
        ++clocks_[warp * lanes + lane][lane];
      }
    }
  }
}

bool Clock::before(Moment moment, unsigned thread) const {
  if (!in_launch(moment)) {
    return true;
  }
  if (!in_block(moment)) {
    return false;
  }
  if (interval_of(moment) < interval_) {
    return true;
  }
  const unsigned other = thread_of(moment);
  return other == thread ||
         (other / lanes == thread / lanes && (moment & 0xffff) <= clocks_[thread][other % lanes]);
}

uint3 Clock::block_of(Moment moment) const {
  const auto after = std::upper_bound(
      blocks_.begin(), blocks_.end(), interval_of(moment),
      [](std::uint64_t interval, const FirstInterval& first) { return interval < first.interval; });
  return after == blocks_.begin() ? uint3{} : std::prev(after)->block;
}

}  // namespace simt::check

// The memory of the race check: for every four bytes, the last few accesses that can still conflict with
// another.
#pragma once

#include <array>
#include <cstdint>

#include "gpu/simt/check/clock.h"

namespace simt::check {

struct Access {
  Moment moment = 0;
  std::uint64_t pc : 48 = 0;    // the return address of the hook
  std::uint64_t bytes : 4 = 0;  // which of the four; none in an empty slot
  std::uint64_t write : 1 = 0;
  std::uint64_t atomic : 1 = 0;
};
static_assert(sizeof(Access) == 16);

struct Cell {
  std::array<Access, 4> slots;
};

/// Remembers `access`, made now by `thread`. Returns an earlier access that conflicts with it, or null:
/// it touches the same byte, one of the two writes, not both are atomic, and neither is certain to come
/// first. In shared memory only accesses of the same block count.
const Access* remember(Cell& cell, const Access& access, const Clock& clock, unsigned thread, bool shared);

}  // namespace simt::check

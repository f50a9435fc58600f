// Shuffles, votes and __syncwarp: the lanes that a mask names wait for each other.
#include <bit>
#include <string>
#include <utility>

#include "gpu/simt/block.h"
#include "gpu/simt/observer.h"
#include "gpu/simt/source_line.h"

namespace simt {

namespace {

using detail::Collective;

struct Warp {
  explicit Warp(unsigned warp) : first(warp * lanes), alive(block().alive[warp]) {}
  Thread& operator[](unsigned lane) const { return *block().threads[first + lane]; }

  unsigned first;
  unsigned alive;  // lanes that have not ended; past the block's end there are none
};

/// The lowest lane of a set.
unsigned lowest(unsigned set) {
  return static_cast<unsigned>(std::countr_zero(set));
}

/// The set without its lowest lane.
unsigned rest(unsigned set) {
  return set & (set - 1);
}

bool waits_with(const Thread& thread, const Thread& other) {
  return thread.state == State::in_collective && thread.kind == other.kind && thread.mask == other.mask;
}

/// The lane whose value a lane gets: CUDA's rules for segments of `width` lanes.
unsigned source_lane(const Thread& thread) {
  const unsigned lane = thread.lane();
  const unsigned begin = lane & ~(thread.width - 1);
  const unsigned end = begin + thread.width;
  switch (thread.kind) {
    case Collective::shfl:
      return begin + (thread.argument & (thread.width - 1));
    case Collective::shfl_up:
      return thread.argument > lane - begin ? lane : lane - thread.argument;
    case Collective::shfl_down:
      return thread.argument >= end - lane ? lane : lane + thread.argument;
    case Collective::shfl_xor:
      return (lane ^ thread.argument) >= end ? lane : lane ^ thread.argument;
    case Collective::syncwarp:
    case Collective::ballot:
      return lane;
  }
  return lane;
}

/// Gives every lane of `group` its result, and releases it.
void exchange(const Warp& warp, unsigned group) {
  if (observer != nullptr && warp[lowest(group)].kind == Collective::syncwarp) {
    observer->warp_barrier(warp.first / lanes, group);
  }
  std::uint64_t votes = 0;
  if (warp[lowest(group)].kind == Collective::ballot) {
    for (unsigned left = group; left != 0; left = rest(left)) {
      votes |= warp[lowest(left)].value << lowest(left);
    }
  }
  for (unsigned left = group; left != 0; left = rest(left)) {
    Thread& thread = warp[lowest(left)];
    thread.source = source_lane(thread);
    thread.source_active = (group >> thread.source & 1) != 0;
    thread.result = thread.kind == Collective::ballot ? votes
                    : thread.source_active            ? warp[thread.source].value
                                                      : 0;
    make_ready(thread);
  }
}

/// Releases the collective of `thread` if all lanes that it names and that have not ended wait in it.
void complete(const Warp& warp, const Thread& thread) {
  const unsigned group = thread.mask & warp.alive;
  for (unsigned left = group; left != 0; left = rest(left)) {
    if (!waits_with(warp[lowest(left)], thread)) {
      return;
    }
  }
  exchange(warp, group);
}

}  // namespace

void complete_collectives(unsigned number) {
  const Warp warp(number);
  for (unsigned left = warp.alive; left != 0; left = rest(left)) {
    if (warp[lowest(left)].state == State::in_collective) {
      complete(warp, warp[lowest(left)]);
    }
  }
}

bool release_active_masks() {
  bool released = false;
  for (unsigned number = 0; number * lanes < block().size; ++number) {
    const Warp warp(number);
    for (unsigned left = warp.alive; left != 0; left = rest(left)) {
      const Thread& first = warp[lowest(left)];
      if (first.state != State::in_active_mask) {
        continue;
      }
      // The lanes at the same place are those that a device would run together.
      unsigned group = 0;
      for (unsigned others = left; others != 0; others = rest(others)) {
        const Thread& other = warp[lowest(others)];
        const bool together = other.state == State::in_active_mask && same_place(other.where, first.where);
        group |= static_cast<unsigned>(together) << other.lane();
      }
      for (unsigned others = group; others != 0; others = rest(others)) {
        warp[lowest(others)].result = group;
        make_ready(warp[lowest(others)]);
      }
      released = true;
    }
  }
  return released;
}

namespace detail {

std::uint64_t collective(Collective kind, unsigned mask, std::uint64_t value, unsigned argument, int width,
                         const Where& where) {
  const EmulatorSection section;
  Thread& thread = *block().current;
  if ((mask >> thread.lane() & 1) == 0) {
    std::string message = "the mask " + hexadecimal(mask) + " at " + place(where) + " does not name lane " +
                          std::to_string(thread.lane()) + " that uses it";
    fail(cudaErrorLaunchFailure, "wrong warp mask", std::move(message));
  }
  if (width < 1 || width > 32 || !std::has_single_bit(static_cast<unsigned>(width))) {
    std::string message =
        "width " + std::to_string(width) + " at " + place(where) + " is not a power of two from 1 to 32";
    fail(cudaErrorLaunchFailure, "wrong shuffle width", std::move(message));
  }
  thread.kind = kind;
  thread.mask = mask;
  thread.value = value;
  thread.argument = argument;
  thread.width = static_cast<unsigned>(width);
  thread.state = State::in_collective;
  thread.where = where;
  complete(Warp(thread.warp()), thread);
  thread.fiber.suspend();
  if (!thread.source_active) {
    std::string message = "the shuffle at " + place(where) + " reads lane " + std::to_string(thread.source) +
                          ", which does not take part (mask " + hexadecimal(mask) + ")";
    fail(cudaErrorLaunchFailure, "inactive lane", std::move(message));
  }
  return thread.result;
}

unsigned active_mask(const Where& where) {
  const EmulatorSection section;
  wait_in(State::in_active_mask, where);
  return static_cast<unsigned>(block().current->result);
}

}  // namespace detail

}  // namespace simt

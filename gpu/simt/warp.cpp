// Shuffles, votes and __syncwarp: the lanes that a mask names wait for each other.
#include <bit>
#include <string>
#include <utility>

#include "gpu/simt/block.h"
#include "gpu/simt/source_line.h"

namespace simt {

namespace {

using detail::Collective;

/// The threads of a warp; past the block's end there are none.
struct Warp {
  explicit Warp(unsigned warp) : first(warp * lanes) {
    for (unsigned lane = 0; lane < lanes && first + lane < block().size; ++lane) {
      alive |= (*this)[lane].state == State::exited ? 0 : 1U << lane;
    }
  }
  Thread& operator[](unsigned lane) const { return *block().threads[first + lane]; }

  unsigned first;
  unsigned alive = 0;  // lanes that have not ended
};

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
    default:
      return lane;
  }
}

/// Gives every lane of `group` its result, and lets it go on.
void exchange(const Warp& warp, unsigned group) {
  std::uint64_t votes = 0;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((group >> lane & 1) != 0 && warp[lane].kind == Collective::ballot) {
      votes |= warp[lane].value << lane;
    }
  }
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((group >> lane & 1) == 0) {
      continue;
    }
    Thread& thread = warp[lane];
    thread.source = source_lane(thread);
    thread.source_active = (group >> thread.source & 1) != 0;
    thread.result = thread.kind == Collective::ballot ? votes
                    : thread.source_active            ? warp[thread.source].value
                                                      : 0;
    make_ready(thread);
  }
}

/// Lets the collective of `thread` go on if all lanes that it names and that have not ended wait in it.
void complete(const Warp& warp, const Thread& thread) {
  const unsigned group = thread.mask & warp.alive;
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((group >> lane & 1) != 0 && !waits_with(warp[lane], thread)) {
      return;
    }
  }
  exchange(warp, group);
}

}  // namespace

void complete_collectives(unsigned number) {
  const Warp warp(number);
  for (unsigned lane = 0; lane < lanes; ++lane) {
    if ((warp.alive >> lane & 1) != 0 && warp[lane].state == State::in_collective) {
      complete(warp, warp[lane]);
    }
  }
}

bool release_active_masks() {
  bool released = false;
  for (unsigned first = 0; first < block().size; first += lanes) {
    const Warp warp(first / lanes);
    for (unsigned lane = 0; lane < lanes; ++lane) {
      if ((warp.alive >> lane & 1) == 0 || warp[lane].state != State::in_active_mask) {
        continue;
      }
      // The lanes at the same place are those that a device would run together.
      unsigned group = 0;
      for (unsigned other = lane; other < lanes; ++other) {
        const bool together = (warp.alive >> other & 1) != 0 && warp[other].state == State::in_active_mask &&
                              same_place(warp[other].where, warp[lane].where);
        group |= static_cast<unsigned>(together) << other;
      }
      for (unsigned other = lane; other < lanes; ++other) {
        if (group >> other & 1) {
          warp[other].result = group;
          make_ready(warp[other]);
        }
      }
      released = true;
    }
  }
  return released;
}

namespace detail {

std::uint64_t collective(Collective kind, unsigned mask, std::uint64_t value, unsigned argument, int width,
                         const Where& where) {
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
  wait_in(State::in_active_mask, where);
  return static_cast<unsigned>(block().current->result);
}

}  // namespace detail

}  // namespace simt

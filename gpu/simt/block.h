// The running block: its threads, and how they wait for each other. Blocks run one after the other.
#pragma once

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "gpu/simt/failure.h"
#include "gpu/simt/fiber.h"
#include "gpu/simt/random.h"
#include "simt/device.h"
#include "simt/launch.h"

namespace simt {

constexpr unsigned lanes = 32;

enum class State { ready, at_barrier, in_collective, in_active_mask, exited };

struct Thread {
  explicit Thread(unsigned number_) : fiber(number_), number(number_) {}

  Fiber fiber;
  unsigned number;  // in the block, x fastest; number / 32 is the warp, number % 32 the lane
  uint3 index{};
  State state = State::ready;
  Where where;  // where it waits

  // What it waits with, and what it gets.
  detail::Collective kind{};
  unsigned mask = 0;
  std::uint64_t value = 0;
  unsigned argument = 0;
  unsigned width = 0;
  std::uint64_t result = 0;
  unsigned source = 0;  // the lane that a shuffle reads, and whether it takes part
  bool source_active = false;

  unsigned lane() const { return number % lanes; }
  unsigned warp() const { return number / lanes; }
};

struct Block {
  const detail::Launch* launch = nullptr;
  std::vector<std::unique_ptr<Thread>> threads;  // those of the largest block so far
  unsigned size = 0;                             // threads of this block
  std::vector<unsigned> ready;                   // numbers of threads that can run
  std::array<unsigned, 32> alive{};              // by warp, the lanes that have not ended
  unsigned exited = 0;
  unsigned at_barrier = 0;
  Thread* current = nullptr;  // null while the scheduler runs
  Failure failure;
  bool failed = false;
};

/// One for the program; used under the device's lock.
extern Block* const the_block;
inline Block& block() {
  return *the_block;
}

/// Runs every thread of the block at `index` to its end, in an order that `random` gives. Throws Failure.
void run_block(const detail::Launch& launch, uint3 index, Random& random);

/// Every block of the grid, in any order.
void run_grid(const detail::Launch& launch, Random& random);

/// Whether the kernel's own code runs, not the emulator's. Initialised at compile time: the checking mode
/// reads it early.
extern constinit thread_local bool in_kernel;

/// Marks the emulator's own code on a kernel's thread, for as long as it lives. A thread may wait inside.
class EmulatorSection {
 public:
  EmulatorSection() { in_kernel = false; }
  ~EmulatorSection() { in_kernel = true; }
  EmulatorSection(const EmulatorSection&) = delete;
  EmulatorSection& operator=(const EmulatorSection&) = delete;
};

inline bool on_device() {
  return block().current != nullptr;
}

/// Yields to the scheduler in this state; returns when the thread is ready again.
void wait_in(State state, const Where& where);

void make_ready(Thread& thread);

/// Releases every collective of the warp for which all lanes have arrived; to be called when a thread has
/// ended.
void complete_collectives(unsigned warp);

/// Releases the lanes that wait in __activemask(), when nothing else can run. False if there are none.
bool release_active_masks();

/// No thread can run, and not all have ended: throws a report of which threads wait where.
[[noreturn]] void report_deadlock();

inline bool same_place(const Where& a, const Where& b) {
  return a.line == b.line && std::strcmp(a.file, b.file) == 0;
}

/// "thread (3,0,0)", and "thread (3,0,0) of block (0,0,0) in kernel reverse".
std::string name_of(const Thread& thread);
std::string full_name_of(const Thread& thread);

}  // namespace simt

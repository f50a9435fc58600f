#include "gpu/simt/block.h"

#include <exception>
#include <numeric>
#include <utility>

#include "gpu/simt/observer.h"
#include "gpu/simt/shared_memory.h"
#include "gpu/simt/source_line.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace simt {

namespace {

std::string name_of(uint3 index) {
  return "(" + std::to_string(index.x) + "," + std::to_string(index.y) + "," + std::to_string(index.z) + ")";
}

void run_thread(void* argument) {
  std::string thrown;
  try {
    block().launch->body();
  } catch (const std::exception& error) {
    thrown = std::string("the kernel threw: ") + error.what();
  } catch (...) {
    thrown = "the kernel threw an unknown exception";
  }
  in_kernel = false;
  if (!thrown.empty()) {
    fail(cudaErrorLaunchFailure, "exception", std::move(thrown));
  }
  static_cast<Thread*>(argument)->state = State::exited;
}

void start_threads(Block& b) {
  const dim3 extent = b.launch->block;
  b.size = extent.x * extent.y * extent.z;
  while (b.threads.size() < b.size) {
    b.threads.push_back(std::make_unique<Thread>(static_cast<unsigned>(b.threads.size())));
  }
  b.alive = {};
  b.exited = b.at_barrier = 0;
  b.failed = false;
  b.ready.resize(b.size);
  std::iota(b.ready.begin(), b.ready.end(), 0U);
  for (unsigned i = 0; i < b.size; ++i) {
    Thread& thread = *b.threads[i];
    thread.index = {i % extent.x, i / extent.x % extent.y, i / extent.x / extent.y};
    thread.state = State::ready;
    b.alive[thread.warp()] |= 1U << thread.lane();
    thread.fiber.start(run_thread, &thread);
  }
}

void resume(Block& b, Thread& thread) {
  threadIdx = thread.index;
  b.current = &thread;
  thread.fiber.resume();
  b.current = nullptr;
  if (b.failed) {
    throw Failure(b.failure);
  }
  if (thread.state == State::exited) {
    ++b.exited;
    b.alive[thread.warp()] &= ~(1U << thread.lane());
    complete_collectives(thread.warp());
  }
}

constexpr std::uint64_t kOtherThanNewest = 64;

}  // namespace

Block* const the_block = new Block;
constinit thread_local bool in_kernel = false;
constinit Observer* observer = nullptr;

void run_block(const detail::Launch& launch, uint3 index, Random& random) {
  Block& b = block();
  b.launch = &launch;
  blockIdx = index;
  blockDim = launch.block;
  gridDim = launch.grid;
  start_threads(b);
  prepare_shared_memory(launch.shared_bytes);
  if (observer != nullptr) {
    observer->block_begins();
  }
  // In half of the blocks any ready thread runs next; in the others mostly the one that became ready last, so
  // that a warp runs far ahead of the others, as on a device.
  const bool newest_first = random.below(2) == 0;
  while (b.exited < b.size) {
    if (b.ready.empty()) {
      if (!release_active_masks()) {
        report_deadlock();
      }
      continue;
    }
    if (!newest_first || random.below(kOtherThanNewest) == 0) {
      std::swap(b.ready[random.below(b.ready.size())], b.ready.back());
    }
    const unsigned number = b.ready.back();
    b.ready.pop_back();
    resume(b, *b.threads[number]);
  }
}

void run_grid(const detail::Launch& launch, Random& random) {
  if (observer != nullptr) {
    observer->launch_begins();
  }
  const std::uint64_t count = std::uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  // i -> (first + i * step) mod count visits every block once when step and count have no common divisor.
  const std::uint64_t first = random.below(count);
  std::uint64_t step = 1 + random.below(std::min<std::uint64_t>(count, 1U << 20));
  while (std::gcd(step, count) != 1) {
    ++step;
  }
  std::uint64_t number = first;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto x = static_cast<unsigned>(number % launch.grid.x);
    const std::uint64_t rest = number / launch.grid.x;
    const auto y = static_cast<unsigned>(rest % launch.grid.y);
    run_block(launch, {x, y, static_cast<unsigned>(rest / launch.grid.y)}, random);
    number = (number + step) % count;
  }
}

void wait_in(State state, const Where& where) {
  Thread& thread = *block().current;
  thread.state = state;
  thread.where = where;
  thread.fiber.suspend();
}

void make_ready(Thread& thread) {
  thread.state = State::ready;
  block().ready.push_back(thread.number);
}

void fail(cudaError_t code, const char* kind, std::string message) {
  Block& b = block();
  in_kernel = false;
  message.insert(0, std::string(kind) + ": ").append(", by " + full_name_of(*b.current));
  b.failure = {code, kind, std::move(message)};
  b.failed = true;
  b.current->fiber.suspend();
  std::terminate();  // never resumed
}

std::string name_of(const Thread& thread) {
  return "thread " + name_of(thread.index);
}

std::string full_name_of(const Thread& thread) {
  return name_of(thread) + " of block " + name_of(blockIdx) + " in kernel " +
         source_line(block().launch->kernel).function;
}

namespace detail {

void enter_kernel() {
  in_kernel = true;
}
void leave_kernel() {
  in_kernel = false;
}

void interleave(const Where& where) {
  if (on_device()) {
    const EmulatorSection section;
    block().ready.push_back(block().current->number);
    wait_in(State::ready, where);
  }
}

void trap(const Where& where) {
  in_kernel = false;
  std::string message = "__trap() at " + place(where);
  fail(cudaErrorLaunchFailure, "trap", std::move(message));
}

}  // namespace detail

}  // namespace simt

// __syncthreads and its variants, and the report of a deadlock.
#include <cstring>
#include <map>
#include <string>

#include "gpu/simt/block.h"
#include "gpu/simt/observer.h"
#include "gpu/simt/source_line.h"

namespace simt {

namespace {

const char* name_of(detail::Collective kind) {
  switch (kind) {
    case detail::Collective::syncwarp:
      return "__syncwarp";
    case detail::Collective::ballot:
      return "a vote";
    case detail::Collective::shfl:
      return "__shfl_sync";
    case detail::Collective::shfl_up:
      return "__shfl_up_sync";
    case detail::Collective::shfl_down:
      return "__shfl_down_sync";
    case detail::Collective::shfl_xor:
      return "__shfl_xor_sync";
  }
  return "";
}

std::string describe(const Thread& thread) {
  switch (thread.state) {
    case State::exited:
      return "ended";
    case State::at_barrier:
      return "waiting at the barrier " + place(thread.where);
    case State::in_collective:
      return std::string("waiting in ") + name_of(thread.kind) + " at " + place(thread.where) +
             " with mask " + hexadecimal(thread.mask);
    case State::ready:
    case State::in_active_mask:
      return "running";
  }
  return "";
}

/// Every thread waits at a barrier: releases them all, with the combined predicates.
void release_barrier(detail::Barrier kind) {
  Block& b = block();
  std::uint64_t count = 0;
  for (unsigned i = 0; i < b.size; ++i) {
    if (!same_place(b.threads[i]->where, b.threads[0]->where)) {
      return;  // no thread can go on: the scheduler reports it
    }
    count += b.threads[i]->value;
  }
  const std::uint64_t result = kind == detail::Barrier::count        ? count
                               : kind == detail::Barrier::logical_or ? count != 0
                                                                     : count == b.size;
  b.at_barrier = 0;
  if (observer != nullptr) {
    observer->block_barrier();
  }
  for (unsigned i = 0; i < b.size; ++i) {
    b.threads[i]->result = result;
    make_ready(*b.threads[i]);
  }
}

}  // namespace

void report_deadlock() {
  Block& b = block();
  std::map<std::string, std::pair<unsigned, const Thread*>> groups;
  for (unsigned i = 0; i < b.size; ++i) {
    auto& [count, first] = groups[describe(*b.threads[i])];
    first = count++ == 0 ? b.threads[i].get() : first;
  }
  std::string text;
  const Thread* waiting = b.threads.front().get();
  for (const auto& [what, group] : groups) {
    text += (text.empty() ? "" : "; ") + std::to_string(group.first) +
            (group.first == 1 ? " thread" : " threads") + " (the first is " +
            simt::name_of(*group.second).substr(7) + ") " + what;
    waiting = group.second->state != State::exited ? group.second : waiting;
  }
  const std::string kind = b.at_barrier > 0 ? "divergent barrier" : "wrong warp mask";
  throw Failure{cudaErrorLaunchFailure, kind,
                kind + ": no thread can go on: " + text + "; seen from " + full_name_of(*waiting)};
}

namespace detail {

int barrier(Barrier kind, int predicate, const Where& where) {
  const EmulatorSection section;
  Block& b = block();
  Thread& thread = *b.current;
  thread.value = predicate != 0;
  thread.state = State::at_barrier;
  thread.where = where;
  if (++b.at_barrier == b.size) {
    release_barrier(kind);
  }
  thread.fiber.suspend();
  return static_cast<int>(thread.result);
}

}  // namespace detail

}  // namespace simt

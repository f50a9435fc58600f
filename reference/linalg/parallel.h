// Independent pieces of work on the threads of the machine.
#pragma once

#include <cstdint>
#include <functional>

namespace forgecheck::linalg {

/// How many threads share a product: OMP_NUM_THREADS of the environment where it is a positive number, else the
/// processors of the machine.
std::int64_t thread_count();

/// Calls body(0) .. body(count - 1), each once, on `threads` threads that start and end here, with the floating-point
/// modes of the caller. Throws the first exception that a call threw. Where the system has no more threads the
/// caller does their work.
void parallel_for(std::int64_t threads, std::int64_t count, const std::function<void(std::int64_t)>& body);

/// Operations of so many multiply-adds are shared by threads.
inline constexpr std::int64_t kThreadedWork = std::int64_t{1} << 22;

/// Calls body(0) .. body(count - 1), the pieces of an operation of `work` multiply-adds: on all threads where that is
/// kThreadedWork or more, each piece of a sampled run with its own draws; one after the other where it is less.
void share_by_threads(std::int64_t work, std::int64_t count, const std::function<void(std::int64_t)>& body);

}  // namespace forgecheck::linalg

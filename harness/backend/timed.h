// How long something takes.
#pragma once

#include <chrono>
#include <vector>

namespace forgecheck {

/// The seconds that each of `runs` calls took, after one that does not count.
template <class Function>
std::vector<double> timed(int runs, const Function& function) {
  std::vector<double> seconds;
  for (int run = 0; run <= runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    function();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (run > 0) seconds.push_back(taken.count());
  }
  return seconds;
}

}  // namespace forgecheck

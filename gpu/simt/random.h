// The random numbers by which the emulator chooses every order.
#pragma once

#include <cstdint>

namespace simt {

/// splitmix64: a few additions and products a number, the same on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }

  /// One of 0 ... n-1. The slight preference for small numbers does not matter here.
  std::uint64_t below(std::uint64_t n) { return n >> 32 == 0 ? (next() >> 32) * n >> 32 : next() % n; }

 private:
  std::uint64_t state_;
};

}  // namespace simt

// Cases that `forgecheck bench` runs by name.
#pragma once

#include <string>
#include <vector>

namespace forgecheck {

struct BenchCase {
  std::string name;        // "dense-20m"
  std::string definition;  // a case line
};

/// A tiny model, and those that people compare: dense ones of 20 and 110 million parameters, eight experts, and generation
/// token by token.
const std::vector<BenchCase>& bench_suite();

}  // namespace forgecheck

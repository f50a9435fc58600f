#include "harness/verdict/vacuity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace forgecheck {

namespace {

template <class Values>
bool all_equal(const Values& values) {
  return std::ranges::adjacent_find(values, std::ranges::not_equal_to()) == values.end();
}

/// Elements of an array whose bytes are all 0xFF.
std::int64_t unwritten_elements(const Array& array) {
  const auto bytes = array.bytes();
  const std::size_t size = size_of(array.dtype());
  std::int64_t count = 0;
  for (std::size_t begin = 0; begin < bytes.size(); begin += size) {
    const auto element = bytes.subspan(begin, size);
    count += std::ranges::all_of(element, [](std::byte b) { return b == std::byte{0xFF}; });
  }
  return count;
}

}  // namespace

std::string vacuity(const ReferenceRun& oracle) {
  const Array* logits = oracle.trace.find("logits");
  if (logits != nullptr && logits->size() > 1 && all_equal(logits->to<double>().data)) {
    return "logits are the same number everywhere, in the oracle too";
  }
  return "";
}

std::string emptiness(const Array& candidate, const Tensor<double>& oracle) {
  if (!is_floating_point(candidate.dtype()) || candidate.size() == 0) return "";
  if (const std::int64_t count = unwritten_elements(candidate); count > 0) {
    return fmt::format("was not written: every bit is set in {} of {} elements", count, candidate.size());
  }
  const Tensor<double> values = candidate.to<double>();
  if (!all_equal(values.data)) return "";
  const double value = values[0];
  if (std::ranges::all_of(oracle.data, [value](double x) { return x == value; })) return "";
  if (value == 0) return "is all zero";
  const bool differs = values.size() > 1 && !all_equal(oracle.data);
  return differs ? fmt::format("is one number everywhere: {:.9g}", value) : "";
}

}  // namespace forgecheck

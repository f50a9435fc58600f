#include "harness/verdict/difference.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "reference/numbers.h"

namespace forgecheck {

namespace {

bool same(double x, double y) {
  return x == y || (std::isnan(x) && std::isnan(y));
}

TapResult different(const std::string& name, const std::string& message) {
  return {name, Verdict::mismatch, kInfinity, 0.0, kInfinity, message};
}

TapResult compare_values(const std::string& name, const Array& a, const Array& b) {
  if (a.shape() != b.shape()) {
    return different(name, "has shape " + to_string(a.shape()) + " in A, " + to_string(b.shape()) + " in B");
  }
  std::int64_t differing = 0, worst = 0;
  double largest = 0;  // less than the distance of two numbers that differ
  for (std::int64_t i = 0; i < a.size(); ++i) {
    if (same(a.at(i), b.at(i))) continue;
    ++differing;
    const double distance = std::abs(a.at(i) - b.at(i));
    const double size = std::isnan(distance) ? kInfinity : distance;
    if (size > largest) {
      largest = size;
      worst = i;
    }
  }
  if (differing == 0) return {name, Verdict::match, 0.0, 0.0, 0.0, ""};
  std::array<char, 160> text{};
  std::snprintf(text.data(), text.size(),
                "differs in %lld of %lld elements, most at element %lld: %.9g in A, %.9g in B",
                static_cast<long long>(differing), static_cast<long long>(a.size()),
                static_cast<long long>(worst), a.at(worst), b.at(worst));
  return {name, Verdict::mismatch, largest, 0.0, kInfinity, text.data()};
}

}  // namespace

Judgement difference(const Trace& a, const Trace& b) {
  Judgement judgement;
  for (const auto& [name, value] : a.entries()) {
    const Array* other = b.find(name);
    judgement.taps.push_back(other == nullptr ? different(name, "is in A only")
                                              : compare_values(name, value, *other));
  }
  for (const auto& [name, value] : b.entries()) {
    if (a.find(name) == nullptr) judgement.taps.push_back(different(name, "is in B only"));
  }
  const auto first = std::ranges::find(judgement.taps, Verdict::mismatch, &TapResult::verdict);
  if (judgement.taps.empty()) {
    judgement.verdict = Verdict::untrusted;
    judgement.message = "neither trace has a tap";
  } else if (first != judgement.taps.end()) {
    judgement.verdict = Verdict::mismatch;
    judgement.used = kInfinity;
    judgement.message = first->name + " " + first->message;
  }
  return judgement;
}

}  // namespace forgecheck

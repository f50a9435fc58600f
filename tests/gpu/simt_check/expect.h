// The reports that the checking mode must give, and those that it must not.
#pragma once

#include "tests/gpu/simt/simt_test.h"

namespace simt_test {

struct Racecheck : Simt {};

/// One report, of `kind`, that names the marked line and the kernel.
inline void expect_report(const std::string& kind, const std::string& what, const std::string& mark,
                          const std::string& rest, const std::string& kernel,
                          const char* file = __builtin_FILE()) {
  EXPECT_THAT(error_of_device(),
              AllOf(HasSubstr(kind + ": " + what + " at " + line_marked(file, mark) + ", "), HasSubstr(rest),
                    HasSubstr("in kernel (anonymous namespace)::" + kernel)));
  ASSERT_EQ(simt::findings().size(), 1U);
  EXPECT_EQ(simt::findings()[0].kind, kind);
}

constexpr std::uint64_t seeds = 10;

inline void begin_with(std::uint64_t seed) {
  cudaDeviceReset();
  simt::clear_findings();
  simt::set_seed(seed);
}

/// A race must be found under every seed: it does not depend on the order that happened. The kernel gets a
/// thousand zeroed ints and more; the report must name both lines, in either order.
template <class Kernel>
void expect_race(Kernel kernel, dim3 grid, dim3 block, std::size_t shared_bytes, const std::string& first,
                 const std::string& second, const std::string& name, const char* file = __builtin_FILE()) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    begin_with(seed);
    const DeviceArray<int> data(std::vector<int>(2048, 0));
    simt::launch(kernel, grid, block, shared_bytes, nullptr, data.data());
    const std::string report = error_of_device();
    EXPECT_THAT(report, AllOf(HasSubstr("race: "), HasSubstr("in kernel (anonymous namespace)::" + name)));
    const std::string one = " at " + line_marked(file, first);
    const std::string two = " at " + line_marked(file, second);
    const auto names = [&report](const std::string& before, const std::string& after) {
      const std::size_t also = report.find(", also ");
      return report.find(before) < also && report.find(after, also) != std::string::npos;
    };
    EXPECT_TRUE(names(one, two) || names(two, one)) << report;
  }
}

template <class Kernel>
void expect_no_race(Kernel kernel, dim3 grid, dim3 block, std::size_t shared_bytes) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    begin_with(seed);
    const DeviceArray<int> data(std::vector<int>(2048, 0));
    simt::launch(kernel, grid, block, shared_bytes, nullptr, data.data());
    EXPECT_EQ(error_of_device(), "");
  }
}

}  // namespace simt_test

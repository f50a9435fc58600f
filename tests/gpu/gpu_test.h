// What the tests of the GPU backend share: a device, tensors on both sides, and how near a result must be.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>

#include "gpu/runtime/device.h"
#include "reference/dtype.h"
#include "reference/error.h"

namespace forgecheck::gpu {

/// The host's type of a device element.
template <class T>
struct Host {
  using type = T;
};
template <>
struct Host<bf16> {
  using type = Bfloat16;
};
template <class T>
using host_t = typename Host<T>::type;

/// Normal values with that standard deviation, rounded to T's host type.
template <class T>
Tensor<host_t<T>> random_tensor(const Shape& shape, std::uint64_t seed, double deviation = 1.0) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal(0.0, deviation);
  Tensor<host_t<T>> out(shape);
  for (auto& value : out.data) value = host_t<T>(static_cast<float>(normal(engine)));
  return out;
}

/// The same values in double, for the reference.
template <class H>
Tensor<double> exact(const Tensor<H>& tensor) {
  return Array::from(tensor).template to<double>();
}

/// The text of the error that an action throws.
inline std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

class GpuTest : public testing::Test {
 protected:
  template <class T>
  DeviceTensor<T> put(const Tensor<host_t<T>>& tensor) {
    return device.upload<T>(Array::from(tensor), "a test's tensor");
  }
  template <class T>
  Tensor<double> get(const DeviceTensor<T>& tensor) {
    return device.download(tensor).template to<double>();
  }
  template <class T>
  std::vector<std::byte> bytes(const DeviceTensor<T>& tensor) {
    const Array array = device.download(tensor);
    return {array.bytes().begin(), array.bytes().end()};
  }

  Device device;
};

/// Every element within half a unit of T's last place at the oracle, and `roundings` float32 roundings of the
/// row's largest magnitude: what `roundings` additions or products of terms of that size can lose.
template <class T>
void expect_close(const Tensor<double>& out, const Tensor<double>& oracle, double roundings) {
  ASSERT_EQ(out.shape, oracle.shape);
  const double half_unit = machine_epsilon(device_dtype<T>()) / 2,
               float_rounding = machine_epsilon(Dtype::f32) / 2;
  for (std::int64_t r = 0; r < oracle.rows(); ++r) {
    double size = 0;
    for (const double value : oracle.row(r)) size = std::max(size, std::abs(value));
    for (std::int64_t j = 0; j < oracle.width(); ++j) {
      const double expected = oracle.row(r)[static_cast<std::size_t>(j)];
      const double tolerance = half_unit * std::abs(expected) + roundings * float_rounding * size;
      ASSERT_NEAR(out.row(r)[static_cast<std::size_t>(j)], expected, tolerance)
          << "row " << r << ", column " << j;
    }
  }
}

/// Typed tests over both element types.
using ElementTypes = testing::Types<float, bf16>;

}  // namespace forgecheck::gpu

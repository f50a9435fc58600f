// What the emulator's tests share: a clean device, and arrays on it.
#pragma once

#include <cuda_runtime.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

namespace simt_test {

using testing::AllOf;
using testing::HasSubstr;

/// Every test starts and ends with a device that holds nothing and found nothing.
class Simt : public testing::Test {
 protected:
  Simt() { clean(); }
  ~Simt() override { clean(); }
  static void clean() {
    cudaDeviceReset();
    simt::clear_findings();
    simt::set_seed(1);
  }
};

/// An array in device memory.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count) : count_(count) { cudaMalloc(&data_, count * sizeof(T)); }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice);
  }
  DeviceArray(std::initializer_list<T> values) : DeviceArray(std::vector<T>(values)) {}
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  std::vector<T> values() const {
    std::vector<T> copy(count_);
    cudaMemcpy(copy.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost);
    return copy;
  }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

/// The text of the error that waiting for the device gives, or "" for none.
inline std::string error_of_device() {
  const cudaError_t error = cudaDeviceSynchronize();
  return error == cudaSuccess ? "" : cudaGetErrorString(error);
}

/// "barrier_test.cpp:12" for a line of the calling file.
inline std::string line_of(const char* file, int line) {
  const std::string path = file;
  return path.substr(path.rfind('/') + 1) + ":" + std::to_string(line);
}

/// "barrier_test.cpp:12" for the line that has the comment `// [mark]`.
inline std::string line_marked(const char* file, const std::string& mark) {
  std::ifstream source(file);
  std::string line;
  for (int number = 1; std::getline(source, line); ++number) {
    if (line.ends_with("// [" + mark + "]")) {
      return line_of(file, number);
    }
  }
  return "no line is marked " + mark;
}

}  // namespace simt_test

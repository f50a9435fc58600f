// Brings the taps of a run to the host while the device goes on: each is copied on the copy stream, after an
// event of the compute stream.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/runtime/device.h"
#include "reference/trace.h"

namespace forgecheck::gpu {

class Recorder {
 public:
  /// Records the taps for which `wants` is true; all if `wants` is empty.
  Recorder(Device& device, std::function<bool(std::string_view)> wants);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  /// The values of `tensor` as they are at this point of the stream. Its memory is held until they are
  /// copied, but must not be written to again.
  template <class T>
  void tap(const std::string& name, const DeviceTensor<T>& tensor);
  /// The same under another shape of the same elements.
  template <class T>
  void tap(const std::string& name, const DeviceTensor<T>& tensor, const Shape& recorded_shape) {
    tap(name, tensor.reshaped(recorded_shape));
  }
  /// A value that is already on the host.
  void tap_value(const std::string& name, Array value);

  /// Waits for the device and returns everything, in the order of the taps.
  Trace finish();

 private:
  struct Copy {
    std::string name;
    Array value;  // if it was on the host
    Shape shape;
    Dtype dtype = Dtype::f32;
    std::byte* host = nullptr;  // pinned
    std::size_t bytes = 0;
    std::shared_ptr<void> source;  // keeps the device memory alive
  };

  Device& device_;
  std::function<bool(std::string_view)> wants_;
  std::vector<Copy> copies_;
  cudaEvent_t computed_ = nullptr;
};

}  // namespace forgecheck::gpu

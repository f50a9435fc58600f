#include "gpu/runtime/recorder.h"

#include <algorithm>

#include "gpu/runtime/check.h"

namespace forgecheck::gpu {

Recorder::Recorder(Device& device, std::function<bool(std::string_view)> wants)
    : device_(device), wants_(std::move(wants)) {
  FORGECHECK_CUDA(cudaEventCreateWithFlags(&computed_, cudaEventDisableTiming));
}

Recorder::~Recorder() {
  cudaStreamSynchronize(device_.copy_stream());
  for (const Copy& copy : copies_) cudaFreeHost(copy.host);
  cudaEventDestroy(computed_);
}

template <class T>
void Recorder::tap(const std::string& name, const DeviceTensor<T>& tensor) {
  if (wants_ && !wants_(name)) return;
  Copy copy;
  copy.name = name;
  copy.shape = tensor.shape;
  copy.dtype = device_dtype<T>();
  copy.bytes = static_cast<std::size_t>(tensor.size()) * sizeof(T);
  copy.source = tensor.data;
  void* host = nullptr;
  FORGECHECK_CUDA(cudaMallocHost(&host, std::max<std::size_t>(copy.bytes, 1)));
  copy.host = static_cast<std::byte*>(host);
  copies_.push_back(copy);
  FORGECHECK_CUDA(cudaEventRecord(computed_, device_.stream()));
  FORGECHECK_CUDA(cudaStreamWaitEvent(device_.copy_stream(), computed_));
  FORGECHECK_CUDA(
      cudaMemcpyAsync(copy.host, tensor.get(), copy.bytes, cudaMemcpyDeviceToHost, device_.copy_stream()));
}

void Recorder::tap_value(const std::string& name, Array value) {
  if (wants_ && !wants_(name)) return;
  Copy copy;
  copy.name = name;
  copy.value = std::move(value);
  copies_.push_back(std::move(copy));
}

Trace Recorder::finish() {
  device_.synchronize();
  Trace trace;
  for (Copy& copy : copies_) {
    if (copy.host == nullptr) {
      trace.add(copy.name, std::move(copy.value));
      continue;
    }
    const std::shared_ptr<std::byte> bytes(new std::byte[std::max<std::size_t>(copy.bytes, 1)],
                                           std::default_delete<std::byte[]>());
    std::copy_n(copy.host, copy.bytes, bytes.get());
    trace.add(copy.name, Array(copy.dtype, copy.shape, bytes));
    FORGECHECK_CUDA(cudaFreeHost(copy.host));
    copy.host = nullptr;
  }
  copies_.clear();
  return trace;
}

#define INSTANTIATE(T) template void Recorder::tap(const std::string&, const DeviceTensor<T>&);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(std::int64_t)
INSTANTIATE(std::uint8_t)
#undef INSTANTIATE

}  // namespace forgecheck::gpu

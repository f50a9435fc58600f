#include "gpu/runtime/guards.h"

#include "gpu/runtime/launch.h"

namespace forgecheck::gpu {

namespace {

constexpr int kFill = 0xA5;
constexpr int kNan = 0xFF;
constexpr int kThreads = 128;

__global__ void compare_bands(const unsigned char* block, std::size_t before, std::size_t begin_after,
                              std::size_t size, unsigned long long number, unsigned long long* first_broken) {
  bool broken = false;
  for (std::size_t i = threadIdx.x; i < before; i += kThreads) broken |= block[i] != kFill;
  for (std::size_t i = begin_after + threadIdx.x; i < size; i += kThreads) broken |= block[i] != kFill;
  if (broken) atomicMin(first_broken, number);
}

}  // namespace

void lay_guards(unsigned char* block, std::size_t bytes, cudaStream_t stream) {
  FORGECHECK_CUDA(cudaMemsetAsync(block, kFill, guarded_size(bytes), stream));
  FORGECHECK_CUDA(cudaMemsetAsync(block + kGuardBytes, kNan, bytes, stream));
}

void check_guards(Device& device, const unsigned char* block, std::size_t bytes, std::uint64_t number,
                  unsigned long long* first_broken) {
  launch(device, "compare_bands", compare_bands, 1, kThreads, 0, block, kGuardBytes, kGuardBytes + bytes,
         guarded_size(bytes), number, first_broken);
}

}  // namespace forgecheck::gpu

#include "gpu/ops/sampling.h"

#include "gpu/ops/reduce.cuh"

namespace forgecheck::gpu {

namespace {

using Key = unsigned long long;

/// A key that is larger for a larger logit and, among equal logits, for a lower index (below 2^32); 0 for
/// NaN.
__device__ Key key_of(float logit, std::int64_t index) {
  if (logit != logit) return 0;
  constexpr unsigned kSign = 0x80000000U;
  const unsigned bits = __float_as_uint(logit == 0 ? 0.0F : logit);  // -0 equals 0
  const unsigned ordered = (bits & kSign) != 0 ? ~bits : bits | kSign;
  return (static_cast<Key>(ordered) << 32) | (0xffffffffU - static_cast<unsigned>(index));
}

/// One block per row of logits (B, S, V), at its last position.
template <class T>
__global__ void argmax_last(std::int64_t* tokens, const T* logits, std::int64_t length,
                            std::int64_t vocab_size) {
  const T* row = logits + (blockIdx.x * length + length - 1) * vocab_size;
  Key best = 0;
  for (std::int64_t j = threadIdx.x; j < vocab_size; j += blockDim.x) {
    best = larger(best, key_of(row[j], j));
  }
  best = block_max(best, shared_memory<Key>());
  if (threadIdx.x == 0) tokens[blockIdx.x] = best == 0 ? 0 : 0xffffffffU - static_cast<unsigned>(best);
}

}  // namespace

template <class T>
DeviceTensor<std::int64_t> argmax(Device& device, const DeviceTensor<T>& logits) {
  const std::int64_t batch = logits.dim(0), length = logits.dim(1), vocab_size = logits.dim(2);
  DeviceTensor<std::int64_t> tokens = device.make<std::int64_t>({batch}, "chosen tokens");
  constexpr std::int64_t kMostThreads = 512, kShare = 8;
  const std::int64_t threads =
      std::clamp<std::int64_t>(blocks_for(vocab_size, kShare * kWarp) * kWarp, kWarp, kMostThreads);
  launch(device, "argmax", argmax_last<T>, batch, static_cast<int>(threads), kWarp * sizeof(Key),
         tokens.get(), logits.get(), length, vocab_size);
  return tokens;
}

#define INSTANTIATE(T) template DeviceTensor<std::int64_t> argmax(Device&, const DeviceTensor<T>&);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace forgecheck::gpu

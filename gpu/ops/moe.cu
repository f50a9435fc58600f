#include "gpu/ops/moe.h"

#include <algorithm>
#include <cmath>

#include "gpu/ops/convert.cuh"
#include "gpu/ops/elementwise.cuh"
#include "gpu/ops/ranks.h"
#include "gpu/runtime/blas.h"
#include "gpu/runtime/kernel_clock.h"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

template <class T>
__global__ void drop_late(std::int64_t n, T* out, const T* weights, const std::int64_t* ranks,
                          std::int64_t capacity) {
  for_each_element(n, [=](std::int64_t i) { out[i] = ranks[i] < capacity ? weights[i] : T(0.0F); });
}

/// For n assignments: an expert's places begin at its offset and keep the order of its assignments.
__global__ void sort_assignments(std::int64_t n, std::int64_t* order, std::int64_t* places,
                                 const std::int64_t* experts, const std::int64_t* offsets,
                                 const std::int64_t* ranks) {
  for_each_element(n, [=](std::int64_t i) {
    const std::int64_t place = offsets[experts[i]] + ranks[i];
    places[i] = place;
    order[place] = i;
  });
}

template <class T>
__global__ void gather_by_place(std::int64_t n, T* out, const T* x, const std::int64_t* order, std::int64_t k,
                                std::int64_t width) {
  for_each_element(n, [=](std::int64_t i) { out[i] = x[order[i / width] / k * width + i % width]; });
}

/// One token's weights, experts and places, k each.
template <class T>
struct Slots {
  const T* weights;
  const std::int64_t* experts;
  const std::int64_t* places;
};

/// One block per token; its threads share the columns. scales (E) may be null.
template <class T>
__global__ void combine_slots(T* out, const T* expert_output, Slots<T> all, const float* scales,
                              std::int64_t k, std::int64_t width) {
  const std::int64_t token = blockIdx.x;
  const Slots<T> slots{all.weights + token * k, all.experts + token * k, all.places + token * k};
  // 1. slots in order of expert index: places are sorted by expert
  auto* const by_expert = shared_memory<std::int64_t>();
  for (std::int64_t slot = threadIdx.x; slot < k; slot += blockDim.x) {
    std::int64_t before = 0;
    for (std::int64_t other = 0; other < k; ++other) {
      if (slots.places[other] < slots.places[slot]) ++before;
    }
    by_expert[before] = slot;
  }
  __syncthreads();
  // 2. sum over the slots, column by column
  for (std::int64_t j = threadIdx.x; j < width; j += blockDim.x) {
    float sum = 0;
    for (std::int64_t i = 0; i < k; ++i) {
      const std::int64_t slot = by_expert[i];
      float value = expert_output[slots.places[slot] * width + j];
      if (scales != nullptr) value = rounded<T>(value * scales[slots.experts[slot]]);
      sum = add_product<T>(sum, slots.weights[slot], value);
    }
    out[token * width + j] = T(sum);
  }
}

template <class T>
__global__ void scale_elements(std::int64_t n, T* out, const T* x, float factor) {
  for_each_element(n, [=](std::int64_t i) { out[i] = T(static_cast<float>(x[i]) * factor); });
}

DeviceTensor<float> upload_scales(Device& device, const std::vector<double>& scales,
                                  std::int64_t num_experts) {
  if (scales.empty()) return {};
  require_shape("[combine] scales", {std::ssize(scales)}, {num_experts});
  return device.upload<float>(Array::from(Tensor<float>({num_experts}, {scales.begin(), scales.end()})),
                              "scales of the experts");
}

}  // namespace

std::int64_t expert_capacity(std::int64_t tokens, std::int64_t top_k, std::int64_t num_experts,
                             double capacity_factor) {
  const std::int64_t assignments = tokens * top_k;
  const double even = static_cast<double>(assignments) / static_cast<double>(num_experts);
  const double capacity = std::ceil(even * capacity_factor);
  const bool unlimited = capacity >= static_cast<double>(assignments);
  return std::max<std::int64_t>(1, unlimited ? assignments : static_cast<std::int64_t>(capacity));
}

template <class T>
DeviceTensor<T> apply_capacity(Device& device, const DeviceTensor<T>& weights,
                               const DeviceTensor<std::int64_t>& indices, std::int64_t num_experts,
                               std::int64_t capacity) {
  require_shape("[apply_capacity] weights", weights.shape, indices.shape);
  const DeviceTensor<std::int64_t> ranks = rank_keys(device, indices, num_experts).ranks;
  DeviceTensor<T> out = device.make<T>(weights.shape, "weights within the capacity");
  launch_elementwise(device, "apply_capacity", drop_late<T>, out.size(), out.get(), weights.get(),
                     ranks.get(), capacity);
  return out;
}

Dispatch dispatch(Device& device, const DeviceTensor<std::int64_t>& indices, std::int64_t num_experts) {
  const std::int64_t n = indices.size();
  // 1. the rank of each assignment among those of its expert, and where each expert begins
  const Ranks ranked = rank_keys(device, indices.reshaped({n, 1}), num_experts);
  Dispatch out;
  out.experts = indices;
  out.offsets = offsets_of(device, ranked.counts);
  // 2. each assignment to its place
  out.order = device.make<std::int64_t>({n}, "order of the dispatch");
  out.places = device.make<std::int64_t>({n}, "places of the dispatch");
  launch_elementwise(device, "dispatch", sort_assignments, n, out.order.get(), out.places.get(),
                     indices.get(), out.offsets.get(), ranked.ranks.get());
  // 3. the host needs the group sizes
  out.host_offsets = device.download(out.offsets).to_int64().data;
  return out;
}

template <class T>
DeviceTensor<T> gather_tokens(Device& device, const DeviceTensor<T>& x, const Dispatch& dispatch,
                              std::int64_t top_k) {
  require_shape("[gather_tokens] dispatch", dispatch.order.shape, {x.rows() * top_k});
  DeviceTensor<T> out = device.make<T>({dispatch.order.size(), x.width()}, "tokens of the experts");
  launch_elementwise(device, "gather_tokens", gather_by_place<T>, out.size(), out.get(), x.get(),
                     dispatch.order.get(), top_k, x.width());
  return out;
}

template <class T>
DeviceTensor<T> combine(Device& device, const DeviceTensor<T>& expert_output, const DeviceTensor<T>& weights,
                        const Dispatch& dispatch, const std::vector<double>& scales) {
  const std::int64_t tokens = weights.dim(0), k = weights.dim(1), width = expert_output.width();
  require_shape("[combine] expert_output", expert_output.shape, {tokens * k, width});
  require_shape("[combine] dispatch", dispatch.experts.shape, weights.shape);
  const DeviceTensor<float> factors = upload_scales(device, scales, dispatch.offsets.size() - 1);
  DeviceTensor<T> out = device.make<T>({tokens, width}, "combined experts");
  constexpr std::int64_t kMostThreads = 256;
  const std::int64_t threads = std::min(blocks_for(width, kWarp) * kWarp, kMostThreads);
  const Slots<T> slots{weights.get(), dispatch.experts.get(), dispatch.places.get()};
  launch(device, "combine", combine_slots<T>, tokens, static_cast<int>(threads),
         static_cast<std::size_t>(k) * sizeof(std::int64_t), out.get(), expert_output.get(), slots,
         factors.get(), k, width);
  return out;
}

// Row-major out (n, out) = x (n, in) W (in, out) is, as cuBLAS reads the memory, out^T = W^T x^T of
// column-major matrices (out, n), (out, in) and (in, n), neither operand transposed.
template <class T>
DeviceTensor<T> grouped_linear(Device& device, const DeviceTensor<T>& x, const DeviceTensor<T>& weight,
                               const std::vector<std::int64_t>& offsets) {
  const std::int64_t num_experts = weight.dim(0), in = weight.dim(1), width = weight.dim(2);
  require_shape("[grouped_linear] offsets", {std::ssize(offsets)}, {num_experts + 1});
  require_shape("[grouped_linear] input", x.shape, {offsets.back(), in});
  const cudaDataType type = blas_type<T>();
  const auto as_int = [](std::int64_t size) { return blas_size(size, "grouped_linear"); };
  const float one = 1.0F, zero = 0.0F;
  DeviceTensor<T> out = device.make<T>({x.dim(0), width}, "output of the experts");
  start_as_nan(out.get(), out.size(), device.stream());
  for (std::int64_t e = 0; e < num_experts; ++e) {
    const std::int64_t begin = offsets[static_cast<std::size_t>(e)];
    const std::int64_t tokens = offsets[static_cast<std::size_t>(e + 1)] - begin;
    if (tokens == 0) continue;
    const KernelSpan timed(device, "cublasGemmEx");
    FORGECHECK_CUDA(cublasGemmEx(device.blas(), CUBLAS_OP_N, CUBLAS_OP_N, as_int(width), as_int(tokens),
                                 as_int(in), &one, weight.get() + e * in * width, type, as_int(width),
                                 x.get() + begin * in, type, as_int(in), &zero, out.get() + begin * width,
                                 type, as_int(width), kBlasCompute, CUBLAS_GEMM_DEFAULT));
  }
  return out;
}

template <class T>
DeviceTensor<T> scale(Device& device, const DeviceTensor<T>& x, double factor) {
  DeviceTensor<T> out = device.make<T>(x.shape, "scaled");
  launch_elementwise(device, "scale", scale_elements<T>, out.size(), out.get(), x.get(),
                     static_cast<float>(factor));
  return out;
}

#define INSTANTIATE(T)                                                                                       \
  template DeviceTensor<T> apply_capacity(Device&, const DeviceTensor<T>&,                                   \
                                          const DeviceTensor<std::int64_t>&, std::int64_t, std::int64_t);    \
  template DeviceTensor<T> gather_tokens(Device&, const DeviceTensor<T>&, const Dispatch&, std::int64_t);    \
  template DeviceTensor<T> combine(Device&, const DeviceTensor<T>&, const DeviceTensor<T>&, const Dispatch&, \
                                   const std::vector<double>&);                                              \
  template DeviceTensor<T> grouped_linear(Device&, const DeviceTensor<T>&, const DeviceTensor<T>&,           \
                                          const std::vector<std::int64_t>&);                                 \
  template DeviceTensor<T> scale(Device&, const DeviceTensor<T>&, double);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace forgecheck::gpu

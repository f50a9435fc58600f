#include "gpu/ops/embedding.h"

#include "gpu/ops/elementwise.cuh"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

/// out (rows, width) has n elements; its row i is row rows[i] of x.
template <class T>
__global__ void gather(std::int64_t n, T* out, const T* x, const std::int64_t* rows, std::int64_t width) {
  for_each_element(n, [=](std::int64_t i) { out[i] = x[rows[i / width] * width + i % width]; });
}

/// x (rows, width) has n elements; its row i becomes row rows[i] of out.
template <class T>
__global__ void scatter(std::int64_t n, T* out, const T* x, const std::int64_t* rows, std::int64_t width) {
  for_each_element(n, [=](std::int64_t i) { out[rows[i / width] * width + i % width] = x[i]; });
}

/// A range of elements in each sample: where it begins, and the size of the whole sample.
template <class T>
struct Part {
  T* data;
  std::int64_t begin, stride;
};

/// Copies n elements, `length` per sample.
template <class T>
__global__ void copy_parts(std::int64_t n, Part<T> to, Part<const T> from, std::int64_t length) {
  for_each_element(n, [=](std::int64_t i) {
    const std::int64_t sample = i / length, offset = i % length;
    to.data[sample * to.stride + to.begin + offset] = from.data[sample * from.stride + from.begin + offset];
  });
}

}  // namespace

template <class T>
DeviceTensor<T> embedding(Device& device, const DeviceTensor<std::int64_t>& tokens,
                          const DeviceTensor<T>& weight) {
  Shape shape = tokens.shape;
  shape.push_back(weight.dim(1));
  return gather_rows(device, weight, tokens.reshaped({tokens.size()})).reshaped(shape);
}

template <class T>
DeviceTensor<T> concat_sequence(Device& device, const DeviceTensor<T>& first, const DeviceTensor<T>& second) {
  if (first.rank() != 3 || second.rank() != 3 || first.dim(0) != second.dim(0) ||
      first.dim(2) != second.dim(2)) {
    throw ShapeError("[concat] " + to_string(first.shape) + " and " + to_string(second.shape) +
                     " do not join along the sequence");
  }
  const std::int64_t batch = first.dim(0), width = first.dim(2);
  const std::int64_t length1 = first.dim(1) * width, length2 = second.dim(1) * width;
  DeviceTensor<T> out = device.make<T>({batch, first.dim(1) + second.dim(1), width}, "joined sequence");
  launch_elementwise(device, "concat_sequence", copy_parts<T>, first.size(),
                     Part<T>{out.get(), 0, length1 + length2}, Part<const T>{first.get(), 0, length1},
                     length1);
  launch_elementwise(device, "concat_sequence", copy_parts<T>, second.size(),
                     Part<T>{out.get(), length1, length1 + length2}, Part<const T>{second.get(), 0, length2},
                     length2);
  return out;
}

template <class T>
DeviceTensor<T> slice_sequence(Device& device, const DeviceTensor<T>& x, std::int64_t begin,
                               std::int64_t end) {
  const std::int64_t batch = x.dim(0), width = x.dim(2), kept = (end - begin) * width;
  if (begin < 0 || begin > end || end > x.dim(1)) {
    throw ShapeError("[slice] positions " + std::to_string(begin) + " .. " + std::to_string(end) +
                     " are not within " + to_string(x.shape));
  }
  DeviceTensor<T> out = device.make<T>({batch, end - begin, width}, "slice of a sequence");
  launch_elementwise(device, "slice_sequence", copy_parts<T>, out.size(), Part<T>{out.get(), 0, kept},
                     Part<const T>{x.get(), begin * width, x.dim(1) * width}, kept);
  return out;
}

template <class T>
DeviceTensor<T> gather_rows(Device& device, const DeviceTensor<T>& x,
                            const DeviceTensor<std::int64_t>& rows) {
  DeviceTensor<T> out = device.make<T>({rows.size(), x.width()}, "gathered rows");
  launch_elementwise(device, "gather_rows", gather<T>, out.size(), out.get(), x.get(), rows.get(), x.width());
  return out;
}

template <class T>
DeviceTensor<T> zeros(Device& device, const Shape& shape) {
  DeviceTensor<T> out = device.make<T>(shape, "zeros");
  FORGECHECK_CUDA(
      cudaMemsetAsync(out.get(), 0, static_cast<std::size_t>(out.size()) * sizeof(T), device.stream()));
  return out;
}

template <class T>
void scatter_rows(Device& device, const DeviceTensor<T>& out, const DeviceTensor<T>& x,
                  const DeviceTensor<std::int64_t>& rows) {
  require_shape("[scatter_rows] rows", rows.shape, {x.rows()});
  require_shape("[scatter_rows] out", {out.width()}, {x.width()});
  launch_elementwise(device, "scatter_rows", scatter<T>, x.size(), out.get(), x.get(), rows.get(), x.width());
}

#define INSTANTIATE(T)                                                                                      \
  template DeviceTensor<T> embedding(Device&, const DeviceTensor<std::int64_t>&, const DeviceTensor<T>&);   \
  template DeviceTensor<T> concat_sequence(Device&, const DeviceTensor<T>&, const DeviceTensor<T>&);        \
  template DeviceTensor<T> slice_sequence(Device&, const DeviceTensor<T>&, std::int64_t, std::int64_t);     \
  template DeviceTensor<T> gather_rows(Device&, const DeviceTensor<T>&, const DeviceTensor<std::int64_t>&); \
  template DeviceTensor<T> zeros(Device&, const Shape&);                                                    \
  template void scatter_rows(Device&, const DeviceTensor<T>&, const DeviceTensor<T>&,                       \
                             const DeviceTensor<std::int64_t>&);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace forgecheck::gpu

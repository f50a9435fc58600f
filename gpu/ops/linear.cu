#include "gpu/ops/linear.h"

#include "gpu/ops/elementwise.cuh"
#include "gpu/runtime/blas.h"
#include "gpu/runtime/kernel_clock.h"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

/// out (rows, width) = product (rows, width) + bias (width), of n elements.
template <class T>
__global__ void add_bias(std::int64_t n, T* out, const float* product, const T* bias, std::int64_t width) {
  for_each_element(n, [=](std::int64_t i) { out[i] = T(product[i] + static_cast<float>(bias[i % width])); });
}

template <class T>
__global__ void add_elements(std::int64_t n, T* out, const T* x, const T* y) {
  for_each_element(n,
                   [=](std::int64_t i) { out[i] = T(static_cast<float>(x[i]) + static_cast<float>(y[i])); });
}

template <class T>
void check(const DeviceTensor<T>& x, const DeviceTensor<T>& weight) {
  if (weight.rank() != 2 || x.rank() < 1 || x.width() != weight.dim(1)) {
    throw ShapeError("[linear] input " + to_string(x.shape) + " does not fit weight " +
                     to_string(weight.shape));
  }
}

template <class T>
DeviceTensor<T> make_output(Device& device, const DeviceTensor<T>& x, std::int64_t out_features) {
  Shape shape = x.shape;
  shape.back() = out_features;
  return device.make<T>(std::move(shape), "output of linear");
}

/// out (rows, out) = x (rows, in) weight^T, summed in float and rounded once to Out.
/// cuBLAS is column-major, where a row-major matrix (r, c) reads as its transpose (c, r) with leading
/// dimension c. So out^T (out, rows) = weight (out, in) x^T (in, rows) is asked for: weight reads as (in,
/// out) and is transposed, x reads as (in, rows), and out^T is what a row-major out (rows, out) is in memory.
template <class Out, class T>
void multiply(Device& device, Out* out, const T* x, std::int64_t rows, const DeviceTensor<T>& weight) {
  if (rows == 0 || weight.size() == 0) return;
  const int out_features = blas_size(weight.dim(0), "linear"),
            in_features = blas_size(weight.dim(1), "linear");
  start_as_nan(out, rows * weight.dim(0), device.stream());
  const float alpha = 1.0F, beta = 0.0F;
  const KernelSpan timed(device, "cublasGemmEx");
  FORGECHECK_CUDA(cublasGemmEx(device.blas(), CUBLAS_OP_T, CUBLAS_OP_N, out_features,
                               blas_size(rows, "linear"), in_features, &alpha, weight.get(), blas_type<T>(),
                               in_features, x, blas_type<T>(), in_features, &beta, out, blas_type<Out>(),
                               out_features, kBlasCompute, CUBLAS_GEMM_DEFAULT));
}

}  // namespace

template <class T>
DeviceTensor<T> linear(Device& device, const DeviceTensor<T>& x, const DeviceTensor<T>& weight) {
  check(x, weight);
  DeviceTensor<T> out = make_output(device, x, weight.dim(0));
  multiply(device, out.get(), x.get(), x.rows(), weight);
  return out;
}

template <class T>
DeviceTensor<T> linear(Device& device, const DeviceTensor<T>& x, const DeviceTensor<T>& weight,
                       const DeviceTensor<T>& bias) {
  check(x, weight);
  require_shape("[linear] bias", bias.shape, {weight.dim(0)});
  DeviceTensor<T> out = make_output(device, x, weight.dim(0));
  // The product stays in float: what cuBLAS adds to the output (beta = 1) it rounds first, for some shapes.
  DeviceTensor<float> product = device.make<float>(out.shape, "product before the bias");
  multiply(device, product.get(), x.get(), x.rows(), weight);
  launch_elementwise(device, "add_bias", add_bias<T>, out.size(), out.get(), product.get(), bias.get(),
                     bias.size());
  return out;
}

template <class T>
DeviceTensor<T> grouped_linear(Device& device, const DeviceTensor<T>& x,
                               const std::vector<DeviceTensor<T>>& weights,
                               const std::vector<std::int64_t>& offsets) {
  require_shape("[grouped_linear] offsets", {std::ssize(offsets)}, {std::ssize(weights) + 1});
  require_shape("[grouped_linear] input rows", {x.rows()}, {offsets.back()});
  const std::int64_t out_features = weights.at(0).dim(0);
  DeviceTensor<T> out = make_output(device, x, out_features);
  for (std::size_t e = 0; e < weights.size(); ++e) {
    check(x, weights[e]);
    require_shape("[grouped_linear] weight", weights[e].shape, weights[0].shape);
    multiply(device, out.get() + offsets[e] * out_features, x.get() + offsets[e] * x.width(),
             offsets[e + 1] - offsets[e], weights[e]);
  }
  return out;
}

template <class T>
DeviceTensor<T> add(Device& device, const DeviceTensor<T>& x, const DeviceTensor<T>& y) {
  require_shape("[add] second term", y.shape, x.shape);
  DeviceTensor<T> out = device.make<T>(x.shape, "sum");
  launch_elementwise(device, "add", add_elements<T>, out.size(), out.get(), x.get(), y.get());
  return out;
}

#define INSTANTIATE(T)                                                                      \
  template DeviceTensor<T> linear(Device&, const DeviceTensor<T>&, const DeviceTensor<T>&); \
  template DeviceTensor<T> linear(Device&, const DeviceTensor<T>&, const DeviceTensor<T>&,  \
                                  const DeviceTensor<T>&);                                  \
  template DeviceTensor<T> grouped_linear(Device&, const DeviceTensor<T>&,                  \
                                          const std::vector<DeviceTensor<T>>&,              \
                                          const std::vector<std::int64_t>&);                \
  template DeviceTensor<T> add(Device&, const DeviceTensor<T>&, const DeviceTensor<T>&);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace forgecheck::gpu

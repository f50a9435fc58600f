#include "gpu/ops/pooling.h"

#include "gpu/ops/convert.cuh"
#include "gpu/ops/elementwise.cuh"
#include "reference/config.h"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

/// A grid of side * side patches in windows of window * window; `pooled` windows per side.
struct Grid {
  std::int64_t side, window, pooled;
};

/// out (B, pooled^2, width) has n elements.
template <class T>
__global__ void average_windows(std::int64_t n, T* out, const T* x, Grid grid, std::int64_t width) {
  for_each_element(n, [=](std::int64_t i) {
    const std::int64_t column = i % width, cell = i / width % (grid.pooled * grid.pooled);
    const std::int64_t sample = i / width / (grid.pooled * grid.pooled);
    const std::int64_t top = cell / grid.pooled * grid.window, left = cell % grid.pooled * grid.window;
    const std::int64_t bottom = top + grid.window < grid.side ? top + grid.window : grid.side;
    const std::int64_t right = left + grid.window < grid.side ? left + grid.window : grid.side;
    float sum = 0;
    for (std::int64_t y = top; y < bottom; ++y) {
      for (std::int64_t z = left; z < right; ++z) {
        sum += static_cast<float>(x[((sample * grid.side + y) * grid.side + z) * width + column]);
      }
    }
    out[i] = T(rounded<T>(sum) / static_cast<float>((bottom - top) * (right - left)));
  });
}

/// out (B * pooled^2, window^2, width) has n elements.
template <class T>
__global__ void gather_windows(std::int64_t n, T* out, const T* x, Grid grid, std::int64_t width) {
  for_each_element(n, [=](std::int64_t i) {
    const std::int64_t column = i % width, patch = i / width % (grid.window * grid.window);
    const std::int64_t windows = i / width / (grid.window * grid.window);
    const std::int64_t cell = windows % (grid.pooled * grid.pooled);
    const std::int64_t sample = windows / (grid.pooled * grid.pooled);
    const std::int64_t y = cell / grid.pooled * grid.window + patch / grid.window;
    const std::int64_t z = cell % grid.pooled * grid.window + patch % grid.window;
    out[i] = x[((sample * grid.side + y) * grid.side + z) * width + column];
  });
}

/// out (M, width) has n elements.
template <class T>
__global__ void average_patches(std::int64_t n, T* out, const T* x, std::int64_t patches,
                                std::int64_t width) {
  for_each_element(n, [=](std::int64_t i) {
    const T* first = x + i / width * patches * width + i % width;
    float sum = 0;
    for (std::int64_t p = 0; p < patches; ++p) sum += static_cast<float>(first[p * width]);
    out[i] = T(sum / static_cast<float>(patches));
  });
}

Grid grid_of(std::int64_t patches, std::int64_t window) {
  const std::int64_t side = grid_side(patches);
  if (side < 0) throw ShapeError("[pool] " + std::to_string(patches) + " patches are not a square grid");
  return {side, window, blocks_for(side, window)};
}

}  // namespace

template <class T>
DeviceTensor<T> average_pool(Device& device, const DeviceTensor<T>& x, std::int64_t window) {
  const Grid grid = grid_of(x.dim(1), window);
  DeviceTensor<T> out =
      device.make<T>({x.dim(0), grid.pooled * grid.pooled, x.dim(2)}, "averages of windows");
  launch_elementwise(device, "average_pool", average_windows<T>, out.size(), out.get(), x.get(), grid,
                     x.dim(2));
  return out;
}

template <class T>
DeviceTensor<T> pool_windows(Device& device, const DeviceTensor<T>& x, std::int64_t window) {
  const Grid grid = grid_of(x.dim(1), window);
  if (grid.side % window != 0) {
    const std::string side = std::to_string(grid.side);
    throw ShapeError("[attentional_pool] the " + side + "x" + side +
                     " grid does not divide by pool_window = " + std::to_string(window));
  }
  DeviceTensor<T> out =
      device.make<T>({x.dim(0) * grid.pooled * grid.pooled, window * window, x.dim(2)}, "patches of windows");
  launch_elementwise(device, "pool_windows", gather_windows<T>, out.size(), out.get(), x.get(), grid,
                     x.dim(2));
  return out;
}

template <class T>
DeviceTensor<T> window_mean(Device& device, const DeviceTensor<T>& x) {
  const std::int64_t patches = x.dim(1), width = x.dim(2);
  DeviceTensor<T> out = device.make<T>({x.dim(0), 1, width}, "means of windows");
  launch_elementwise(device, "window_mean", average_patches<T>, out.size(), out.get(), x.get(), patches,
                     width);
  return out;
}

#define INSTANTIATE(T)                                                                  \
  template DeviceTensor<T> average_pool(Device&, const DeviceTensor<T>&, std::int64_t); \
  template DeviceTensor<T> pool_windows(Device&, const DeviceTensor<T>&, std::int64_t); \
  template DeviceTensor<T> window_mean(Device&, const DeviceTensor<T>&);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace forgecheck::gpu

#include "reference/ops/pooling.h"

#include <algorithm>

#include "reference/config.h"
#include "reference/error.h"
#include "reference/instantiate.h"

namespace forgecheck {

namespace {

std::int64_t require_grid(std::int64_t patches) {
  const std::int64_t side = grid_side(patches);
  if (side < 0) throw ShapeError("[pool] " + std::to_string(patches) + " patches are not a square grid");
  return side;
}

}  // namespace

template <class T>
Tensor<T> average_pool(const Tensor<T>& x, std::int64_t window) {
  using C = compute_t<T>;
  const std::int64_t batch = x.dim(0), grid = require_grid(x.dim(1)), width = x.dim(2);
  const std::int64_t pooled = (grid + window - 1) / window;
  Tensor<T> out({batch, pooled * pooled, width});
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t cell = 0; cell < pooled * pooled; ++cell) {
      const std::int64_t top = cell / pooled * window, left = cell % pooled * window;
      const std::int64_t bottom = std::min(top + window, grid), right = std::min(left + window, grid);
      for (std::int64_t c = 0; c < width; ++c) {
        C sum = 0;
        for (std::int64_t y = top; y < bottom; ++y) {
          for (std::int64_t z = left; z < right; ++z) {
            sum += widen(x[((b * grid + y) * grid + z) * width + c]);
          }
        }
        const C cells = static_cast<C>((bottom - top) * (right - left));
        out[(b * pooled * pooled + cell) * width + c] = T(round_to<T>(sum) / cells);
      }
    }
  }
  return out;
}

template <class T>
Tensor<T> pool_windows(const Tensor<T>& x, std::int64_t window) {
  const std::int64_t batch = x.dim(0), grid = require_grid(x.dim(1));
  if (grid % window != 0) {
    throw ShapeError("[attentional_pool] the " + std::to_string(grid) + "x" + std::to_string(grid) +
                     " grid does not divide by pool_window = " + std::to_string(window));
  }
  const std::int64_t pooled = grid / window;
  Tensor<T> out({batch * pooled * pooled, window * window, x.dim(2)});
  for (std::int64_t r = 0; r < out.rows(); ++r) {
    const std::int64_t patch = r % (window * window), cell = r / (window * window) % (pooled * pooled);
    const std::int64_t b = r / (window * window * pooled * pooled);
    const std::int64_t y = cell / pooled * window + patch / window;
    const std::int64_t z = cell % pooled * window + patch % window;
    std::ranges::copy(x.row((b * grid + y) * grid + z), out.row(r).begin());
  }
  return out;
}

template <class T>
Tensor<T> window_mean(const Tensor<T>& x) {
  using C = compute_t<T>;
  const std::int64_t windows = x.dim(0), patches = x.dim(1), width = x.dim(2);
  Tensor<T> out({windows, 1, width});
  for (std::int64_t m = 0; m < windows; ++m) {
    for (std::int64_t c = 0; c < width; ++c) {
      C sum = 0;
      for (std::int64_t p = 0; p < patches; ++p) sum += widen(x[(m * patches + p) * width + c]);
      out[m * width + c] = T(sum / static_cast<C>(patches));
    }
  }
  return out;
}

FORGECHECK_INSTANTIATE(average_pool);
FORGECHECK_INSTANTIATE(pool_windows);
FORGECHECK_INSTANTIATE(window_mean);

}  // namespace forgecheck

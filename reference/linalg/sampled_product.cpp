// The matrix product of a sampled run: term by term where it is small; where it is large every sum's error is drawn once, with
// the mean and the variance that the errors of its terms have together. By the central limit theorem the two differ little
// for sums of many terms.
#include <algorithm>
#include <cmath>
#include <vector>

#include "reference/linalg/clones.h"
#include "reference/linalg/matmul.h"
#include "reference/linalg/parallel.h"

namespace forgecheck::linalg {

namespace {

/// Fewer terms are not many.
constexpr std::int64_t kManyTerms = 64;

constexpr std::int64_t kColumns = 4;
using Floats __attribute__((vector_size(4 * kColumns))) = float;
using Bits __attribute__((vector_size(8 * kColumns))) = std::int64_t;
using Doubles __attribute__((vector_size(8 * kColumns))) = double;

/// Without AVX the compiler aligns Doubles to less than the functions for AVX read.
struct alignas(sizeof(Doubles)) Columns {
  Doubles values;
};

/// The sums of one row and kColumns columns; their errors in units of u = 2^-24.
struct alignas(sizeof(Doubles)) Sums {
  Doubles exact{}, mean{}, variance{};
};

/// Adds the variance of a result's error: u of it, up or down, unless it is a float32.
[[gnu::always_inline]] inline void add_variance(Doubles& variance, const Doubles& result) {
  const Doubles as_float = __builtin_convertvector(__builtin_convertvector(result, Floats), Doubles);
  variance += as_float == result ? Doubles{} : result * result;
}

/// As tf32() of reference/sampled.cpp: the number and what is left of it.
[[gnu::always_inline]] inline void split(const Doubles& value, Doubles& large, Doubles& small) {
  constexpr std::int64_t kKept = -(std::int64_t{1} << (53 - 11));
  large = reinterpret_cast<Doubles>(reinterpret_cast<Bits>(value) & kKept);
  small = reinterpret_cast<Doubles>(reinterpret_cast<Bits>(value - large) & kKept);
}

/// As multiply_add() of reference/sampled.h, `terms` times.
FORGECHECK_CLONES void sum_in_float(Sums& sums, const double* x, const Columns* w, std::int64_t terms) {
  for (std::int64_t p = 0; p < terms; ++p) {
    const Doubles product = x[p] * w[p].values;
    sums.exact += product;
    add_variance(sums.variance, product);
    add_variance(sums.variance, sums.exact);
  }
}

/// The same for 3xTF32: a sum loses nothing, or 2 u of itself.
FORGECHECK_CLONES void sum_in_three_tf32(Sums& sums, const double* x, const Columns* w, std::int64_t terms) {
  for (std::int64_t p = 0; p < terms; ++p) {
    Doubles a_large, a_small, b_large, b_small;
    split(x[p] + Doubles{}, a_large, a_small);
    split(w[p].values, b_large, b_small);
    sums.exact += a_large * b_large + a_large * b_small + a_small * b_large;
    sums.mean -= sums.exact;
    sums.variance += sums.exact * sums.exact;
  }
}

/// `columns` columns of the second factor from `first`, side by side.
std::vector<Columns> copied_columns(const Product<Sampled>& product, std::int64_t first,
                                    std::int64_t columns) {
  std::vector<Columns> block(static_cast<std::size_t>(product.k));
  std::vector<Sampled> buffer(static_cast<std::size_t>(product.w_transposed ? product.k : columns));
  if (product.w_transposed) {
    for (std::int64_t j = 0; j < columns; ++j) {
      const Sampled* column = product.w.read((first + j) * product.k, product.k, buffer.data());
      for (Columns& term : block) term.values[j] = (column++)->value;
    }
  } else {
    std::int64_t at = first;
    for (Columns& term : block) {
      const Sampled* const row = product.w.read(at, columns, buffer.data());
      for (std::int64_t j = 0; j < columns; ++j) term.values[j] = row[j].value;
      at += product.n;
    }
  }
  return block;
}

/// Columns `first` to `first + kColumns` of the product; those past the end are left out.
void sum_columns(const Product<Sampled>& product, std::int64_t first) {
  const auto& [m, n, k, x, w, w_transposed, out] = product;
  const std::int64_t columns = std::min(kColumns, n - first);
  const std::vector<Columns> block = copied_columns(product, first, columns);
  std::vector<double> row(static_cast<std::size_t>(k));
  for (std::int64_t i = 0; i < m; ++i) {
    std::ranges::transform(x + i * k, x + (i + 1) * k, row.begin(), &Sampled::value);
    Sums sums;
    (Sampling::three_tf32() ? sum_in_three_tf32 : sum_in_float)(sums, row.data(), block.data(), k);
    for (std::int64_t j = 0; j < columns; ++j) {
      const double error = sums.mean[j] + std::sqrt(sums.variance[j]) * Sampling::normal();
      out[i * n + first + j] = Sampled::of(sums.exact[j] + 0x1p-24 * error);
    }
  }
}

}  // namespace

void sampled_product(const Product<Sampled>& product) {
  const std::int64_t work = product.m * product.n * product.k;
  if (work < kThreadedWork || product.k < kManyTerms) return plain_product(product, Order::forward);
  share_by_threads(work, (product.n + kColumns - 1) / kColumns,
                   [&](std::int64_t panel) { sum_columns(product, panel * kColumns); });
}

}  // namespace forgecheck::linalg

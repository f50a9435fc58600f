// The sums of the plain product, each in the plain product's order and so with the same bits, for many rows and columns at
// a time: a block of the second factor is copied to where it lies in the order of the sums, and stays in the cache.
#include <algorithm>
#include <array>
#include <vector>

#include "reference/linalg/blocked.h"
#include "reference/linalg/clones.h"
#include "reference/linalg/matmul.h"
#include "reference/linalg/parallel.h"

namespace forgecheck::linalg {

namespace {

template <class C>
struct Vector {
  using Type __attribute__((vector_size(32), may_alias)) = C;
};

/// How many rows are summed side by side.
constexpr std::int64_t kRows = 4;

/// Terms of the sums that all rows take before the next ones: with them a block is 32 KiB.
constexpr std::int64_t kTerms = 512;

/// sums (Rows, columns) += x (Rows, terms) times block (terms, columns), one term after the other.
template <class C, std::int64_t Rows>
[[gnu::always_inline]] inline void add_terms(C* sums, const C* x, std::int64_t x_step, const C* block,
                                             std::int64_t terms) {
  using V = typename Vector<C>::Type;
  V total[Rows][kVectors];
  // Unrolled, or the totals would not stay in registers.
  const auto for_each_total = [](auto body) __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (std::int64_t r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
      for (std::int64_t v = 0; v < kVectors; ++v) body(r, v);
    }
  };
  for_each_total([&](std::int64_t r, std::int64_t v) __attribute__((always_inline)) {
    total[r][v] = reinterpret_cast<const V*>(sums)[r * kVectors + v];
  });
  for (std::int64_t p = 0; p < terms; ++p) {
    const V* const columns = reinterpret_cast<const V*>(block) + p * kVectors;
    for_each_total([&](std::int64_t r, std::int64_t v)
                       __attribute__((always_inline)) { total[r][v] += x[r * x_step + p] * columns[v]; });
  }
  for_each_total([&](std::int64_t r, std::int64_t v) __attribute__((always_inline)) {
    reinterpret_cast<V*>(sums)[r * kVectors + v] = total[r][v];
  });
}

/// As add_terms(), for any number of rows.
template <class C>
[[gnu::always_inline]] inline void add_terms_of_rows(C* sums, std::int64_t rows, const C* x,
                                                     std::int64_t x_step, const C* block,
                                                     std::int64_t terms) {
  std::int64_t i = 0;
  for (; i + kRows <= rows; i += kRows) {
    add_terms<C, kRows>(sums + i * kColumns<C>, x + i * x_step, x_step, block, terms);
  }
  for (; i < rows; ++i) add_terms<C, 1>(sums + i * kColumns<C>, x + i * x_step, x_step, block, terms);
}

}  // namespace

FORGECHECK_CLONES void add_block(float* sums, std::int64_t rows, const float* x, std::int64_t x_step,
                                 const float* block, std::int64_t terms) {
  add_terms_of_rows(sums, rows, x, x_step, block, terms);
}
FORGECHECK_CLONES void add_block(double* sums, std::int64_t rows, const double* x, std::int64_t x_step,
                                 const double* block, std::int64_t terms) {
  add_terms_of_rows(sums, rows, x, x_step, block, terms);
}

namespace {

/// The indices of the terms in the order of the sums.
std::vector<std::int64_t> visited(std::int64_t k, std::int64_t stride) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(k));
  std::int64_t p = 0;
  for (std::int64_t& index : order) {
    index = p;
    p = (p + stride) % k;
  }
  return order;
}

/// panel (k, kColumns): `columns` columns of the second factor from `first`, in the order of the sums.
template <class C>
void copy_panel(const Product<C>& product, const std::vector<std::int64_t>& order, std::int64_t first,
                std::int64_t columns, C* panel) {
  const auto index = [&](std::int64_t p) { return order[static_cast<std::size_t>(p)]; };
  std::vector<C> buffer(static_cast<std::size_t>(product.w_transposed ? product.k : columns));
  if (product.w_transposed) {
    for (std::int64_t j = 0; j < columns; ++j) {
      const C* const column = product.w.read((first + j) * product.k, product.k, buffer.data());
      for (std::int64_t p = 0; p < product.k; ++p) panel[p * kColumns<C> + j] = column[index(p)];
    }
  } else {
    for (std::int64_t p = 0; p < product.k; ++p) {
      const C* const row = product.w.read(index(p) * product.n + first, columns, buffer.data());
      std::copy_n(row, columns, panel + p * kColumns<C>);
    }
  }
}

/// How many panels of columns are summed side by side: the rows of x that they share stay in the cache.
constexpr std::int64_t kPanels = 4;

/// Columns `first` to `first + kPanels * kColumns` of the product; those past the end are left out.
template <class C>
void sum_panels(const Product<C>& product, const C* x, const std::vector<std::int64_t>& order,
                std::int64_t first) {
  const std::int64_t columns = std::min(kPanels * kColumns<C>, product.n - first);
  const std::int64_t panels = (columns + kColumns<C> - 1) / kColumns<C>;
  const std::int64_t panel_size = product.k * kColumns<C>, sums_size = product.m * kColumns<C>;
  const auto columns_of = [&](std::int64_t panel) {
    return std::min(kColumns<C>, columns - panel * kColumns<C>);
  };
  Aligned<C> copied(panels * panel_size), sums(panels * sums_size);
  for (std::int64_t panel = 0; panel < panels; ++panel) {
    copy_panel(product, order, first + panel * kColumns<C>, columns_of(panel),
               copied.data() + panel * panel_size);
  }
  for (std::int64_t begin = 0; begin < product.k; begin += kTerms) {
    for (std::int64_t panel = 0; panel < panels; ++panel) {
      add_block(sums.data() + panel * sums_size, product.m, x + begin, product.k,
                copied.data() + panel * panel_size + begin * kColumns<C>,
                std::min(kTerms, product.k - begin));
    }
  }
  for (std::int64_t panel = 0; panel < panels; ++panel) {
    for (std::int64_t i = 0; i < product.m; ++i) {
      std::copy_n(sums.data() + panel * sums_size + i * kColumns<C>, columns_of(panel),
                  product.out + i * product.n + first + panel * kColumns<C>);
    }
  }
}

template <class C>
void sum_blocks(const Product<C>& product, std::int64_t stride) {
  const std::vector<std::int64_t> order = visited(product.k, stride);
  std::vector<C> reordered;
  const C* x = product.x;
  if (stride != 1) {
    reordered.reserve(static_cast<std::size_t>(product.m * product.k));
    for (std::int64_t i = 0; i < product.m; ++i) {
      for (const std::int64_t p : order) reordered.push_back(product.x[i * product.k + p]);
    }
    x = reordered.data();
  }
  constexpr std::int64_t kWidth = kPanels * kColumns<C>;
  share_by_threads(product.m * product.n * product.k, (product.n + kWidth - 1) / kWidth,
                   [&](std::int64_t piece) { sum_panels(product, x, order, piece * kWidth); });
}

}  // namespace

void blocked_product(const Product<float>& product, std::int64_t stride) {
  sum_blocks(product, stride);
}
void blocked_product(const Product<double>& product, std::int64_t stride) {
  sum_blocks(product, stride);
}

}  // namespace forgecheck::linalg

#include "harness/verdict/tap_error.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "harness/verdict/tolerance.h"
#include "reference/numbers.h"

namespace forgecheck {

namespace {

constexpr std::int64_t kMapRows = 64;
constexpr std::int64_t kMapColumns = 96;

double share_of_differing(const Array& x, const Array& reference) {
  if (is_floating_point(x.dtype()) != is_floating_point(reference.dtype())) return kInfinity;
  const Tensor<std::int64_t> values = x.to_int64(), expected = reference.to_int64();
  double differing = 0;
  for (std::int64_t i = 0; i < values.size(); ++i) differing += values[i] == expected[i] ? 0 : 1;
  return differing / static_cast<double>(std::max<std::int64_t>(1, values.size()));
}

std::int64_t ceiling(std::int64_t count, std::int64_t parts) {
  return (count + parts - 1) / parts;
}

}  // namespace

std::string index_text(const Shape& shape, std::int64_t flat) {
  std::string text;
  for (auto size = shape.rbegin(); size != shape.rend(); ++size) {
    text = std::to_string(flat % *size) + (text.empty() ? "" : ", ") + text;
    flat /= *size;
  }
  return "[" + text + "]";
}

double distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  const double difference = std::abs(a - b);
  return std::isnan(difference) ? kInfinity : difference;
}

double relative_error(const Array& x, const Array& reference) {
  if (x.shape() != reference.shape()) return kInfinity;
  if (!is_floating_point(reference.dtype())) return share_of_differing(x, reference);
  if (!is_floating_point(x.dtype())) return kInfinity;
  const Tensor<double> values = x.to<double>(), expected = reference.to<double>();
  double error = 0, size = 0;
  for (std::int64_t i = 0; i < expected.size(); ++i) {
    const double difference = distance(values[i], expected[i]);
    error += difference * difference;
    if (std::isfinite(expected[i])) size += expected[i] * expected[i];
  }
  return error == 0 ? 0 : std::sqrt(error / size);
}

Array sorted_rows(const Array& integers) {
  Tensor<std::int64_t> values = integers.to_int64();
  for (std::int64_t r = 0; r < values.rows(); ++r) std::ranges::sort(values.row(r));
  return Array::from(values);
}

Tensor<double> shares(const Tensor<double>& values, const Tensor<double>& oracle,
                      const Tensor<double>& stored, const Tensor<double>& beyond) {
  Tensor<double> result(oracle.shape);
  for (std::int64_t i = 0; i < oracle.size(); ++i) {
    result[i] = share_used(distance(values[i], oracle[i]), stored[i], beyond[i]);
  }
  return result;
}

std::optional<WorstElement> worst_element(const Tensor<double>& values, const Tensor<double>& oracle,
                                          const Tensor<double>& shares) {
  std::int64_t worst = -1;
  for (std::int64_t i = 0; i < oracle.size(); ++i) {
    const bool larger = worst < 0
                            ? shares[i] > 0
                            : shares[i] > shares[worst] ||
                                  (shares[i] == shares[worst] &&
                                   distance(values[i], oracle[i]) > distance(values[worst], oracle[worst]));
    if (larger) worst = i;
  }
  if (worst < 0) return std::nullopt;
  WorstElement element{{}, values[worst], oracle[worst]};
  std::int64_t flat = worst;
  for (auto size = oracle.shape.rbegin(); size != oracle.shape.rend(); ++size) {
    element.index.insert(element.index.begin(), flat % *size);
    flat /= *size;
  }
  return element;
}

ShareHistogram share_histogram(const Tensor<double>& shares) {
  ShareHistogram histogram(std::size(kShareEdges) + 1);
  for (const double share : shares.data) {
    const auto bin = std::ranges::lower_bound(kShareEdges, share) - std::begin(kShareEdges);
    ++histogram[static_cast<std::size_t>(bin)];
  }
  return histogram;
}

ErrorMap error_map(const Tensor<double>& shares) {
  ErrorMap map;
  if (shares.size() == 0) return map;
  map.cell_height = std::max<std::int64_t>(1, ceiling(shares.rows(), kMapRows));
  map.cell_width = std::max<std::int64_t>(1, ceiling(shares.width(), kMapColumns));
  map.rows = ceiling(shares.rows(), map.cell_height);
  map.columns = ceiling(shares.width(), map.cell_width);
  map.shares.assign(static_cast<std::size_t>(map.rows * map.columns), 0.0);
  for (std::int64_t i = 0; i < shares.size(); ++i) {
    const std::int64_t row = i / shares.width() / map.cell_height;
    const std::int64_t column = i % shares.width() / map.cell_width;
    double& cell = map.shares[static_cast<std::size_t>(row * map.columns + column)];
    cell = std::max(cell, shares[i]);
  }
  return map;
}

}  // namespace forgecheck

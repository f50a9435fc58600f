// The oracle's numbers in another order.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "harness/hint/patterns.h"

namespace forgecheck {

namespace {

/// An order gives, for a flat index of the wrong tap, the flat index of the oracle's value found there; kOwn:
/// the element is skipped.
constexpr std::int64_t kOwn = -1;

/// A distance larger than any rounding, and smaller than that of most pairs of values.
double coarse_distance(const Tensor<double>& x) {
  double squares = 0;
  for (const double value : x.data) squares += value * value;
  return 0.05 * std::sqrt(squares / static_cast<double>(x.size()));
}

template <class Order>
bool holds(const WrongTap& wrong, const Order& order) {
  const auto& [values, oracle, baseline] = *wrong.numbers;
  const double coarse = coarse_distance(oracle);
  Tensor<double> predicted = values, rounded = values;
  for (std::int64_t i = 0; i < values.size(); ++i) {
    const std::int64_t from = order(i);
    if (from == kOwn) continue;
    if (!(std::abs(values[i] - oracle[from]) <= coarse)) return false;
    predicted[i] = oracle[from];
    rounded[i] = baseline[from];
  }
  return is_explained(wrong, predicted, rounded);
}

/// Axes `first` and `first + 1` exchanged in memory, under the given shape of the same elements.
auto exchanged(const Shape& shape, std::size_t first) {
  std::int64_t inner = 1;
  for (std::size_t axis = first + 2; axis < shape.size(); ++axis) inner *= shape[axis];
  const std::int64_t a = shape[first], b = shape[first + 1];
  return [=](std::int64_t i) {
    const std::int64_t tail = i % inner, row = i / inner;  // of (..., b, a)
    return (row / (a * b) * a * b + row % a * b + row / a % b) * inner + tail;
  };
}

/// The value `step` positions earlier along an axis; positions without one are skipped.
auto shifted(const Shape& shape, std::size_t axis, std::int64_t step) {
  std::int64_t inner = 1;
  for (std::size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
  const std::int64_t length = shape[axis];
  return [=](std::int64_t i) {
    const std::int64_t from = i / inner % length - step;
    return from < 0 || from >= length ? kOwn : i - step * inner;
  };
}

/// Column j of the wrong tap is column columns[j] of the oracle's, in blocks of that many columns.
auto columns_from(std::vector<std::int64_t> columns) {
  return [columns = std::move(columns)](std::int64_t i) {
    const std::int64_t width = std::ssize(columns), column = i % width;
    return i - column + columns[static_cast<std::size_t>(column)];
  };
}

/// Columns of blocks of `size` in which the pair (j, j + size/2) is at (2j, 2j + 1); `inverse`: the reverse.
std::vector<std::int64_t> interleaved(std::int64_t size, bool inverse) {
  std::vector<std::int64_t> columns(static_cast<std::size_t>(size));
  for (std::int64_t j = 0; j < size; ++j) {
    const std::int64_t half = j / 2 + j % 2 * (size / 2);
    (inverse ? columns[static_cast<std::size_t>(half)] : columns[static_cast<std::size_t>(j)]) =
        inverse ? j : half;
  }
  return columns;
}

std::string list(const std::vector<std::int64_t>& values) {
  constexpr std::size_t kShown = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(values.size(), kShown); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(values[i]);
  }
  return text + (values.size() > kShown ? ", ..." : "");
}

/// Where each item of `values` is found among those of `oracle`: items (columns, rows, blocks) are compared
/// at their probes. Empty where one is not found, or every item is in its place.
std::vector<std::int64_t> find_items(
    const WrongTap& wrong, std::int64_t items, std::int64_t probes,
    const std::function<std::int64_t(std::int64_t item, std::int64_t probe)>& index) {
  const auto& [values, oracle, baseline] = *wrong.numbers;
  const double coarse = coarse_distance(oracle);
  std::vector<std::int64_t> sorted(static_cast<std::size_t>(items));
  std::iota(sorted.begin(), sorted.end(), 0);
  const auto first_value = [&, &source = oracle](std::int64_t item) { return source[index(item, 0)]; };
  std::ranges::sort(sorted, {}, first_value);

  std::vector<std::int64_t> found;
  bool moved = false;
  for (std::int64_t item = 0; item < items; ++item) {
    const double value = values[index(item, 0)];
    std::int64_t best = -1;
    double best_error = coarse;
    for (auto at = std::ranges::lower_bound(sorted, value - coarse, {}, first_value);
         at != sorted.end() && first_value(*at) <= value + coarse; ++at) {
      double error = 0;
      for (std::int64_t probe = 0; probe < probes && error < best_error; ++probe) {
        error = std::max(error, std::abs(values[index(item, probe)] - oracle[index(*at, probe)]));
      }
      if (error < best_error) {
        best = *at;
        best_error = error;
      }
    }
    if (best < 0) return {};
    moved = moved || best != item;
    found.push_back(best);
  }
  return moved ? found : std::vector<std::int64_t>();
}

bool is_permutation(std::vector<std::int64_t> items) {
  std::ranges::sort(items);
  return std::ranges::adjacent_find(items) == items.end();
}

/// Size of the heads that the tap's last axes hold, 0 where it has none.
std::int64_t head_dim_of(const WrongTap& wrong) {
  const Architecture& architecture = wrong.problem.definition.architecture;
  const ModelConfig& model = architecture.model;
  switch (wrong.place.kind) {
    case TapKind::projection:
    case TapKind::head_norm:
    case TapKind::context:
    case TapKind::cached_keys:
    case TapKind::cached_values:
      return model.head_dim_of(wrong.place.cross() ? architecture.vlm->resolved_heads(model) : model.n_heads);
    case TapKind::unknown:
    case TapKind::embedding:
    case TapKind::adapter:
    case TapKind::norm:
    case TapKind::attention:
    case TapKind::expansion:
    case TapKind::hidden:
    case TapKind::mlp:
    case TapKind::router_gate:
    case TapKind::indices:
    case TapKind::router_weights:
    case TapKind::router_scores:
    case TapKind::expert_counts:
    case TapKind::moe:
    case TapKind::expert_choice:
    case TapKind::block:
    case TapKind::logits:
    case TapKind::staged_logits:
    case TapKind::aux_loss:
    case TapKind::z_loss:
    case TapKind::expert_bias:
    case TapKind::expert_ema:
    case TapKind::cross_entropy:
    case TapKind::logit_z:
    case TapKind::total_loss:
    case TapKind::tokens:
      return 0;
  }
  return 0;
}

std::string head_hint(const WrongTap& wrong) {
  const Tensor<double>& oracle = wrong.numbers->oracle;
  const std::int64_t size = head_dim_of(wrong);
  if (size < 2) return "";
  for (const bool inverse : {false, true}) {
    if (size > 2 && holds(wrong, columns_from(interleaved(size, inverse)))) {
      return inverse
                 ? "the columns of each head are de-interleaved: (2j, 2j + 1) stands at (j, j + head_dim/2)"
                 : "the columns of each head are interleaved: (j, j + head_dim/2) stands at (2j, 2j + 1)";
    }
  }
  // Heads side by side in a row (B, S, heads * head_dim), or rows of their own (B, S, heads, head_dim).
  const Shape& shape = oracle.shape;
  if (shape.size() != 3 && wrong.place.kind != TapKind::head_norm) return "";
  const std::int64_t heads = shape.size() == 3 ? shape[2] / size : shape[2];
  const std::int64_t positions = oracle.size() / (heads * size);
  if (heads < 2) return "";
  const std::vector<std::int64_t> found =
      find_items(wrong, heads, positions * size, [&](std::int64_t head, std::int64_t probe) {
        return (probe / size * heads + head) * size + probe % size;
      });
  const auto from = [&](std::int64_t i) {
    const std::int64_t head = i / size % heads;
    return i + (found[static_cast<std::size_t>(head)] - head) * size;
  };
  if (!found.empty() && holds(wrong, from)) {
    return "the heads are those of the oracle in the order " + list(found);
  }
  if (holds(wrong, exchanged({shape[0], shape[1], heads, size}, 1))) {
    return "heads and positions are exchanged in memory: (B, H, S, d) read as (B, S, H, d)";
  }
  return "";
}

std::string axes_hint(const WrongTap& wrong) {
  const Tensor<double>& oracle = wrong.numbers->oracle;
  const Shape& shape = oracle.shape;
  const bool cached = wrong.place.kind == TapKind::cached_keys || wrong.place.kind == TapKind::cached_values;
  const std::size_t sequence = cached ? 2 : shape.size() > 2 ? 1 : 0;
  if (shape.size() > sequence + 1 && shape[sequence] > 2) {
    for (const std::int64_t step : {1, -1}) {
      if (holds(wrong, shifted(shape, sequence, step))) {
        return std::string("shifted by one position: position s holds the oracle's ") +
               (step > 0 ? "s - 1" : "s + 1");
      }
    }
  }
  if (oracle.rows() > 1 && oracle.width() > 1 &&
      holds(wrong, exchanged({oracle.rows(), oracle.width()}, 0))) {
    return "transposed: rows and columns are exchanged in memory";
  }
  if (shape.size() > 2 && shape[0] > 1 && shape[1] > 1 && holds(wrong, exchanged(shape, 0))) {
    return "the first two axes are exchanged in memory";
  }
  return "";
}

std::string permutation_hint(const WrongTap& wrong) {
  const Tensor<double>& oracle = wrong.numbers->oracle;
  const std::int64_t rows = oracle.rows(), width = oracle.width();
  if (width < 4) return "";
  const std::vector<std::int64_t> columns = find_items(
      wrong, width, rows, [width](std::int64_t column, std::int64_t row) { return row * width + column; });
  if (!columns.empty() && is_permutation(columns) && holds(wrong, columns_from(columns))) {
    return "the columns are the oracle's in another order: " + list(columns);
  }
  const std::vector<std::int64_t> order = find_items(
      wrong, rows, width, [width](std::int64_t row, std::int64_t column) { return row * width + column; });
  const auto from = [&](std::int64_t i) {
    return order[static_cast<std::size_t>(i / width)] * width + i % width;
  };
  if (!order.empty() && is_permutation(order) && holds(wrong, from)) {
    return "the rows are the oracle's in another order: " + list(order);
  }
  return "";
}

}  // namespace

std::string order_hint(const WrongTap& wrong) {
  if (wrong.numbers->oracle.size() < 4) return "";
  for (const auto& hint : {head_hint, axes_hint, permutation_hint}) {
    if (std::string text = hint(wrong); !text.empty()) return text;
  }
  return "";
}

}  // namespace forgecheck

#include "harness/hint/patterns.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace forgecheck {

namespace {

/// How much nearer a factor without a name must bring the values: fitted to them, it always helps a little.
constexpr double kMuchNearer = 10.0;

std::string text_of(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

Tensor<double> scaled(const Tensor<double>& x, double factor) {
  Tensor<double> result = x;
  for (double& value : result.data) value *= factor;
  return result;
}

/// factor * b nearest to a in the sense of least squares; 0 where b is zero.
double nearest_factor(std::span<const double> a, std::span<const double> b) {
  double product = 0, square = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    product += a[i] * b[i];
    square += b[i] * b[i];
  }
  return square > 0 ? product / square : 0;
}

bool is_factor(const WrongTap& wrong, double factor) {
  const TapNumbers& numbers = *wrong.numbers;
  return factor != 0 && std::isfinite(factor) &&
         is_explained(wrong, scaled(numbers.oracle, factor), scaled(numbers.baseline, factor));
}

struct Quantity {
  double size;
  std::string name;
};

/// Sizes of the model that a factor in a tap of that kind may come from.
std::vector<Quantity> quantities(const WrongTap& wrong) {
  const Architecture& architecture = wrong.problem.definition.architecture;
  const ModelConfig& model = architecture.model;
  const auto number = [](std::int64_t size) { return static_cast<double>(size); };
  const std::int64_t heads = wrong.place.cross() ? architecture.vlm->resolved_heads(model) : model.n_heads;
  std::vector<Quantity> found = {{2.0, "2"}};
  switch (wrong.place.kind) {
    case TapKind::projection:
    case TapKind::head_norm:
    case TapKind::context:
    case TapKind::cached_keys:
    case TapKind::cached_values:
      found.push_back({number(model.head_dim_of(heads)), "head_dim"});
      found.push_back({number(heads), "n_heads"});
      break;
    case TapKind::router_weights:
    case TapKind::router_scores:
    case TapKind::moe:
    case TapKind::expert_choice:
      found.push_back({number(model.num_experts), "num_experts"});
      found.push_back({number(model.moe_top_k), "moe_top_k"});
      break;
    case TapKind::aux_loss:
      found.push_back({number(model.num_experts), "num_experts"});
      found.push_back({number(model.moe_top_k), "moe_top_k"});
      found.push_back({model.moe_aux_loss_weight, "moe_aux_loss_weight"});
      found.push_back({model.moe_sequence_aux_loss_weight, "moe_sequence_aux_loss_weight"});
      found.push_back({number(model.n_layers), "n_layers"});
      break;
    case TapKind::z_loss:
      found.push_back({model.moe_router_z_loss_weight, "moe_router_z_loss_weight"});
      found.push_back({number(model.n_layers), "n_layers"});
      break;
    case TapKind::logit_z:
      found.push_back({wrong.problem.definition.loss.z_loss_weight, "z_loss_weight"});
      break;
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
    case TapKind::expert_counts:
    case TapKind::block:
    case TapKind::logits:
    case TapKind::staged_logits:
    case TapKind::expert_bias:
    case TapKind::expert_ema:
    case TapKind::cross_entropy:
    case TapKind::total_loss:
    case TapKind::tokens:
      break;
  }
  if (wrong.numbers->oracle.size() >= kFew) found.push_back({number(model.dim), "dim"});
  std::erase_if(found, [](const Quantity& quantity) { return quantity.size <= 0 || quantity.size == 1; });
  return found;
}

/// What the factor is called; more than one name where sizes coincide.
std::string names_of(const WrongTap& wrong, double factor) {
  const auto is = [&](double value) {
    return std::abs(factor - value) <= 0.01 * std::abs(value) && is_factor(wrong, value);
  };
  std::string names = is(-1) ? "-1" : "";
  const auto add = [&](double value, const std::string& name) {
    if (is(value)) names += (names.empty() ? "" : " or ") + name;
  };
  for (const Quantity& quantity : quantities(wrong)) {
    add(quantity.size, quantity.name);
    add(1 / quantity.size, "1 / " + quantity.name);
    if (quantity.name == "2") continue;
    add(std::sqrt(quantity.size), "sqrt(" + quantity.name + ")");
    add(1 / std::sqrt(quantity.size), "1 / sqrt(" + quantity.name + ")");
  }
  return names;
}

}  // namespace

std::string known_factor_hint(const WrongTap& wrong) {
  const double factor = nearest_factor(wrong.numbers->values.data, wrong.numbers->oracle.data);
  if (factor == 0 || !std::isfinite(factor)) return "";
  const std::string names = names_of(wrong, factor);
  return names.empty() ? "" : "every value is the oracle's times " + names;
}

std::string any_factor_hint(const WrongTap& wrong) {
  if (wrong.numbers->oracle.size() < kFew) return "";
  const double factor = nearest_factor(wrong.numbers->values.data, wrong.numbers->oracle.data);
  const bool fits = is_factor(wrong, factor) &&
                    is_nearer(wrong, Array::from(scaled(wrong.numbers->oracle, factor)), kMuchNearer);
  return fits ? "every value is the oracle's times " + text_of(factor) : "";
}

std::string row_factor_hint(const WrongTap& wrong) {
  const TapNumbers& numbers = *wrong.numbers;
  if (numbers.oracle.width() < 4 || numbers.oracle.rows() < 2) return "";
  Tensor<double> predicted = numbers.oracle, baseline = numbers.baseline;
  double smallest = INFINITY, largest = -INFINITY;
  for (std::int64_t r = 0; r < predicted.rows(); ++r) {
    const double factor = nearest_factor(numbers.values.row(r), numbers.oracle.row(r));
    if (!std::isfinite(factor)) return "";
    for (double& value : predicted.row(r)) value *= factor;
    for (double& value : baseline.row(r)) value *= factor;
    smallest = std::min(smallest, factor);
    largest = std::max(largest, factor);
  }
  if (smallest <= 0 || !is_nearer(wrong, Array::from(predicted), kMuchNearer) ||
      !is_explained(wrong, predicted, baseline)) {
    return "";
  }
  return "each row is the oracle's times a factor of its own, " + text_of(smallest) + " to " +
         text_of(largest) + ", as where a normalisation is left out, done twice or over other elements";
}

}  // namespace forgecheck

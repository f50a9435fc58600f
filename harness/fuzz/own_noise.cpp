#include "harness/fuzz/own_noise.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/fuzz/random_draws.h"
#include "harness/verdict/tap_error.h"
#include "harness/verdict/tolerance.h"
#include "reference/error.h"
#include "reference/numbers.h"

namespace forgecheck {

namespace {

/// `type`: that of the case, to which a backend rounds its weights.
Array moved_array(const Array& weights, Dtype type, RandomDraws& draws) {
  Tensor<double> values = weights.to<double>();
  const double step = moved_step(type);
  for (double& value : values.data) value *= 1.0 + (draws.one_in(2) ? step : -step);
  return Array::from(values).cast(weights.dtype());
}

TapResult wrong(const std::string& name, const std::string& message) {
  return {name, Verdict::mismatch, kInfinity, 0.0, kInfinity, message};
}

bool same_integers(const Array& a, const Array& b, bool has_order) {
  if (a.shape() != b.shape()) return false;
  return has_order ? a.to_int64().data == b.to_int64().data
                   : sorted_rows(a).to_int64().data == sorted_rows(b).to_int64().data;
}

TapResult compare_integers_of_runs(const std::string& name, const Array& other, const OwnNoise& noise,
                                   bool has_order) {
  const Array& plain = noise.plain.at(name);
  if (same_integers(other, plain, has_order)) return {name, Verdict::match, 0.0, 0.0, 0.0, ""};
  const bool is_near = std::ranges::any_of(
      noise.moved, [&](const Trace& moved) { return !same_integers(moved.at(name), plain, has_order); });
  TapResult result = wrong(name, "chose otherwise");
  if (is_near) result.verdict = Verdict::undecided;
  return result;
}

/// A moved run must have what the plain one has; integers (tokens) may be more or fewer.
void require_same_form(const Trace& plain, const Trace& moved) {
  for (const auto& [name, value] : plain.entries()) {
    const Array* const found = moved.find(name);
    const bool fits = found != nullptr &&
                      is_floating_point(found->dtype()) == is_floating_point(value.dtype()) &&
                      (!is_floating_point(value.dtype()) || found->shape() == value.shape());
    if (!fits) throw BackendError(name + " is missing or has another form with slightly other weights");
  }
}

}  // namespace

OwnNoise measure_own_noise(Backend& backend, const Problem& problem, const TapFilter& wants) {
  OwnNoise noise{backend.run(problem, wants), {}};
  Problem moved = problem;
  moved.seeded = false;
  for (int run = 0; run < kMovedRuns; ++run) {
    RandomDraws draws("moved weights", problem.definition.seed + static_cast<std::uint64_t>(run));
    for (auto& [name, weights] : moved.parameters)
      weights = moved_array(problem.parameters.at(name), problem.definition.dtype, draws);
    noise.moved.push_back(backend.run(moved, wants));
    require_same_form(noise.plain, noise.moved.back());
  }
  return noise;
}

TapResult compare_own(const std::string& name, const Array& other, const OwnNoise& noise, Dtype type,
                      const std::function<bool(std::int64_t row)>& is_compared, bool has_order) {
  const Array& expected = noise.plain.at(name);
  if (!is_floating_point(other.dtype()) && !is_floating_point(expected.dtype())) {
    return compare_integers_of_runs(name, other, noise, has_order);
  }
  if (other.shape() != expected.shape() ||
      is_floating_point(other.dtype()) != is_floating_point(expected.dtype())) {
    return wrong(name,
                 fmt::format("is {} {}, expected {} {}", torch_name(other.dtype()), to_string(other.shape()),
                             torch_name(expected.dtype()), to_string(expected.shape())));
  }
  const Tensor<double> values = other.to<double>(), plain = expected.to<double>();
  const Tensor<double> stored = half_units(plain, type);
  std::vector<Tensor<double>> moved;
  for (const Trace& run : noise.moved) moved.push_back(run.at(name).to<double>());
  TapResult result{name, Verdict::match, 0.0, 0.0, 0.0, ""};
  for (std::int64_t row = 0; row < plain.rows(); ++row) {
    if (is_compared && !is_compared(row)) continue;
    double reach = 0;
    const std::int64_t begin = row * plain.width(), end = begin + plain.width();
    for (const Tensor<double>& run : moved) {
      for (std::int64_t i = begin; i < end; ++i) reach = std::max(reach, distance(run[i], plain[i]));
    }
    for (std::int64_t i = begin; i < end; ++i) {
      const double error = distance(values[i], plain[i]);
      const double used = share_used(error, 2 * stored[i], kOwnNoise * reach);
      if (used <= result.used) continue;
      result.error = error;
      result.tolerance = kOwnNoise * reach + 2 * stored[i];
      result.used = used;
      if (used <= 1.0) continue;
      result.verdict = Verdict::mismatch;
      result.message = fmt::format("is {:.9g} at {}, expected {:.9g} (difference {:.9g}, tolerance {:.9g})",
                                   values[i], index_text(plain.shape, i), plain[i], error, result.tolerance);
    }
  }
  return result;
}

bool tokens_tie(const Array& chosen, const Array& other, const OwnNoise& noise, const std::string& scores,
                Dtype type) {
  const Array* const found = noise.plain.find(scores);
  if (found == nullptr || chosen.shape() != other.shape()) return false;
  const Tensor<double> plain = found->to<double>(), stored = half_units(plain, type);
  const std::int64_t experts = plain.width(), tokens = plain.rows(), k = chosen.shape()[1];
  std::vector<Tensor<double>> moved;
  for (const Trace& run : noise.moved) moved.push_back(run.at(scores).to<double>());
  for (std::int64_t e = 0; e < chosen.shape()[0]; ++e) {
    double reach = 0, low = kInfinity, high = -kInfinity, unit = 0;
    for (std::int64_t t = 0; t < tokens; ++t) {
      const std::int64_t at = t * experts + e;
      for (const Tensor<double>& run : moved) reach = std::max(reach, distance(run[at], plain[at]));
    }
    const auto has = [&](const Array& indices, std::int64_t token) {
      for (std::int64_t i = 0; i < k; ++i) {
        if (indices.int_at(e * k + i) == token) return true;
      }
      return false;
    };
    for (std::int64_t t = 0; t < tokens; ++t) {
      if (has(chosen, t) == has(other, t)) continue;
      const std::int64_t at = t * experts + e;
      low = std::min(low, plain[at]);
      high = std::max(high, plain[at]);
      unit = std::max(unit, 2 * stored[at]);
    }
    if (high - low > 2 * (kOwnNoise * reach + unit)) return false;
  }
  return true;
}

}  // namespace forgecheck

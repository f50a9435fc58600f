// Mistakes in a norm: its eps, its weight and bias, its statistics, its input.
#include <algorithm>
#include <cmath>

#include "harness/case/config_value.h"
#include "harness/hint/mistake.h"
#include "harness/hint/residual.h"
#include "reference/error.h"
#include "reference/numbers.h"
#include "reference/ops/linear.h"
#include "reference/ops/norm.h"
#include "reference/ops/rope.h"

namespace forgecheck {

namespace {

/// One norm as it should be.
struct Norm {
  NormType type;
  Tensor<double> x, weight, bias;  // no bias: an empty tensor
  double eps = 0.0;

  Tensor<double> out() const {
    switch (type) {
      case NormType::rmsnorm:
        return rms_norm(x, weight, eps);
      case NormType::layernorm:
        return layer_norm(x, weight, bias, eps);
    }
    throw_not_an_enumerator("model.norm_type", type);
  }
};

struct NormMistake {
  std::string text;
  std::function<Tensor<double>(Norm)> out;
};

std::optional<Tensor<double>> input_of(const WrongTap& wrong, const std::string& tap, const TapPlace& place) {
  const Architecture& architecture = wrong.problem.definition.architecture;
  if (place.kind == TapKind::head_norm) {  // (B, S, H, d) of a projection
    const auto shape = found_value(wrong, tap)->shape;
    const TapPart projection = place.name.part == TapPart::q_norm ? TapPart::q_proj : TapPart::k_proj;
    const auto x = found_value(wrong, to_string(with_part(place.name, projection)));
    return x ? std::optional(x->reshaped(shape)) : std::nullopt;
  }
  std::optional<Tensor<double>> x = residual_before(wrong, place);
  if (!x || place.name.module != TapModule::mlp_norm) return x;
  const auto attended = found_value(wrong, to_string(attention_of(place.name, architecture)));
  return attended ? std::optional(add(*x, *attended)) : std::nullopt;
}

std::optional<Norm> norm_of(const WrongTap& wrong, const std::string& tap) {
  const ModelConfig& model = wrong.problem.definition.architecture.model;
  const TapPlace place = place_of(tap, wrong.problem.definition.architecture);
  std::optional<Tensor<double>> x = input_of(wrong, tap, place);
  if (!x) return std::nullopt;
  const NormType type = place.kind == TapKind::head_norm ? NormType::rmsnorm : model.norm_type;
  const double eps = place.kind == TapKind::head_norm ? model.qk_norm_eps
                     : place.cross()                  ? 1e-5
                                                      : model.norm_eps;
  return Norm{type, std::move(*x), stored_weight(wrong, tap + ".weight"),
              has_bias(type) ? stored_weight(wrong, tap + ".bias") : Tensor<double>(Shape{0}), eps};
}

/// x / (sqrt(mean(x^2)) + eps) * weight
Tensor<double> eps_outside(const Norm& norm) {
  Tensor<double> out = norm.x;
  for (std::int64_t r = 0; r < out.rows(); ++r) {
    const double divisor = root_mean_square(norm.x.row(r)) + norm.eps;
    for (std::int64_t j = 0; j < out.width(); ++j) {
      double& value = out.row(r)[static_cast<std::size_t>(j)];
      value = value / divisor * norm.weight[j];
    }
  }
  return out;
}

void add_eps_mistakes(const WrongTap& wrong, double eps, std::vector<NormMistake>& mistakes) {
  std::vector<double> values = {1e-6, 1e-5, 1e-8, 1e-12, 0.0, 1e-3, 1e-4, 1e-7};
  const double configured = wrong.problem.definition.architecture.model.norm_eps;
  if (std::ranges::find(values, configured) == values.end()) values.push_back(configured);
  for (const double other : values) {
    if (other == eps) continue;
    mistakes.push_back(
        {"eps is " + format_value(other) + " instead of " + format_value(eps), [other](Norm norm) {
           norm.eps = other;
           return norm.out();
         }});
  }
}

void add_rms_mistakes(std::vector<NormMistake>& mistakes) {
  mistakes.push_back({"eps stands outside the root", eps_outside});
  mistakes.push_back({"the mean is subtracted, as by LayerNorm", [](const Norm& n) {
                        return layer_norm(n.x, n.weight, Tensor<double>(n.weight.shape), n.eps);
                      }});
}

void add_layer_norm_mistakes(std::vector<NormMistake>& mistakes) {
  mistakes.push_back({"the bias is left out", [](Norm n) {
                        for (double& b : n.bias.data) b = 0;
                        return n.out();
                      }});
  mistakes.push_back({"the mean is not subtracted, as by RMSNorm", [](const Norm& n) {
                        Tensor<double> out = rms_norm(n.x, n.weight, n.eps);
                        for (std::int64_t i = 0; i < out.size(); ++i) out[i] += n.bias[i % n.bias.size()];
                        return out;
                      }});
  mistakes.push_back({"the variance is divided by n - 1", [](Norm n) {
                        const auto count = static_cast<double>(n.weight.size());
                        for (double& w : n.weight.data) w *= std::sqrt((count - 1) / count);
                        n.eps *= (count - 1) / count;
                        return n.out();
                      }});
}

std::vector<NormMistake> mistakes_of(const WrongTap& wrong, const Norm& norm) {
  std::vector<NormMistake> mistakes;
  add_eps_mistakes(wrong, norm.eps, mistakes);
  mistakes.push_back({"the weight is left out", [](Norm n) {
                        for (double& w : n.weight.data) w = 1;
                        return n.out();
                      }});
  mistakes.push_back({"the weight is 1 + weight", [](Norm n) {
                        for (double& w : n.weight.data) w += 1;
                        return n.out();
                      }});
  mistakes.push_back({"the result is normalised once more", [](Norm n) {
                        n.x = n.out();
                        return n.out();
                      }});
  switch (norm.type) {
    case NormType::rmsnorm:
      add_rms_mistakes(mistakes);
      return mistakes;
    case NormType::layernorm:
      add_layer_norm_mistakes(mistakes);
      return mistakes;
  }
  throw_not_an_enumerator("model.norm_type", norm.type);
}

/// A norm that reads one term of its sum only, or all heads as one row.
void add_input_mistakes(const WrongTap& wrong, const std::string& tap, std::vector<NormMistake>& mistakes) {
  const Architecture& architecture = wrong.problem.definition.architecture;
  const TapPlace place = place_of(tap, architecture);
  if (place.kind == TapKind::head_norm) {
    mistakes.push_back({"the mean runs over all heads instead of each", [](Norm n) {
                          const std::int64_t heads = n.x.dim(2);
                          const Shape shape = n.x.shape;
                          const std::vector<double> weight = n.weight.data;
                          n.weight = Tensor<double>({heads * shape[3]});
                          for (std::int64_t i = 0; i < n.weight.size(); ++i) {
                            n.weight[i] = weight[static_cast<std::size_t>(i % shape[3])];
                          }
                          n.x = std::move(n.x).reshaped({shape[0], shape[1], heads * shape[3]});
                          return n.out().reshaped(shape);
                        }});
    const RopeOptions rope = architecture.model.rope();
    mistakes.push_back({"the norm comes after rope instead of before", [rope](Norm n) {
                          n.x = apply_rope(n.x, rope_table<double>(n.x.dim(3), n.x.dim(1), rope), 0);
                          return n.out();
                        }});
  }
  if (place.name.module != TapModule::mlp_norm) return;
  const std::optional<Tensor<double>> residual = residual_before(wrong, place);
  const std::string attention = to_string(attention_of(place.name, architecture));
  const std::optional<Tensor<double>> attended = found_value(wrong, attention);
  if (!residual || !attended) return;
  mistakes.push_back({"its input lacks " + attention, [x = *residual](Norm n) {
                        n.x = x;
                        return n.out();
                      }});
  mistakes.push_back({"its input is " + attention + " without the residual", [x = *attended](Norm n) {
                        n.x = x;
                        return n.out();
                      }});
}

}  // namespace

void add_norm_mistakes(const WrongTap& wrong, const Modules& modules, std::vector<Mistake>& mistakes) {
  for (const std::string& tap : modules) {
    const TapKind kind = place_of(tap, wrong.problem.definition.architecture).kind;
    if (kind != TapKind::norm && kind != TapKind::head_norm) continue;
    const std::optional<Norm> norm = norm_of(wrong, tap);
    if (!norm) continue;
    std::vector<NormMistake> norm_mistakes = mistakes_of(wrong, *norm);
    add_input_mistakes(wrong, tap, norm_mistakes);
    for (NormMistake& mistake : norm_mistakes) {
      mistakes.push_back({mistake.text + " in " + tap,
                          [tap, norm = *norm, out = std::move(mistake.out)](Problem&, Trace& forced) {
                            forced = with_value(forced, tap, Array::from(out(norm)));
                          }});
    }
  }
}

}  // namespace forgecheck

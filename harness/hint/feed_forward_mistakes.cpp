// Mistakes in the feed-forward: activations, and what the router passes to the experts.
#include <cmath>
#include <numbers>

#include "harness/hint/mistake.h"
#include "reference/ops/router.h"

namespace forgecheck {

namespace {

struct Function {
  const char* name;
  double (*of)(double);
};

double silu(double x) {
  return x / (1 + std::exp(-x));
}

constexpr Function kFunctions[] = {
    {"silu", silu},
    {"gelu", [](double x) { return x / 2 * (1 + std::erf(x / std::numbers::sqrt2)); }},
    {"relu", [](double x) { return x > 0 ? x : 0; }},
    {"gelu in its tanh form",
     [](double x) {
       return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
     }},
    {"x sigmoid(1.702 x)", [](double x) { return x / (1 + std::exp(-1.702 * x)); }},
    {"sigmoid", [](double x) { return 1 / (1 + std::exp(-x)); }},
    {"nothing", [](double x) { return x; }},
};

/// A mistake that predicts one tap's value.
Mistake prediction(const std::string& text, const std::string& tap, const Tensor<double>& value) {
  return {text, [tap, array = Array::from(value)](Problem&, Trace& forced) {
            forced = with_value(forced, tap, array);
          }};
}

template <class Combine>
Tensor<double> combined(const Tensor<double>& gate, const Tensor<double>& up, const Combine& combine) {
  Tensor<double> out(up.shape);
  for (std::int64_t i = 0; i < out.size(); ++i) out[i] = combine(gate[i], up[i]);
  return out;
}

void add_gated(const std::string& tap, const Tensor<double>& gate, const Tensor<double>& up,
               std::vector<Mistake>& mistakes) {
  const auto add = [&](const std::string& text, const auto& combine) {
    mistakes.push_back(prediction(text, tap, combined(gate, up, combine)));
  };
  add("gate_proj and up_proj are exchanged: silu(up) * gate", [](double g, double u) { return silu(u) * g; });
  add("up_proj is left out: silu(gate)", [](double g, double) { return silu(g); });
  add("gate and up are added instead of multiplied: silu(gate) + up",
      [](double g, double u) { return silu(g) + u; });
  for (const Function& function : kFunctions) {
    if (std::string(function.name) == "silu") continue;
    add(std::string("the activation of the gate is ") + function.name + " instead of silu",
        [&function](double g, double u) { return function.of(g) * u; });
  }
}

Tensor<double> at_indices(const Tensor<double>& scores, const Tensor<std::int64_t>& indices) {
  Tensor<double> chosen(indices.shape);
  for (std::int64_t i = 0; i < chosen.size(); ++i) {
    chosen[i] = scores.row(i / indices.width())[static_cast<std::size_t>(indices[i])];
  }
  return chosen;
}

/// The choices that the candidate's run went on with: its own where it shows them.
std::optional<Tensor<std::int64_t>> found_choices(const WrongTap& wrong, const std::string& name) {
  const auto decision = wrong.forced.decisions.find(name);
  if (decision == wrong.forced.decisions.end()) return std::nullopt;
  const auto& [chosen, scores] = decision->second;
  const Array* given = wrong.candidate.find(name);
  const bool usable = given != nullptr && invalid_choice(*given, chosen.shape, scores.width()).empty();
  return usable ? given->to_int64() : chosen;
}

/// The tap of a router: `router` is any tap of the same mixture.
std::string router_tap(const TapName& router, TapPart part) {
  return to_string(with_part(router, part));
}

void add_weights_mistakes(const WrongTap& wrong, const TapName& router, std::vector<Mistake>& mistakes) {
  const std::string tap = router_tap(router, TapPart::weights);
  const auto gate = found_value(wrong, router_tap(router, TapPart::router_gate));
  const auto indices = found_choices(wrong, router_tap(router, TapPart::indices));
  if (!gate || !indices) return;
  const bool sigmoid = wrong.problem.definition.architecture.model.moe_router == RouterType::sigmoid_topk;
  const Tensor<double> no_bias({gate->width()});
  const Tensor<double> bias =
      sigmoid ? stored_weight(wrong, router_tap(router, TapPart::expert_bias)) : no_bias;
  const Tensor<double> soft = softmax_scores(*gate), logistic = sigmoid_scores(*gate, no_bias);
  const Tensor<double> scores = sigmoid ? sigmoid_scores(*gate, bias) : soft;
  const auto add = [&](const std::string& text, const Tensor<double>& value) {
    mistakes.push_back(prediction(text, tap, value));
  };
  add("the scores are not divided by their sum", at_indices(scores, *indices));
  if (sigmoid) {
    add("the weights are made of scores without expert_bias", routing_weights(logistic, *indices));
    add("the scores are softmax(gate) instead of sigmoid(gate + expert_bias)",
        routing_weights(soft, *indices));
    add("the scores are neither biased nor divided by their sum", at_indices(logistic, *indices));
  } else {
    add("the scores are sigmoid(gate) instead of softmax(gate)", routing_weights(logistic, *indices));
  }
}

/// Scores (E, k) of the chosen tokens of each expert.
void add_scores_mistakes(const WrongTap& wrong, const TapName& router, std::vector<Mistake>& mistakes) {
  const std::string tap = router_tap(router, TapPart::scores);
  const auto gate = found_value(wrong, router_tap(router, TapPart::router_gate));
  const auto indices = found_choices(wrong, router_tap(router, TapPart::indices));
  if (!gate || !indices) return;
  const auto chosen = [&](const Tensor<double>& scores) {  // (n, E)
    Tensor<double> out(indices->shape);
    for (std::int64_t i = 0; i < out.size(); ++i) {
      out[i] = scores.row((*indices)[i])[static_cast<std::size_t>(i / indices->width())];
    }
    return out;
  };
  mistakes.push_back(prediction("the scores are softmax(gate) over the experts instead of sigmoid(gate)", tap,
                                chosen(softmax_scores(*gate))));
  mistakes.push_back(prediction("the scores are sigmoid(gate) without the noise", tap,
                                chosen(sigmoid_scores(*gate, Tensor<double>({gate->width()})))));
}

/// What a mixture does with the weights of its router.
void add_mixture_mistakes(const WrongTap& wrong, const TapName& mixture, std::vector<Mistake>& mistakes) {
  const std::string weights_tap = router_tap(mixture, TapPart::weights);
  const std::string scores_tap = router_tap(mixture, TapPart::scores);
  const auto weights = found_value(wrong, weights_tap), scores = found_value(wrong, scores_tap);
  if (scores) {
    Tensor<double> ones = *scores;
    for (double& value : ones.data) value = 1;
    mistakes.push_back(
        prediction("the experts' outputs are not multiplied by their scores", scores_tap, ones));
  }
  if (!weights) return;
  Tensor<double> ones = *weights, first = *weights, reversed = *weights;
  for (std::int64_t i = 0; i < ones.size(); ++i) {
    const std::int64_t slot = i % ones.width();
    ones[i] = 1;
    if (slot > 0) first[i] = 0;
    reversed[i] = (*weights)[i + ones.width() - 1 - 2 * slot];
  }
  mistakes.push_back(
      prediction("the experts' outputs are not multiplied by their weights", weights_tap, ones));
  if (ones.width() == 1) return;
  mistakes.push_back(prediction("only the first expert of each token is added", weights_tap, first));
  mistakes.push_back(prediction("each expert gets the weight of another slot", weights_tap, reversed));
}

}  // namespace

void add_activation_mistakes(const WrongTap& wrong, const Modules& modules, std::vector<Mistake>& mistakes) {
  const Architecture& architecture = wrong.problem.definition.architecture;
  for (const std::string& tap : modules) {
    const TapPlace place = place_of(tap, architecture);
    if (place.kind != TapKind::hidden) continue;
    const auto gate = found_value(wrong, to_string(with_part(place.name, TapPart::gate_proj)));
    const auto up = found_value(wrong, to_string(with_part(place.name, TapPart::up_proj)));
    if (up && gate) add_gated(tap, *gate, *up, mistakes);
    if (!up || gate) continue;
    const std::string configured = to_string(architecture.model.activation);
    for (const Function& function : kFunctions) {
      if (function.name == configured) continue;
      mistakes.push_back(
          prediction("the activation is " + std::string(function.name) + " instead of " + configured, tap,
                     combined(*up, *up, [&](double x, double) { return function.of(x); })));
    }
  }
}

void add_router_mistakes(const WrongTap& wrong, const Modules& modules, std::vector<Mistake>& mistakes) {
  const Architecture& architecture = wrong.problem.definition.architecture;
  for (const std::string& tap : modules) {
    const auto& [kind, name] = place_of(tap, architecture);
    if (kind == TapKind::router_weights) add_weights_mistakes(wrong, name, mistakes);
    if (kind == TapKind::router_scores) add_scores_mistakes(wrong, name, mistakes);
    if (kind == TapKind::moe) add_mixture_mistakes(wrong, name, mistakes);
    if (kind == TapKind::expert_choice) {
      for (const std::string& modality : architecture.vlm->moma_modalities) {
        TapName group = name;
        group.module = TapModule::expert_group;
        group.modality = modality;
        add_mixture_mistakes(wrong, group, mistakes);
      }
    }
    if (kind == TapKind::indices) {
      const std::string gate_tap = router_tap(name, TapPart::router_gate);
      if (auto gate = found_value(wrong, gate_tap)) {
        for (double& value : gate->data) value = -value;
        mistakes.push_back(
            prediction("the smallest scores are chosen instead of the largest", gate_tap, *gate));
      }
    }
  }
}

}  // namespace forgecheck

// Guesses at parameters: transposed, left out, or another module's.
#include <algorithm>

#include "harness/hint/what_if.h"

namespace forgecheck {

namespace {

/// (..., a, b) with the last two axes exchanged; a == b.
Array transposed(const Array& array) {
  const Tensor<float> x = array.to<float>();
  Tensor<float> out(x.shape);
  const std::int64_t side = x.width();
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const std::int64_t column = i % side, row = i / side % side, matrix = i / side / side;
    out[(matrix * side + column) * side + row] = x[i];
  }
  return Array::from(out);
}

bool is_square(const Array& array) {
  const Shape& shape = array.shape();
  return shape.size() > 1 && shape.back() == shape[shape.size() - 2];
}

/// The name without its block: "attention.q_proj.weight" of "layers.3.attention.q_proj.weight".
std::string inside(const std::string& parameter, const std::string& block) {
  return block.empty() ? parameter : parameter.substr(block.size() + 1);
}

/// Parameters of the same shape that a mistaken name or index may lead to: of the same block, and of the same
/// place in other blocks.
std::vector<std::string> mistakable(const WrongTap& wrong, const std::string& parameter) {
  constexpr std::size_t kMost = 12;
  const ParameterTable& table = wrong.problem.parameters;
  const std::string& block = wrong.place.block;
  std::vector<std::string> names;
  for (const auto& [name, array] : table) {
    if (name == parameter || array.shape() != table.at(parameter).shape() || names.size() == kMost) continue;
    const bool same_block = block.empty() ? !name.starts_with("layers.") && !name.starts_with("cross_")
                                          : name.starts_with(block + ".");
    const bool same_place = !block.empty() && name.ends_with("." + inside(parameter, block));
    if ((same_block || same_place) && name.find(".experts.") == std::string::npos) names.push_back(name);
  }
  return names;
}

void add_of_parameter(const WrongTap& wrong, const std::string& name, std::vector<WhatIf>& guesses) {
  const Array& array = wrong.problem.parameters.at(name);
  if (array.shape().size() == 1) {
    if (name.find("norm") != std::string::npos) return;
    guesses.push_back({name + " is left out", [name](Problem& problem, Trace&) {
                         Array& bias = problem.parameters.at(name);
                         bias = Array::from(Tensor<float>(bias.shape()));
                       }});
    return;
  }
  if (is_square(array)) {
    guesses.push_back({name + " is transposed", [name](Problem& problem, Trace&) {
                         problem.parameters.at(name) = transposed(problem.parameters.at(name));
                       }});
  }
  for (const std::string& other : mistakable(wrong, name)) {
    guesses.push_back({other + " is read instead of " + name, [name, other](Problem& problem, Trace&) {
                         problem.parameters.at(name) = problem.parameters.at(other);
                       }});
  }
}

/// "layers.0.mlp.experts." and "up_proj.weight" of "layers.0.mlp.experts.3.up_proj.weight".
struct ExpertName {
  std::string group, rest;
  std::int64_t expert = -1;
};

std::optional<ExpertName> expert_name(const std::string& parameter) {
  const std::size_t start = parameter.rfind(".experts.");
  if (start == std::string::npos) return std::nullopt;
  const std::size_t digit = start + std::string(".experts.").size(), dot = parameter.find('.', digit);
  return ExpertName{parameter.substr(0, digit), parameter.substr(dot),
                    std::atoll(parameter.substr(digit, dot - digit).c_str())};
}

/// Every expert e of the mixture reads expert map(e)'s parameters, of the same group.
WhatIf other_experts(const std::string& text, const std::vector<std::string>& names,
                     const std::function<std::int64_t(std::int64_t)>& map) {
  return {text, [names, map](Problem& problem, Trace&) {
            const ParameterTable old = problem.parameters;
            for (const std::string& name : names) {
              const ExpertName expert = *expert_name(name);
              const auto at = [&](std::int64_t e) { return expert.group + std::to_string(e) + expert.rest; };
              std::int64_t count = 0;
              while (old.contains(at(count))) ++count;
              problem.parameters.at(name) = old.at(at((map(expert.expert) + count) % count));
            }
          }};
}

void exchange(Problem& problem, const std::string& gate, const std::string& up) {
  if (problem.parameters.contains(up)) std::swap(problem.parameters.at(gate), problem.parameters.at(up));
}

void add_of_experts(const WrongTap& wrong, const std::string& mixture, const std::vector<std::string>& names,
                    std::vector<WhatIf>& guesses) {
  const ParameterTable& table = wrong.problem.parameters;
  guesses.push_back({"gate and up of the experts are exchanged", [names](Problem& problem, Trace&) {
                       for (const std::string& name : names) {
                         for (const std::string gate : {"gate_proj.weight", "gate_w"}) {
                           if (!name.ends_with(gate)) continue;
                           std::string up = name;
                           exchange(problem, name, up.replace(up.size() - gate.size(), 4, "up"));
                         }
                       }
                     }});
  for (const std::string kind :
       {"up_proj.weight", "gate_proj.weight", "down_proj.weight", "up_w", "gate_w", "down_w"}) {
    std::vector<std::string> square;
    std::ranges::copy_if(names, std::back_inserter(square), [&](const std::string& name) {
      return name.ends_with(kind) && is_square(table.at(name));
    });
    if (square.empty()) continue;
    guesses.push_back({kind + " of the experts is transposed", [square](Problem& problem, Trace&) {
                         for (const std::string& name : square) {
                           problem.parameters.at(name) = transposed(problem.parameters.at(name));
                         }
                       }});
  }
  if (names.empty() || !expert_name(names.front())) return;
  guesses.push_back(other_experts("every expert of " + mixture + " reads the parameters of the next one",
                                  names, [](std::int64_t e) { return e + 1; }));
  guesses.push_back(other_experts("every expert of " + mixture + " reads the parameters of the one before",
                                  names, [](std::int64_t e) { return e - 1; }));
  guesses.push_back(other_experts("every expert of " + mixture + " reads the parameters of expert 0", names,
                                  [](std::int64_t) { return 0; }));
}

}  // namespace

void add_weight_guesses(const WrongTap& wrong, const Modules& modules, std::vector<WhatIf>& guesses) {
  const Architecture& architecture = wrong.problem.definition.architecture;
  for (const std::string& tap : modules) {
    const std::vector<std::string> names = parameters_of(tap, architecture, wrong.problem.parameters);
    const TapKind kind = place_of(tap, architecture).kind;
    if (kind == TapKind::moe || kind == TapKind::expert_choice) {
      add_of_experts(wrong, tap, names, guesses);
    } else {
      for (const std::string& name : names) add_of_parameter(wrong, name, guesses);
    }
  }
}

}  // namespace forgecheck

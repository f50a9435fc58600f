// Mistakes in parameters: transposed, left out, or another module's.
#include <algorithm>

#include "harness/hint/mistake.h"
#include "harness/tap/parameter_name.h"

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

bool is_of_experts(const TapName& module) {
  return module.expert || module.module == TapModule::expert_group;
}

/// Whether a mistaken name or index may lead from one parameter to the other: of the same block, or of the
/// same place in another block.
bool is_mistakable(const ParameterName& a, const ParameterName& b) {
  if (a.module.block == BlockKind::none || b.module.block == BlockKind::none) {
    return a.module.block == b.module.block;
  }
  if (block_text(a.module) == block_text(b.module)) return true;
  TapName moved = b.module;
  moved.block = a.module.block;
  moved.index = a.module.index;
  return moved == a.module && a.leaf == b.leaf;
}

/// Parameters of the same shape that a mistaken name or index may lead to.
std::vector<std::string> mistakable(const WrongTap& wrong, const std::string& parameter) {
  constexpr std::size_t kMost = 12;
  const Architecture& architecture = wrong.problem.definition.architecture;
  const ParameterTable& table = wrong.problem.parameters;
  const std::optional<ParameterName> own = parse_parameter_name(parameter, architecture);
  std::vector<std::string> names;
  if (!own) return names;
  for (const auto& [name, array] : table) {
    if (name == parameter || array.shape() != table.at(parameter).shape() || names.size() == kMost) continue;
    const std::optional<ParameterName> other = parse_parameter_name(name, architecture);
    if (other && is_mistakable(*own, *other) && !is_of_experts(other->module)) names.push_back(name);
  }
  return names;
}

bool is_of_norm(const WrongTap& wrong, const std::string& parameter) {
  const Architecture& architecture = wrong.problem.definition.architecture;
  const std::optional<ParameterName> name = parse_parameter_name(parameter, architecture);
  const TapKind kind = name ? kind_of(name->module, architecture) : TapKind::unknown;
  return kind == TapKind::norm || kind == TapKind::head_norm;
}

void add_of_parameter(const WrongTap& wrong, const std::string& name, std::vector<Mistake>& mistakes) {
  const Array& array = wrong.problem.parameters.at(name);
  if (array.shape().size() == 1) {
    if (is_of_norm(wrong, name)) return;  // see norm_mistakes.cpp
    mistakes.push_back({name + " is left out", [name](Problem& problem, Trace&) {
                          Array& bias = problem.parameters.at(name);
                          bias = Array::from(Tensor<float>(bias.shape()));
                        }});
    return;
  }
  if (is_square(array)) {
    mistakes.push_back({name + " is transposed", [name](Problem& problem, Trace&) {
                          problem.parameters.at(name) = transposed(problem.parameters.at(name));
                        }});
  }
  for (const std::string& other : mistakable(wrong, name)) {
    mistakes.push_back({other + " is read instead of " + name, [name, other](Problem& problem, Trace&) {
                          problem.parameters.at(name) = problem.parameters.at(other);
                        }});
  }
}

/// Every expert e of the mixture reads expert map(e)'s parameters, of the same group.
Mistake other_experts(const std::string& text, const std::vector<std::string>& names,
                      const std::function<std::int64_t(std::int64_t)>& map) {
  return {text, [names, map](Problem& problem, Trace&) {
            const ParameterTable old = problem.parameters;
            for (const std::string& name : names) {
              ParameterName parameter = *parse_parameter_name(name, problem.definition.architecture);
              const std::int64_t expert = *parameter.module.expert;
              const auto at = [&](std::int64_t e) {
                parameter.module.expert = e;
                return to_string(parameter);
              };
              std::int64_t count = 0;
              while (old.contains(at(count))) ++count;
              problem.parameters.at(name) = old.at(at((map(expert) + count) % count));
            }
          }};
}

/// The up projection beside a gate: none of another parameter.
std::optional<std::string> up_of_gate(ParameterName parameter) {
  if (parameter.module.part == TapPart::gate_proj) {
    parameter.module.part = TapPart::up_proj;
  } else if (parameter.leaf == "gate_w") {
    parameter.leaf = "up_w";
  } else {
    return std::nullopt;
  }
  return to_string(parameter);
}

void exchange_gate_and_up(Problem& problem, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const auto up = up_of_gate(*parse_parameter_name(name, problem.definition.architecture));
    if (up && problem.parameters.contains(*up)) {
      std::swap(problem.parameters.at(name), problem.parameters.at(*up));
    }
  }
}

/// "up_proj.weight" or, of packed experts, "up_w".
std::string own_words(const std::string& name, const Architecture& architecture) {
  const ParameterName parameter = *parse_parameter_name(name, architecture);
  const std::string part(part_text(parameter.module.part));
  return part.empty() ? parameter.leaf : part + "." + parameter.leaf;
}

void add_of_experts(const WrongTap& wrong, const std::string& mixture, const std::vector<std::string>& names,
                    std::vector<Mistake>& mistakes) {
  const ParameterTable& table = wrong.problem.parameters;
  const Architecture& architecture = wrong.problem.definition.architecture;
  mistakes.push_back({"gate and up of the experts are exchanged",
                      [names](Problem& problem, Trace&) { exchange_gate_and_up(problem, names); }});
  for (const std::string kind :
       {"up_proj.weight", "gate_proj.weight", "down_proj.weight", "up_w", "gate_w", "down_w"}) {
    std::vector<std::string> square;
    std::ranges::copy_if(names, std::back_inserter(square), [&](const std::string& name) {
      return own_words(name, architecture) == kind && is_square(table.at(name));
    });
    if (square.empty()) continue;
    mistakes.push_back({kind + " of the experts is transposed", [square](Problem& problem, Trace&) {
                          for (const std::string& name : square) {
                            problem.parameters.at(name) = transposed(problem.parameters.at(name));
                          }
                        }});
  }
  // Packed experts have no parameters of their own.
  if (names.empty() || !parse_parameter_name(names.front(), architecture)->module.expert) return;
  mistakes.push_back(other_experts("every expert of " + mixture + " reads the parameters of the next one",
                                   names, [](std::int64_t e) { return e + 1; }));
  mistakes.push_back(other_experts("every expert of " + mixture + " reads the parameters of the one before",
                                   names, [](std::int64_t e) { return e - 1; }));
  mistakes.push_back(other_experts("every expert of " + mixture + " reads the parameters of expert 0", names,
                                   [](std::int64_t) { return 0; }));
}

}  // namespace

void add_weight_mistakes(const WrongTap& wrong, const Modules& modules, std::vector<Mistake>& mistakes) {
  const Architecture& architecture = wrong.problem.definition.architecture;
  for (const std::string& tap : modules) {
    const std::vector<std::string> names = parameters_of(tap, architecture, wrong.problem.parameters);
    const TapKind kind = place_of(tap, architecture).kind;
    if (kind == TapKind::moe || kind == TapKind::expert_choice) {
      add_of_experts(wrong, tap, names, mistakes);
    } else {
      for (const std::string& name : names) add_of_parameter(wrong, name, mistakes);
    }
  }
}

}  // namespace forgecheck

// Known mistakes: one thing changed in the problem, or in the output of a module before the wrong tap.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/hint/wrong_tap.h"

namespace forgecheck {

/// `change` puts the mistake into the problem, or the mistaken value of a tap into the trace that the oracle
/// is forced to. A value for the wrong tap itself is the prediction, and nothing is run.
struct Mistake {
  std::string text;
  std::function<void(Problem& problem, Trace& forced)> change;
};

/// The wrong tap, and the modules of its block that the trace does not show and that it depends on.
using Modules = std::vector<std::string>;

/// Appends the mistakes that one of the modules can make.
void add_norm_mistakes(const WrongTap& wrong, const Modules& modules, std::vector<Mistake>& mistakes);
void add_attention_mistakes(const WrongTap& wrong, const Modules& modules, std::vector<Mistake>& mistakes);
void add_activation_mistakes(const WrongTap& wrong, const Modules& modules, std::vector<Mistake>& mistakes);
void add_router_mistakes(const WrongTap& wrong, const Modules& modules, std::vector<Mistake>& mistakes);
void add_weight_mistakes(const WrongTap& wrong, const Modules& modules, std::vector<Mistake>& mistakes);
/// Settings and inputs, wherever the model reads them.
void add_setting_mistakes(const WrongTap& wrong, std::vector<Mistake>& mistakes);

}  // namespace forgecheck

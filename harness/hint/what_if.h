// Guesses at a mistake: one thing changed in the problem, or in what a module before the wrong tap hands on.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/hint/wrong_tap.h"

namespace forgecheck {

/// A guess. `change` puts the mistake into the problem, or the mistaken value of a tap into the trace that
/// the oracle then runs along. A value for the wrong tap itself is what the guess predicts, and nothing is
/// run.
struct WhatIf {
  std::string text;
  std::function<void(Problem& problem, Trace& forced)> change;
};

/// The wrong tap, and the modules of its block that the trace does not show and that it depends on.
using Modules = std::vector<std::string>;

/// Appends guesses that apply to one of the modules.
void add_norm_guesses(const WrongTap& wrong, const Modules& modules, std::vector<WhatIf>& guesses);
void add_attention_guesses(const WrongTap& wrong, const Modules& modules, std::vector<WhatIf>& guesses);
void add_activation_guesses(const WrongTap& wrong, const Modules& modules, std::vector<WhatIf>& guesses);
void add_router_guesses(const WrongTap& wrong, const Modules& modules, std::vector<WhatIf>& guesses);
void add_weight_guesses(const WrongTap& wrong, const Modules& modules, std::vector<WhatIf>& guesses);
/// Settings and inputs, wherever the model reads them.
void add_setting_guesses(const WrongTap& wrong, std::vector<WhatIf>& guesses);

}  // namespace forgecheck

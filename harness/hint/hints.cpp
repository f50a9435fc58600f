#include "harness/hint/hints.h"

#include <algorithm>

#include "harness/hint/patterns.h"
#include "harness/verdict/baselines.h"
#include "harness/verdict/tap_error.h"
#include "harness/verdict/worst_rows.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

/// Another mistake is named as well if its prediction is at most this many times farther from the wrong tap
/// than the nearest one's: two that both hold differ by rounding, which is within such a factor.
constexpr double kAsWell = 1.5;
/// A reader will not follow up more.
constexpr std::size_t kMostNamed = 3;

/// Whether the wrong tap is within its tolerance of the oracle of another problem, forced to another trace.
bool is_right_in(const Problem& problem, const Trace& forced, const WrongTap& wrong) {
  Trace tap;
  tap.add(wrong.name, wrong.candidate.at(wrong.name));
  Evidence evidence;
  evidence.oracle = run_forced(problem, Dtype::f64, Arithmetic(), forced, {wrong.name});
  for (const Arithmetic& arithmetic : baselines_for(wrong.type, false)) {
    evidence.baselines.push_back(run_forced(problem, wrong.type, arithmetic, forced, {wrong.name}));
  }
  const std::vector<TapResult> taps =
      compare_trace(tap, evidence, problem.definition.architecture, wrong.type).taps;
  return !taps.empty() && is_success(taps.front().verdict);
}

/// A mistake as tried, and how far the wrong tap is from its prediction.
struct Tried {
  std::string text;
  Problem problem;
  Trace forced;
  std::optional<Array> predicted;  // where the mistake gives the value itself
  double error = 0.0;
};

class Guessing {
 public:
  Guessing(const WrongTap& wrong, std::int64_t runs, const std::vector<std::int64_t>& rows)
      : wrong_(wrong),
        runs_(runs),
        rows_(rows),
        value_(cut(wrong.candidate.at(wrong.name))),
        oracle_(cut(wrong.forced.trace.at(wrong.name))) {}

  Hint run(const std::vector<Mistake>& mistakes) {
    // 1. those that come near
    std::vector<Tried> near;
    for (const Mistake& mistake : mistakes) {
      if (std::optional<Tried> tried = attempt(mistake)) near.push_back(std::move(*tried));
    }
    std::ranges::stable_sort(near, {}, &Tried::error);
    // 2. the nearest that holds, and those that fit as well
    Hint hint;
    hint.all_tried = all_tried_;
    double best = 0;
    std::size_t named = 0;
    for (const Tried& tried : near) {
      if (named > 0 && (tried.error > kAsWell * best || named == kMostNamed)) break;
      if (!holds(tried)) continue;
      hint.text += (named == 0 ? "explained if " : ", or if ") + tried.text;
      if (named++ == 0) best = tried.error;
    }
    return hint;
  }

 private:
  /// None where its prediction is no nearer than the oracle.
  std::optional<Tried> attempt(const Mistake& mistake) {
    Tried tried{mistake.text, wrong_.problem, without(wrong_.candidate, wrong_.name), std::nullopt, 0.0};
    try {
      mistake.change(tried.problem, tried.forced);
      std::optional<Array> value;
      if (const Array* own = tried.forced.find(wrong_.name)) {
        value = tried.predicted = *own;
      } else if (runs_-- > 0) {
        value = mistaken_value(tried);
      } else {
        all_tried_ = false;
      }
      if (!value) return std::nullopt;
      value = cut(*value);
      if (!is_nearer(value_, *value, oracle_)) return std::nullopt;
      tried.error = relative_error(value_, *value);
    } catch (const Error&) {
      return std::nullopt;  // a model that the reference refuses explains nothing
    }
    return tried;
  }

  /// The wrong tap of the mistaken problem; of large taps the rows alone.
  std::optional<Array> mistaken_value(const Tried& tried) const {
    if (rows_.empty()) return oracle_value(tried.problem, tried.forced, wrong_.name);
    const Trace forced = with_value(tried.forced, wrong_.name, wrong_.candidate.at(wrong_.name));
    return oracle_value(tried.problem, forced, wrong_.name, {{wrong_.name, rows_}});
  }

  Array cut(const Array& value) const {
    const bool has_rows = !rows_.empty() && value.shape() == wrong_.candidate.at(wrong_.name).shape();
    return has_rows ? Array::from(only(rows_, value.to<double>())) : value;
  }

  bool holds(const Tried& tried) const {
    if (!tried.predicted) return is_right_in(tried.problem, tried.forced, wrong_);
    return wrong_.numbers && is_explained(wrong_, tried.predicted->to<double>());
  }

  const WrongTap& wrong_;
  std::int64_t runs_;
  const std::vector<std::int64_t>& rows_;
  Array value_, oracle_;  // of the wrong tap, in the rows
  bool all_tried_ = true;
};

std::vector<Mistake> mistakes_at_modules(const WrongTap& wrong, const Modules& modules) {
  std::vector<Mistake> mistakes;
  add_norm_mistakes(wrong, modules, mistakes);
  add_attention_mistakes(wrong, modules, mistakes);
  add_activation_mistakes(wrong, modules, mistakes);
  add_router_mistakes(wrong, modules, mistakes);
  add_weight_mistakes(wrong, modules, mistakes);
  return mistakes;
}

std::vector<Mistake> mistakes_at_settings(const WrongTap& wrong) {
  std::vector<Mistake> mistakes;
  add_setting_mistakes(wrong, mistakes);
  return mistakes;
}

/// The first of the patterns that holds.
std::string pattern_of(const WrongTap& wrong,
                       std::initializer_list<std::string (*)(const WrongTap&)> patterns) {
  if (!wrong.numbers) return "";
  for (const auto pattern : patterns) {
    if (std::string text = pattern(wrong); !text.empty()) return text;
  }
  return "";
}

}  // namespace

Hint find_hint(const WrongTap& wrong, const Modules& modules, std::int64_t runs,
               const std::vector<std::int64_t>& rows) {
  // Named rules come first; an unnamed factor tells less than a mistake that explains it.
  std::string text = pattern_of(wrong, {known_factor_hint, other_tap_hint, order_hint});
  if (!text.empty()) return {text, true};
  Guessing guessing(wrong, runs, rows);
  Hint hint = guessing.run(mistakes_at_modules(wrong, modules));
  if (hint.text.empty()) hint = guessing.run(mistakes_at_settings(wrong));
  if (hint.text.empty()) {
    hint.text = pattern_of(wrong, {any_factor_hint, row_factor_hint, precision_hint});
  }
  return hint;
}

}  // namespace forgecheck

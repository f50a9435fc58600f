#include "harness/verdict/bisect.h"

#include <algorithm>
#include <set>

#include "harness/tap/tap_kind.h"
#include "harness/verdict/judge.h"
#include "harness/verdict/tap_error.h"

namespace forgecheck {

namespace {

using Names = std::vector<std::string>;

/// Which round of questions asks for a tap first.
enum class Round { outputs, stream, suspects };

Round round_of(const TapPlace& place) {
  switch (place.kind) {
    case TapKind::logits:
    case TapKind::staged_logits:
    case TapKind::tokens:
    case TapKind::aux_loss:
    case TapKind::z_loss:
    case TapKind::cross_entropy:
    case TapKind::logit_z:
    case TapKind::total_loss:
    case TapKind::indices:
    case TapKind::expert_counts:
    case TapKind::expert_bias:
    case TapKind::expert_ema:
      return Round::outputs;
    case TapKind::embedding:
    case TapKind::adapter:
    case TapKind::block:
    case TapKind::cached_keys:
    case TapKind::cached_values:
      return Round::stream;
    case TapKind::norm:
      return place.name.block == BlockKind::none ? Round::stream : Round::suspects;
    case TapKind::unknown:
    case TapKind::head_norm:
    case TapKind::projection:
    case TapKind::context:
    case TapKind::attention:
    case TapKind::expansion:
    case TapKind::hidden:
    case TapKind::mlp:
    case TapKind::router_gate:
    case TapKind::router_weights:
    case TapKind::router_scores:
    case TapKind::moe:
    case TapKind::expert_choice:
      return Round::suspects;
  }
  return Round::suspects;
}

std::string count_of(std::size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string list(const Names& names) {
  constexpr std::size_t kShown = 6;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) text += (i == 0 ? "" : ", ") + names[i];
  return text + (names.size() > kShown ? " and " + std::to_string(names.size() - kShown) + " more" : "");
}

class Bisector {
 public:
  Bisector(const Problem& problem, Backend& backend, const std::function<void(const std::string&)>& say)
      : problem_(problem), backend_(backend), say_(say) {
    const ReferenceRun oracle = run_forced(problem, Dtype::f64, kPlain, Trace(), Forcing::nothing);
    for (const auto& [name, value] : oracle.trace.entries()) all_.push_back(name);
  }

  Bisection run() {
    const Architecture& architecture = problem_.definition.architecture;
    step("outputs, choices and state", taps_of(Round::outputs), Detail::verdicts);
    if (failed()) step("the residual stream", taps_of(Round::stream), Detail::location);
    // What may be to blame, until all of it has been asked for.
    while (failed()) {
      const FirstDivergence& first = *result_.judgement.first_divergence;
      const Names wanted = unasked(first.between);
      if (wanted.empty()) break;
      const std::string block = block_text(place_of(first.tap, architecture).name);
      step(block.empty() ? "before " + first.tap : "inside " + block, wanted, Detail::location);
    }
    if (failed()) explain();
    return std::move(result_);
  }

 private:
  Names taps_of(Round round) const {
    Names names;
    std::ranges::copy_if(all_, std::back_inserter(names), [&](const std::string& name) {
      return round_of(place_of(name, problem_.definition.architecture)) == round;
    });
    return names;
  }

  Names unasked(const Names& names) const {
    Names result;
    std::ranges::copy_if(names, std::back_inserter(result),
                         [&](const std::string& name) { return !asked_.contains(name); });
    return result;
  }

  /// Runs the backend for these taps and all before them, and judges the trace. A case without such taps
  /// needs no run.
  void step(const std::string& what, const Names& names, Detail detail) {
    if (names.empty()) return;
    const Trace before = std::move(trace_);
    const Judgement failure = result_.judgement;
    asked_.insert(names.begin(), names.end());
    trace_ = backend_.run(problem_, [this](std::string_view name) { return asked_.contains(name); });
    const auto given = static_cast<std::size_t>(
        std::ranges::count_if(names, [&](const std::string& name) { return trace_.find(name) != nullptr; }));
    result_.judgement = judged(detail);
    std::string line = what + " (" + count_of(names.size(), "tap");
    if (given < names.size()) line += "; the backend gives " + std::to_string(given);
    result_.steps.push_back({names, line + "): " + finding(before)});
    say_(result_.steps.back().line);
    // A failure remains until the same values are found to be right.
    if (is_success(result_.judgement.verdict) && !holds(before)) {
      result_.judgement = failure;
      trace_ = before;
    }
  }

  /// Whether the last trace has the values of the one before.
  bool holds(const Trace& before) const {
    return std::ranges::all_of(before.entries(), [&](const auto& entry) {
      const Array* value = trace_.find(entry.first);
      return value != nullptr && relative_error(*value, entry.second) == 0;
    });
  }

  Judgement judged(Detail detail) const {
    return judge(problem_, trace_, backend_.precision(problem_.definition), backend_.is_plain_reference(),
                 detail);
  }

  bool failed() const {
    return !is_success(result_.judgement.verdict) && result_.judgement.first_divergence.has_value();
  }

  /// `before`: the trace of the step before, which was wrong; empty at the first.
  std::string finding(const Trace& before) const {
    const Judgement& judgement = result_.judgement;
    if (is_success(judgement.verdict)) {
      if (before.empty()) return "all right";
      return holds(before) ? "all right on their own inputs: what was wrong before is rounding that grew"
                           : "all right, but the backend computes otherwise when it is asked for more";
    }
    if (!judgement.first_divergence) return judgement.message;
    const FirstDivergence& first = *judgement.first_divergence;
    return first.tap + " is wrong" +
           (first.after.empty() ? "" : ", everything up to " + first.after + " right");
  }

  /// Judges the last trace again in full detail, and says which modules the backend cannot show.
  void explain() {
    result_.judgement = judged(Detail::explanation);
    const FirstDivergence& first = *result_.judgement.first_divergence;
    if (first.between.empty()) return;
    const std::string start = first.after.empty() ? "the inputs" : first.after;
    say_("the fault lies between " + start + " and " + first.tap +
         "; the backend shows nothing between them: in " + first.tap + " itself or in " +
         list(first.between));
  }

  const Problem& problem_;
  Backend& backend_;
  const std::function<void(const std::string&)>& say_;
  Names all_;
  std::set<std::string, std::less<>> asked_;
  Trace trace_;
  Bisection result_;
};

}  // namespace

Bisection bisect(const Problem& problem, Backend& backend,
                 const std::function<void(const std::string&)>& say) {
  return Bisector(problem, backend, say).run();
}

}  // namespace forgecheck

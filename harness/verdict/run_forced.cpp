#include "harness/verdict/run_forced.h"

#include "harness/backend/reference_run.h"
#include "reference/linalg/parallel.h"

namespace forgecheck {

namespace {

/// Thrown by a tap filter at the first tap after the last wanted one.
struct Reached {};

/// Wants some taps, and ends the run behind the last of them. It may be asked of one tap several times in a row.
class UntilTheLast {
 public:
  explicit UntilTheLast(std::set<std::string> wanted) : wanted_(std::move(wanted)) {}

  bool operator()(std::string_view name) {
    if (name != asked_) {
      wanted_.erase(asked_);
      if (wanted_.empty()) throw Reached();
      asked_ = name;
    }
    return wanted_.contains(asked_);
  }

 private:
  std::set<std::string> wanted_;
  std::string asked_;
};

ReferenceRun taken(Tracer& tracer) {
  ReferenceRun result;
  result.decisions = tracer.decisions();
  result.trace = tracer.take();
  return result;
}

/// What `run` computes, forced to `forced`, of the taps `names`, and of those in `rows` at least these rows.
template <class Run>
ReferenceRun run_until_the_last(const std::set<std::string>& names, const TapRows& rows, const Trace& forced,
                                const Run& run) {
  UntilTheLast filter(names);
  Tracer tracer([&](std::string_view name) { return filter(name); });
  tracer.force(forced, Forcing::everything);
  tracer.need_only(rows);
  try {
    run(tracer);
  } catch (const Reached&) {
  }
  return taken(tracer);
}

}  // namespace

ReferenceRun run_forced(const Problem& problem, Dtype precision, const Arithmetic& arithmetic,
                        const Trace& forced, Forcing forcing) {
  Tracer tracer;
  tracer.force(forced, forcing);
  run_reference(problem, precision, arithmetic, tracer);
  return taken(tracer);
}

ReferenceRun run_forced(const Problem& problem, Dtype precision, const Arithmetic& arithmetic,
                        const Trace& forced, const std::set<std::string>& names, const TapRows& rows) {
  return run_until_the_last(names, rows, forced,
                            [&](Tracer& tracer) { run_reference(problem, precision, arithmetic, tracer); });
}

ReferenceRun sampled_forced(const Problem& problem, Dtype precision, std::uint64_t seed, const Trace& forced,
                            const std::set<std::string>& names, const TapRows& rows) {
  return run_until_the_last(names, rows, forced,
                            [&](Tracer& tracer) { run_sampled(problem, precision, seed, tracer); });
}

std::optional<Array> oracle_value(const Problem& problem, const Trace& forced, const std::string& tap,
                                  const TapRows& rows) {
  const ReferenceRun run = run_forced(problem, Dtype::f64, kPlain, forced, {tap}, rows);
  const Array* value = run.trace.find(tap);
  return value == nullptr ? std::nullopt : std::optional(*value);
}

double run_cost(const Problem& problem) {
  const auto number = [](std::int64_t size) { return static_cast<double>(size); };
  double weights = 0;
  for (const auto& [name, array] : problem.parameters) {
    if (array.shape().size() > 1) weights += number(array.size());
  }
  const Inputs& inputs = problem.inputs;
  double batch = 1, length = number(problem.definition.generate.max_new_tokens);
  for (const std::optional<Array>* part : {&inputs.tokens, &inputs.inputs_embeds, &inputs.prefix_embeds,
                                           &inputs.image_features, &inputs.vision_features}) {
    if (!*part) continue;
    const Shape& shape = (*part)->shape();
    batch = number(shape[0]);
    length += number(shape[1]) * (shape.size() > 3 ? number(shape[2]) : 1.0);
  }
  const ModelConfig& model = problem.definition.architecture.model;
  return batch * length * (weights + 2 * number(model.n_layers) * length * number(model.dim));
}

std::int64_t runs_at_once(const Problem& problem) {
  constexpr double kLong = 1e8;  // multiply-adds
  return run_cost(problem) >= kLong ? linalg::thread_count() : 1;
}

std::launch launch_policy(const Problem& problem) {
  return runs_at_once(problem) > 1 ? std::launch::async | std::launch::deferred : std::launch::deferred;
}

Trace with_value(const Trace& trace, const std::string& name, const Array& value) {
  Trace result;
  for (const auto& [tap, old] : trace.entries()) result.add(tap, tap == name ? value : old);
  if (trace.find(name) == nullptr) result.add(name, value);
  return result;
}

Trace without(const Trace& trace, const std::string& name) {
  Trace result;
  for (const auto& [tap, value] : trace.entries()) {
    if (tap != name) result.add(tap, value);
  }
  return result;
}

}  // namespace forgecheck

#include "harness/backend/reference_run.h"

#include "harness/backend/run_inputs.h"
#include "harness/backend/timed.h"
#include "harness/case/make_inputs.h"
#include "harness/case/seeded.h"
#include "reference/error.h"
#include "reference/instantiate.h"
#include "reference/linalg/matmul.h"
#include "reference/models/generate.h"
#include "reference/models/objective.h"
#include "reference/models/transformer.h"

namespace forgecheck {

namespace {

template <class T>
void generated(const Problem& problem, Weights<T>& weights, const Tensor<std::int64_t>& prompt,
               const GenerateOptions& options, const Arithmetic& arithmetic, Tracer& tracer,
               const std::string& tap) {
  generate(problem.definition.architecture, weights, prompt, options, arithmetic,
           sampling_draws(problem.definition.seed), tracer, tap);
}

template <class T>
void run_forward(const Problem& problem, Weights<T>& weights, const Inputs& inputs,
                 const ForwardOptions& options, Tracer& tracer) {
  const Case& definition = problem.definition;
  // Training changes the router's state, so the staged run comes first, on a copy.
  std::optional<Tensor<T>> staged;
  if (definition.stages > 0) {
    Weights<T> copy = weights;
    staged = forward_staged(definition.architecture, copy, inputs, options, definition.stages, tracer);
  }
  forward(definition.architecture, weights, inputs, options, tracer);
  if (staged) tracer.tap("logits.staged", *staged);
  if (definition.greedy_from > 0) {
    generated(problem, weights, greedy_prompt(inputs, definition.greedy_from), greedy_options(definition),
              options.arithmetic, tracer, "greedy_from_" + std::to_string(definition.greedy_from));
  }
}

/// forward(), then the objective.
template <class T>
void run_loss(const Problem& problem, Weights<T>& weights, const Inputs& inputs,
              const ForwardOptions& options, Tracer& tracer) {
  const Case& definition = problem.definition;
  ForwardResult<T> result = forward(definition.architecture, weights, inputs, options, tracer);
  objective(definition.architecture.model, result.logits, required(inputs.labels, "labels").to_int64(),
            result.aux_loss, result.z_loss, definition.loss, tracer);
}

template <class T>
void run_with(const Problem& problem, Weights<T>& weights, const Arithmetic& arithmetic, Tracer& tracer) {
  const Case& definition = problem.definition;
  const Inputs inputs = stored_inputs(problem);
  ForwardOptions options = forward_options(definition);
  options.arithmetic = arithmetic;

  switch (definition.run) {
    case RunKind::forward:
      return run_forward(problem, weights, inputs, options, tracer);
    case RunKind::loss:
      return run_loss(problem, weights, inputs, options, tracer);
    case RunKind::decode:
      decode(definition.architecture, weights, required(inputs.tokens, "tokens").to_int64(),
             definition.chunks, options, tracer);
      return;
    case RunKind::generate:
      generated(problem, weights, required(inputs.tokens, "tokens").to_int64(), definition.generate,
                arithmetic, tracer, "tokens");
      return;
    case RunKind::gradients:
      throw ConfigError("case.run = gradients: not supported yet");
  }
  throw_not_an_enumerator("case.run", definition.run);
}

/// Calls `function` with a number of the type in which a run computes.
template <class Function>
void in_type(Dtype precision, const Function& function) {
  switch (precision) {
    case Dtype::f64:
      return function(double());
    case Dtype::f32:
      return function(float());
    case Dtype::bf16:
      return function(Bfloat16());
    case Dtype::f16:
    case Dtype::i64:
    case Dtype::i32:
    case Dtype::u8:
    case Dtype::boolean:
      break;
  }
  throw ConfigError("precision = " + std::string(torch_name(precision)) +
                    ": must be float64, float32 or bfloat16");
}

template <class T>
void run_in(const Problem& problem, const Arithmetic& arithmetic, Tracer& tracer) {
  Weights<T> weights(problem.parameters, problem.definition.dtype);
  run_with(problem, weights, arithmetic, tracer);
}

void require_library(const Arithmetic& arithmetic, Dtype precision) {
  const std::string_view reason = linalg::unavailable_reason(arithmetic.library, precision == Dtype::f64);
  if (!reason.empty()) throw BackendError(std::string(reason));
}

}  // namespace

Problem seeded_problem(const Case& definition) {
  require_memory(definition);
  return {definition, make_inputs(definition), make_parameters(definition), true};
}

void run_reference(const Problem& problem, Dtype precision, const Arithmetic& arithmetic, Tracer& tracer) {
  require_library(arithmetic, precision);
  in_type(precision, [&]<class T>(T) { run_in<T>(problem, arithmetic, tracer); });
}

std::vector<double> time_reference(const Problem& problem, Dtype precision, const Arithmetic& arithmetic,
                                   int runs) {
  require_library(arithmetic, precision);
  std::vector<double> seconds;
  in_type(precision, [&]<class T>(T) {
    Weights<T> weights(problem.parameters, problem.definition.dtype);
    seconds = timed(runs, [&] {
      Tracer tracer = Tracer().untapped();
      run_with(problem, weights, arithmetic, tracer);
    });
  });
  return seconds;
}

std::size_t sampled_order(std::uint64_t seed) {
  return seed / 2 % kSampledOrders;
}

void run_sampled(const Problem& problem, Dtype precision, std::uint64_t seed, Tracer& tracer) {
  // Probabilities kept, rounded after and before the division.
  constexpr Arithmetic kOrders[kSampledOrders] = {Arithmetic(), kPermuted, kUndivided};
  const Arithmetic& arithmetic = kOrders[sampled_order(seed)];
  const Sampling sampling(seed);
  if (precision == Dtype::f32) return run_in<SampledFloat>(problem, arithmetic, tracer);
  if (precision == Dtype::bf16) return run_in<SampledBfloat16>(problem, arithmetic, tracer);
  throw ConfigError("precision = " + std::string(torch_name(precision)) +
                    ": sampled runs are float32 or bfloat16");
}

}  // namespace forgecheck

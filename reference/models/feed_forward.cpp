#include "reference/models/feed_forward.h"

#include "reference/error.h"
#include "reference/instantiate.h"
#include "reference/ops/activation.h"
#include "reference/ops/embedding.h"
#include "reference/ops/linear.h"
#include "reference/ops/moe.h"

namespace forgecheck {

template <class T>
Tensor<T> mlp(Run<T>& run, const std::string& name, const Tensor<T>& x, bool tapped) {
  const auto linear = [&](const std::string& module, const Tensor<T>& in, const std::string& tap) {
    return tapped ? run.tapped_linear(module, in, tap) : run.linear(module, in);
  };
  // 1. to the hidden width
  const bool gated = is_swiglu(run.model().activation);
  Tensor<T> gate;
  if (gated) gate = linear(name + ".gate_proj", x, name + ".gate_proj");
  const Tensor<T> up = linear(name + ".up_proj", x, name + ".up_proj");
  const auto activated = [&] {
    return gated ? swiglu(gate, up, run.options.arithmetic)
                 : activate(up, run.model().activation, run.options.arithmetic);
  };
  const Tensor<T> hidden =
      tapped ? run.tapped_elementwise(name + ".hidden", up.shape, activated) : activated();
  // 2. back to the model's width
  return linear(name + ".down_proj", hidden, name);
}

namespace {

/// One expert of packed (E, in, out) tensors on x (n, D).
template <class T>
Tensor<T> packed_expert(Run<T>& run, const std::string& name, std::int64_t expert, const Tensor<T>& x) {
  const Arithmetic& arithmetic = run.options.arithmetic;
  const Tensor<T> up = packed_linear(x, run.weights.view(name + ".up_w"), expert, arithmetic);
  const Tensor<T> hidden =
      is_swiglu(run.model().activation)
          ? swiglu(packed_linear(x, run.weights.view(name + ".gate_w"), expert, arithmetic), up, arithmetic)
          : activate(up, run.model().activation, arithmetic);
  return packed_linear(hidden, run.weights.view(name + ".down_w"), expert, arithmetic);
}

template <class T>
struct Routing {
  Tensor<T> weights;             // (N, k)
  Tensor<std::int64_t> indices;  // (N, k)
  std::vector<std::int64_t> counts;
  compute_t<T> aux_loss = 0;
  compute_t<T> z_loss = 0;
};

/// scores (N, E) of logits (N, E).
template <class T>
Tensor<T> scores_of(const Run<T>& run, const std::string& router, const Tensor<T>& logits) {
  switch (run.model().moe_router) {
    case RouterType::softmax_topk:
      return softmax_scores(logits);
    case RouterType::sigmoid_topk:
      return sigmoid_scores(logits, run.weights.at(router + ".expert_bias"));
  }
  throw_not_an_enumerator("model.moe_router", run.model().moe_router);
}

template <class T>
compute_t<T> aux_loss_of(const ModelConfig& model, const Tensor<T>& scores,
                         const std::vector<std::int64_t>& counts) {
  switch (model.moe_router) {
    case RouterType::softmax_topk:
      return balance_loss(scores, counts, 0.0);
    case RouterType::sigmoid_topk:
      if (model.moe_sequence_aux_loss_weight <= 0) return 0;
      return static_cast<compute_t<T>>(model.moe_sequence_aux_loss_weight) *
             balance_loss(scores, counts, 1e-8);
  }
  throw_not_an_enumerator("model.moe_router", model.moe_router);
}

/// Scores, choices, weights and losses of the tokens x (N, D).
template <class T>
Routing<T> route(Run<T>& run, const std::string& router, const Tensor<T>& x) {
  const ModelConfig& model = run.model();
  Routing<T> routing;

  // 1. scores
  Tensor<T> logits = run.linear(router + ".gate", x);
  run.tracer.tap(router + ".gate", logits);
  const Tensor<T> scores = scores_of(run, router, logits);

  // 2. the k best experts of each token, and their weights
  routing.indices = top_k(scores, model.moe_top_k);
  run.tracer.decide(router + ".indices", routing.indices, scores);
  routing.weights = routing_weights(scores, routing.indices);
  run.tracer.tap(router + ".weights", routing.weights);
  routing.counts = assignments_per_expert(routing.indices, model.num_experts);

  // 3. losses
  routing.aux_loss = aux_loss_of(model, scores, routing.counts);
  routing.z_loss = router_z_loss(logits);
  return routing;
}

template <class T>
void train_router(Run<T>& run, const std::string& router, const Routing<T>& routing, MoeStep moe_step) {
  const double rate = effective_bias_rate(run.model().moe_bias_schedule, moe_step);
  update_router_state(run.weights.mutable_at(router + ".expert_ema"),
                      run.weights.mutable_at(router + ".expert_bias"), routing.counts, rate);
}

}  // namespace

template <class T>
Tensor<T> moe(Run<T>& run, const std::string& name, const Tensor<T>& x, bool counted, MoeStep moe_step) {
  const ModelConfig& model = run.model();
  const Tensor<T> flat = x.reshaped({x.rows(), x.width()});

  // 1. route
  Routing<T> routing = route(run, name + ".router", flat);
  if (run.options.training && keeps_state(model.moe_router)) {
    train_router(run, name + ".router", routing, moe_step);
  }
  if (model.moe_capacity_factor > 0) {
    const std::int64_t capacity =
        expert_capacity(flat.rows(), model.moe_top_k, model.num_experts, model.moe_capacity_factor);
    apply_capacity(routing.weights, routing.indices, model.num_experts, capacity);
  }

  // 2. each expert on its tokens, experts in index order
  Tensor<T> out(flat.shape);
  for (std::int64_t e = 0; e < model.num_experts; ++e) {
    const std::vector<Assignment> assignments = assignments_of(routing.indices, e);
    if (assignments.empty()) continue;
    std::vector<std::int64_t> tokens;
    for (const Assignment& assignment : assignments) tokens.push_back(assignment.token);
    const Tensor<T> expert_input = gather_rows(flat, tokens);
    Tensor<T> expert_output = model.moe_packed_experts
                                  ? packed_expert(run, name, e, expert_input)
                                  : mlp(run, name + ".experts." + std::to_string(e), expert_input, false);
    if (model.moe_gradient_scale && run.options.training) {
      expert_output = scale(
          expert_output, gradient_scale(routing.indices.size(), model.num_experts, std::ssize(assignments)));
    }
    combine(out, expert_output, routing.weights, assignments);
  }

  // 3. the shared expert, on every token
  if (model.moe_shared_experts > 0) out = add(out, mlp(run, name + ".shared_expert", flat));

  out = std::move(out).reshaped(x.shape);
  run.tracer.tap(name, out);
  if (counted) {
    run.aux_loss += routing.aux_loss;
    run.z_loss += routing.z_loss;
    const std::vector<float> counts(routing.counts.begin(), routing.counts.end());
    run.tracer.tap_value(name + ".expert_counts", Array::from(Tensor<float>({model.num_experts}, counts)));
  }
  return out;
}

template <class T>
Tensor<T> feed_forward(Run<T>& run, std::int64_t layer, const std::string& name, const Tensor<T>& x) {
  return run.model().is_moe_layer(layer) ? moe(run, name, x, true, run.options.moe_step) : mlp(run, name, x);
}

FORGECHECK_INSTANTIATE(mlp);
FORGECHECK_INSTANTIATE(moe);
FORGECHECK_INSTANTIATE(feed_forward);

}  // namespace forgecheck

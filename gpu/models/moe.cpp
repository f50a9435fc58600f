#include "gpu/ops/moe.h"

#include <algorithm>

#include "gpu/models/feed_forward.h"
#include "gpu/models/instantiate.h"
#include "gpu/ops/linear.h"
#include "gpu/ops/router.h"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

template <class T>
struct Routing {
  DeviceTensor<T> weights;             // (N, k)
  DeviceTensor<std::int64_t> indices;  // (N, k)
  DeviceTensor<std::int64_t> counts;   // (E)
  DeviceTensor<float> aux_loss;        // null if this router has none
  DeviceTensor<float> z_loss;
};

/// scores (N, E) of logits (N, E).
template <class T>
DeviceTensor<T> scores_of(const Run<T>& run, const std::string& router, const DeviceTensor<T>& logits) {
  switch (run.model().moe_router) {
    case RouterType::softmax_topk:
      return softmax_scores(run.device, logits);
    case RouterType::sigmoid_topk:
      return sigmoid_scores(run.device, logits, run.weights.at(router + ".expert_bias"));
  }
  throw_not_an_enumerator("model.moe_router", run.model().moe_router);
}

/// Null if this router has none.
template <class T>
DeviceTensor<float> aux_loss_of(const Run<T>& run, const DeviceTensor<T>& scores,
                                const DeviceTensor<std::int64_t>& counts) {
  const double weight = run.model().moe_sequence_aux_loss_weight;
  switch (run.model().moe_router) {
    case RouterType::softmax_topk:
      return balance_loss(run.device, scores, counts, 0.0);
    case RouterType::sigmoid_topk:
      if (weight <= 0) return {};
      return scale(run.device, balance_loss(run.device, scores, counts, 1e-8), weight);
  }
  throw_not_an_enumerator("model.moe_router", run.model().moe_router);
}

/// Scores, choices, weights and losses of the tokens x (N, D).
template <class T>
Routing<T> route(Run<T>& run, const std::string& router, const DeviceTensor<T>& x) {
  const ModelConfig& model = run.model();
  Device& device = run.device;
  Routing<T> routing;
  // 1. scores
  const DeviceTensor<T> logits = run.tapped_linear(router + ".gate", x);
  const DeviceTensor<T> scores = scores_of(run, router, logits);
  // 2. the k best experts of each token, and their weights
  routing.indices = top_k(device, scores, model.moe_top_k);
  run.recorder.tap(router + ".indices", routing.indices);
  routing.weights = routing_weights(device, scores, routing.indices);
  run.recorder.tap(router + ".weights", routing.weights);
  routing.counts = assignments_per_expert(device, routing.indices, model.num_experts);
  // 3. losses
  routing.aux_loss = aux_loss_of(run, scores, routing.counts);
  routing.z_loss = router_z_loss(device, logits);
  return routing;
}

/// One step of the sigmoid router's training, in place.
template <class T>
void train_router(Run<T>& run, const std::string& router, const Routing<T>& routing, bool counted) {
  const MoeStep at = counted ? run.options.moe_step : MoeStep{};
  const double rate = effective_bias_rate(run.model().moe_bias_schedule, at);
  update_router_state(run.device, run.weights.at(router + ".expert_ema"),
                      run.weights.at(router + ".expert_bias"), routing.counts, rate);
}

/// Factors on the experts' outputs under moe_gradient_scale: (N k / E) / max(count_e, 1).
std::vector<double> gradient_scales(const std::vector<std::int64_t>& offsets) {
  const std::int64_t num_experts = std::ssize(offsets) - 1;
  const double even = static_cast<double>(offsets.back()) / static_cast<double>(num_experts);
  std::vector<double> scales;
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
    scales.push_back(even / static_cast<double>(std::max<std::int64_t>(offsets[e + 1] - offsets[e], 1)));
  }
  return scales;
}

template <class T>
void count(Run<T>& run, const std::string& name, const Routing<T>& routing,
           const std::vector<std::int64_t>& offsets) {
  if (routing.aux_loss) run.aux_loss = add(run.device, run.aux_loss, routing.aux_loss);
  run.z_loss = add(run.device, run.z_loss, routing.z_loss);
  Tensor<float> counts({std::ssize(offsets) - 1});
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
    counts.data[e] = static_cast<float>(offsets[e + 1] - offsets[e]);
  }
  run.recorder.tap_value(name + ".expert_counts", Array::from(counts));
}

}  // namespace

template <class T>
DeviceTensor<T> moe(Run<T>& run, const std::string& name, const DeviceTensor<T>& x, bool counted) {
  const ModelConfig& model = run.model();
  Device& device = run.device;
  const DeviceTensor<T> tokens = x.reshaped({x.rows(), x.width()});

  // 1. route
  Routing<T> routing = route(run, name + ".router", tokens);
  if (run.options.training && keeps_state(model.moe_router)) {
    train_router(run, name + ".router", routing, counted);
  }
  if (model.moe_capacity_factor > 0) {
    const std::int64_t capacity =
        expert_capacity(tokens.rows(), model.moe_top_k, model.num_experts, model.moe_capacity_factor);
    routing.weights = apply_capacity(device, routing.weights, routing.indices, model.num_experts, capacity);
  }

  // 2. gather the tokens of each expert, apply it, and scatter the results back
  const Dispatch plan = dispatch(device, routing.indices, model.num_experts);
  const DeviceTensor<T> expert_input = gather_tokens(device, tokens, plan, model.moe_top_k);
  const DeviceTensor<T> expert_output =
      experts(run, name, expert_input, plan.host_offsets, model.moe_packed_experts);
  const std::vector<double> scales = model.moe_gradient_scale && run.options.training
                                         ? gradient_scales(plan.host_offsets)
                                         : std::vector<double>();
  DeviceTensor<T> out = combine(device, expert_output, routing.weights, plan, scales);

  // 3. the shared expert, on every token
  if (model.moe_shared_experts > 0) out = add(device, out, mlp(run, name + ".shared_expert", tokens));

  out = out.reshaped(x.shape);
  run.recorder.tap(name, out);
  if (counted) count(run, name, routing, plan.host_offsets);
  return out;
}

FORGECHECK_INSTANTIATE_GPU(moe);

}  // namespace forgecheck::gpu

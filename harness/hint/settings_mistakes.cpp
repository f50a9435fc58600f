// Mistakes in the configuration and the inputs: a setting at another value, an input that is not read.
#include <algorithm>

#include "harness/case/config_value.h"
#include "harness/hint/mistake.h"

namespace forgecheck {

namespace {

using Mistakes = std::vector<Mistake>;

template <class Change>
void add(Mistakes& mistakes, std::string text, const Change& change) {
  mistakes.push_back({std::move(text), [change](Problem& problem, Trace&) { change(problem); }});
}

/// A field of [model] at each of the values that it does not have.
template <class T>
void add_field(const WrongTap& wrong, const std::string& name, T ModelConfig::*field,
               const std::vector<T>& values, Mistakes& mistakes) {
  const T configured = wrong.problem.definition.architecture.model.*field;
  for (const T& value : values) {
    if (value == configured) continue;
    add(mistakes, name + " is " + format_value(value) + " instead of " + format_value(configured),
        [field, value](Problem& problem) { problem.definition.architecture.model.*field = value; });
  }
}

void add_numbers(const WrongTap& wrong, Mistakes& mistakes) {
  const auto doubles = [&](const std::string& name, double ModelConfig::*field,
                           const std::vector<double>& values) {
    add_field(wrong, name, field, values, mistakes);
  };
  doubles("norm_eps", &ModelConfig::norm_eps, {1e-6, 1e-5, 1e-8, 0.0});
  doubles("rope_theta", &ModelConfig::rope_theta, {10000.0, 500000.0, 1000000.0});
  const ModelConfig& model = wrong.problem.definition.architecture.model;
  if (model.qk_norm) doubles("qk_norm_eps", &ModelConfig::qk_norm_eps, {1e-6, 0.0});
  if (model.num_experts == 0) return;
  doubles("moe_capacity_factor", &ModelConfig::moe_capacity_factor, {0.0});
  doubles("moe_aux_loss_weight", &ModelConfig::moe_aux_loss_weight, {0.0, 1.0});
  doubles("moe_router_z_loss_weight", &ModelConfig::moe_router_z_loss_weight, {0.0, 1.0});
  doubles("moe_sequence_aux_loss_weight", &ModelConfig::moe_sequence_aux_loss_weight, {0.0, 1.0});
  add_field(wrong, "moe_gradient_scale", &ModelConfig::moe_gradient_scale, {false, true}, mistakes);
  add_field<std::int64_t>(wrong, "moe_shared_experts", &ModelConfig::moe_shared_experts, {0}, mistakes);
}

void add_choices(const WrongTap& wrong, Mistakes& mistakes) {
  const Case& definition = wrong.problem.definition;
  const ModelConfig& model = definition.architecture.model;
  if (model.qk_norm) {
    add(mistakes, "qk_norm is left out",
        [](Problem& problem) { problem.definition.architecture.model.qk_norm = false; });
  }
  if (!model.tie_embeddings) {
    add(mistakes, "the output head is tied to the embedding",
        [](Problem& problem) { problem.definition.architecture.model.tie_embeddings = true; });
  }
  for (const Activation other : {Activation::gelu, Activation::relu}) {
    if (model.activation == Activation::silu || model.activation == other) continue;
    add(mistakes, "activation is " + to_string(other) + " instead of " + to_string(model.activation),
        [other](Problem& problem) { problem.definition.architecture.model.activation = other; });
  }
  if (model.num_experts > 0 && model.moe_router == RouterType::sigmoid_topk) {
    add(mistakes, "the router is softmax_topk instead of sigmoid_topk", [](Problem& problem) {
      problem.definition.architecture.model.moe_router = RouterType::softmax_topk;
    });
    if (definition.train && model.moe_bias_schedule != BiasSchedule::constant) {
      add(mistakes, "moe_bias_schedule is constant instead of " + to_string(model.moe_bias_schedule),
          [](Problem& problem) {
            problem.definition.architecture.model.moe_bias_schedule = BiasSchedule::constant;
          });
    }
  }
  if (definition.architecture.is(VlmArch::moma) && definition.train) {
    add(mistakes, "the gumbel noise is left out",
        [](Problem& problem) { problem.definition.architecture.vlm->moma_gumbel_noise = false; });
  }
  if (definition.architecture.is(VlmArch::mot) && model.num_experts > 0) {
    add(mistakes,
        std::string("the routers' losses are ") + (definition.mot_moe_totals ? "not " : "") +
            "summed at model level",
        [](Problem& problem) { problem.definition.mot_moe_totals = !problem.definition.mot_moe_totals; });
  }
  add(mistakes,
      definition.train ? "the model evaluates instead of training" : "the model trains instead of evaluating",
      [](Problem& problem) { problem.definition.train = !problem.definition.train; });
}

void add_inputs(const WrongTap& wrong, Mistakes& mistakes) {
  const Inputs& inputs = wrong.problem.inputs;
  if (inputs.doc_ids)
    add(mistakes, "doc_ids are left out", [](Problem& problem) { problem.inputs.doc_ids.reset(); });
  if (inputs.key_padding_mask) {
    add(mistakes, "key_padding_mask is left out",
        [](Problem& problem) { problem.inputs.key_padding_mask.reset(); });
  }
  if (inputs.image_mask)
    add(mistakes, "image_mask is left out", [](Problem& problem) { problem.inputs.image_mask.reset(); });
  if (inputs.frame_mask)
    add(mistakes, "frame_mask is left out", [](Problem& problem) { problem.inputs.frame_mask.reset(); });
}

void add_loss(const WrongTap& wrong, Mistakes& mistakes) {
  const Case& definition = wrong.problem.definition;
  if (definition.run != RunKind::loss) return;
  if (definition.loss.z_loss_weight > 0) {
    add(mistakes, "the z-loss of the logits is left out",
        [](Problem& problem) { problem.definition.loss.z_loss_weight = 0; });
  }
  add(mistakes, "the labels are shifted by one position once more", [](Problem& problem) {
    Tensor<std::int64_t> labels = problem.inputs.labels->to_int64();
    for (std::int64_t r = 0; r < labels.rows(); ++r) {
      const auto row = labels.row(r);
      std::shift_left(row.begin(), row.end(), 1);
      row.back() = -100;
    }
    problem.inputs.labels = Array::from(labels);
  });
}

}  // namespace

void add_setting_mistakes(const WrongTap& wrong, std::vector<Mistake>& mistakes) {
  add_numbers(wrong, mistakes);
  add_choices(wrong, mistakes);
  add_inputs(wrong, mistakes);
  add_loss(wrong, mistakes);
}

}  // namespace forgecheck

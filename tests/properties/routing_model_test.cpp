// Properties of whole models that route.
#include <algorithm>
#include <cmath>

#include "tests/properties/cases.h"

namespace forgecheck {
namespace {

bool routes(Case& c) {
  c.architecture.model.moe_frequency = 1;
  return plain_forward(c) && is_moe(c) && !c.architecture.vlm;
}

TEST(RoutingProperties, PackedEqualsUnpacked) {
  expect_property({[](Case& c) {
                     c.architecture.model.moe_packed_experts = false;
                     return routes(c);
                   },
                   [](Backend& backend, const Problem& problem) {
                     Problem packed = problem;
                     ModelConfig& model = packed.definition.architecture.model;
                     model.moe_packed_experts = true;
                     packed.seeded = false;
                     for (std::int64_t layer = 0; layer < model.n_layers; ++layer) {
                       const std::string mlp = "layers." + std::to_string(layer) + ".mlp.";
                       for (const std::string part : {"up", "gate", "down"}) {
                         std::vector<double> values;
                         Shape shape;
                         for (std::int64_t e = 0; e < model.num_experts; ++e) {
                           const auto found = packed.parameters.find(mlp + "experts." + std::to_string(e) +
                                                                     "." + part + "_proj.weight");
                           if (found == packed.parameters.end()) continue;
                           const Tensor<double> matrix = found->second.to<double>();
                           shape = {model.num_experts, matrix.dim(1), matrix.dim(0)};
                           for (std::int64_t j = 0; j < matrix.dim(1); ++j) {
                             for (std::int64_t i = 0; i < matrix.dim(0); ++i)
                               values.push_back(matrix[i * matrix.dim(1) + j]);
                           }
                           packed.parameters.erase(found);
                         }
                         if (shape.empty()) continue;
                         packed.parameters[mlp + part + "_w"] =
                             Array::from(Tensor<double>(shape, values)).cast(Dtype::f32);
                       }
                     }
                     return unless_equal(tap_of(backend, problem), tap_of(backend, packed));
                   }});
}

TEST(RoutingProperties, EqualExpertsAreOneMlp) {
  expect_property({[](Case& c) {
                     c.architecture.model.moe_packed_experts = false;
                     c.architecture.model.moe_capacity_factor = 0;
                     c.architecture.model.moe_gradient_scale = false;
                     return routes(c);
                   },
                   [](Backend& backend, const Problem& problem) {
                     // Whatever the router says: weights that sum to 1 over equal experts.
                     Problem equal = problem, other = problem;
                     equal.seeded = other.seeded = false;
                     for (auto& [name, weights] : equal.parameters) {
                       const std::size_t at = name.find(".experts.");
                       if (at == std::string::npos) continue;
                       const std::size_t end = name.find('.', at + 9);
                       weights = problem.parameters.at(name.substr(0, at + 9) + "0" + name.substr(end));
                     }
                     other.parameters = equal.parameters;
                     for (auto& [name, weights] : other.parameters) {
                       if (!name.ends_with("router.gate.weight")) continue;
                       Tensor<double> gate = weights.to<double>();
                       for (double& x : gate.data) x *= -0.5;
                       weights = Array::from(gate).cast(Dtype::f32);
                     }
                     return unless_equal(tap_of(backend, equal), tap_of(backend, other));
                   }});
}

/// act(x gate^T) * (x up^T), times down^T, of rows of x, with SiLU.
Tensor<double> expert_of(const Problem& problem, const std::string& expert, const Tensor<double>& x) {
  const auto times = [&](const Tensor<double>& rows, const char* name) {
    const Tensor<double> weight = problem.parameters.at(expert + name + "_proj.weight").to<double>();
    Tensor<double> out({rows.rows(), weight.dim(0)});
    for (std::int64_t i = 0; i < out.size(); ++i) {
      for (std::int64_t j = 0; j < rows.width(); ++j) {
        out[i] += rows[i / out.width() * rows.width() + j] * weight[i % out.width() * rows.width() + j];
      }
    }
    return out;
  };
  Tensor<double> hidden = times(x, "gate");
  const Tensor<double> up = times(x, "up");
  for (std::int64_t i = 0; i < hidden.size(); ++i) hidden[i] *= up[i] / (1 + std::exp(-hidden[i]));
  return times(hidden, "down");
}

TEST(RoutingProperties, WithEveryExpertChosenTheLayerIsTheFullMixture) {
  expect_property({[](Case& c) {
                     ModelConfig& model = c.architecture.model;
                     model.moe_top_k = model.num_experts;
                     model.moe_packed_experts = model.moe_gradient_scale = false;
                     model.moe_shared_experts = 0;
                     model.moe_capacity_factor = 0;
                     model.activation = Activation::silu;
                     model.moe_router = RouterType::softmax_topk;
                     return routes(c);
                   },
                   [](Backend& backend, const Problem& problem) {
                     const Trace trace = backend.run(problem, {});
                     Tensor<double> x = trace.at("layers.0.mlp_norm").to<double>();
                     const Tensor<double> gate = trace.at("layers.0.mlp.router.gate").to<double>();
                     Tensor<double> expected(x.shape), totals({gate.rows()});
                     for (std::int64_t i = 0; i < gate.size(); ++i)
                       totals[i / gate.width()] += std::exp(gate[i]);
                     for (std::int64_t e = 0; e < gate.width(); ++e) {
                       const Tensor<double> out =
                           expert_of(problem, "layers.0.mlp.experts." + std::to_string(e) + ".", x);
                       for (std::int64_t i = 0; i < out.size(); ++i) {
                         const std::int64_t row = i / out.width();
                         expected[i] += out[i] * std::exp(gate[row * gate.width() + e]) / totals[row];
                       }
                     }
                     return unless_equal(trace.at("layers.0.mlp").to<double>(), expected);
                   }});
}

TEST(RoutingProperties, AnExpertThatNobodyChoosesDoesNotMatter) {
  expect_property({[](Case& c) {
                     c.architecture.model.moe_packed_experts = false;
                     c.architecture.model.moe_router = RouterType::softmax_topk;
                     c.architecture.model.n_layers = 1;
                     return routes(c) && c.architecture.model.moe_top_k < c.architecture.model.num_experts;
                   },
                   [](Backend& backend, const Problem& problem) -> std::string {
                     const Trace trace = backend.run(problem, {});
                     const Tensor<std::int64_t> chosen = trace.at("layers.0.mlp.router.indices").to_int64();
                     for (std::int64_t e = 0; e < problem.definition.architecture.model.num_experts; ++e) {
                       if (std::ranges::find(chosen.data, e) != chosen.data.end()) continue;
                       Problem changed = problem;
                       changed.seeded = false;
                       Array& up = changed.parameters.at("layers.0.mlp.experts." + std::to_string(e) +
                                                         ".up_proj.weight");
                       up = Array::from(Tensor<float>(up.shape()));
                       return unless_equal(trace.at("logits").to<double>(), tap_of(backend, changed), 0);
                     }
                     return "";
                   }});
}

TEST(RoutingProperties, EvalChangesNoState) {
  expect_property({[](Case& c) {
                     c.train = false;
                     c.moe_step.reset();
                     c.architecture.model.moe_router = RouterType::sigmoid_topk;
                     return routes(c);
                   },
                   [](Backend& backend, const Problem& problem) -> std::string {
                     const Trace trace = backend.run(problem, {});
                     for (const auto& [name, value] : trace.entries()) {
                       if (!name.ends_with("expert_bias") && !name.ends_with("expert_ema")) continue;
                       if (value.to<double>().data != problem.parameters.at(name).to<double>().data)
                         return name + " changed";
                     }
                     return "";
                   }});
}

TEST(RoutingProperties, AMomaTokenThatNoExpertTakesPassesThroughTheResidualOnly) {
  expect_property({[](Case& c) {
                     c.architecture.model.n_layers = 1;
                     return plain_forward(c) && c.architecture.is(VlmArch::moma);
                   },
                   [](Backend& backend, const Problem& problem) -> std::string {
                     const Trace trace = backend.run(problem, {});
                     const Tensor<double> mlp = trace.at("layers.0.mlp").to<double>();
                     std::vector<bool> taken(static_cast<std::size_t>(mlp.rows()), false);
                     const Tensor<std::int64_t> ids = problem.inputs.modality_ids->to_int64();
                     const auto& modalities = problem.definition.architecture.vlm->moma_modalities;
                     for (std::size_t m = 0; m < modalities.size(); ++m) {
                       const Array* chosen =
                           trace.find("layers.0.mlp.experts." + modalities[m] + ".router.indices");
                       if (chosen == nullptr) continue;
                       std::vector<std::int64_t> rows;  // of the modality, in order
                       for (std::int64_t i = 0; i < ids.size(); ++i) {
                         const bool padded = problem.inputs.key_padding_mask &&
                                             problem.inputs.key_padding_mask->int_at(i) == 0;
                         if (ids[i] == static_cast<std::int64_t>(m) && !padded) rows.push_back(i);
                       }
                       const Tensor<std::int64_t> tokens = chosen->to_int64();
                       for (const std::int64_t token : tokens.data) {
                         taken[static_cast<std::size_t>(rows.at(static_cast<std::size_t>(token)))] = true;
                       }
                     }
                     for (std::int64_t row = 0; row < mlp.rows(); ++row) {
                       const bool zero = std::ranges::all_of(mlp.row(row), [](double x) { return x == 0; });
                       if (!taken[static_cast<std::size_t>(row)] && !zero)
                         return "row " + std::to_string(row) + " is not zero";
                     }
                     return "";
                   }});
}

}  // namespace
}  // namespace forgecheck

// What must hold of the logits and the loss of a whole model.
#include <cmath>

#include "tests/properties/cases.h"

namespace forgecheck {
namespace {

bool text_forward(Case& c) {
  c.inputs.embeds = false;
  return plain_forward(c) && !c.architecture.vlm;
}

/// Sets every element of the parameters whose name contains `part`; how many there are.
int fill_parameters(Problem& problem, const std::string& part, double value) {
  int filled = 0;
  problem.seeded = false;
  for (auto& [name, weights] : problem.parameters) {
    if (name.find(part) == std::string::npos) continue;
    Tensor<double> values(weights.shape());
    std::ranges::fill(values.data, value);
    weights = Array::from(values).cast(weights.dtype());
    ++filled;
  }
  return filled;
}

Problem with_scaled_parameter(const Problem& problem, const std::string& name, double factor) {
  Problem scaled = problem;
  scaled.seeded = false;
  Array& parameter = scaled.parameters.at(name);
  Tensor<double> weights = parameter.to<double>();
  for (double& weight : weights.data) weight *= factor;
  parameter = Array::from(weights).cast(parameter.dtype());
  return scaled;
}

TEST(WholeModelProperties, TheSameRunAgainHasTheSameBits) {
  expect_property({plain_forward, [](Backend& backend, const Problem& problem) {
                     return unless_equal(tap_of(backend, problem), tap_of(backend, problem), 0);
                   }});
}

TEST(WholeModelProperties, TiedEqualsUntiedWithEqualWeights) {
  expect_property({[](Case& c) {
                     c.architecture.model.tie_embeddings = false;
                     return text_forward(c);
                   },
                   [](Backend& backend, const Problem& problem) {
                     Problem untied = problem, tied = problem;
                     untied.seeded = tied.seeded = false;
                     untied.parameters["output_head.proj.weight"] =
                         problem.parameters.at("token_embedding.embedding.weight");
                     tied.definition.architecture.model.tie_embeddings = true;
                     tied.parameters.erase("output_head.proj.weight");
                     return unless_equal(tap_of(backend, untied), tap_of(backend, tied), 0);
                   }});
}

TEST(WholeModelProperties, StagesComposedAreTheWhole) {
  expect_property({[](Case& c) {
                     if (!text_forward(c) || c.architecture.model.n_layers < 2) return false;
                     c.stages = 2;
                     return true;
                   },
                   [](Backend& backend, const Problem& problem) {
                     return unless_equal(tap_of(backend, problem), tap_of(backend, problem, "logits.staged"),
                                         0);
                   }});
}

TEST(WholeModelProperties, FreshCrossAttentionBlocksAreTheIdentity) {
  expect_property({[](Case& c) { return plain_forward(c) && c.architecture.is(VlmArch::cross_attention); },
                   [](Backend& backend, const Problem& problem) -> std::string {
                     Problem fresh = problem;
                     if (fill_parameters(fresh, "cross_attention_layers", 0) == 0) return "has no such block";
                     Problem others = fresh;
                     if (others.inputs.image_features) {
                       Tensor<float> features = others.inputs.image_features->to<float>();
                       for (float& x : features.data) x += 1.0F;
                       others.inputs.image_features = Array::from(features);
                     }
                     return unless_equal(tap_of(backend, fresh), tap_of(backend, others), 0);
                   }});
}

TEST(WholeModelProperties, FreshMotBlocksAreTheIdentity) {
  expect_property({[](Case& c) {
                     c.architecture.model.num_experts = 0;
                     c.mot_moe_totals = false;
                     c.moe_step.reset();
                     return plain_forward(c) && c.architecture.is(VlmArch::mot);
                   },
                   [](Backend& backend, const Problem& problem) {
                     Problem fresh = problem;
                     fill_parameters(fresh, "o_proj", 0);
                     fill_parameters(fresh, "down_proj", 0);
                     Problem other = fresh;
                     fill_parameters(other, "q_proj", 0.1);
                     fill_parameters(other, "up_proj", 0.1);
                     return unless_equal(tap_of(backend, fresh), tap_of(backend, other), 0);
                   }});
}

TEST(WholeModelProperties, AnOutputSliceIsTheSlice) {
  expect_property({[](Case& c) {
                     if (!text_forward(c) || c.inputs.text_len < 3) return false;
                     c.output_slice = OutputSlice{1, -1};
                     return true;
                   },
                   [](Backend& backend, const Problem& problem) {
                     Problem whole = problem;
                     whole.definition.output_slice.reset();
                     whole.inputs.output_slice.reset();
                     const Tensor<double> all = tap_of(backend, whole);
                     return unless_equal(positions_of(all, 1, all.dim(1) - 1), tap_of(backend, problem),
                                         1e-5);
                   }});
}

TEST(WholeModelProperties, TheLossOfEqualLogitsIsTheLogarithmOfTheVocabulary) {
  expect_property({[](Case& c) {
                     c.architecture.model.tie_embeddings = false;
                     if (!text_forward(c)) return false;
                     c.run = RunKind::loss;
                     return true;
                   },
                   [](Backend& backend, const Problem& problem) -> std::string {
                     Problem flat = problem;
                     fill_parameters(flat, "output_head", 0);
                     const double loss = tap_of(backend, flat, "loss.cross_entropy")[0];
                     const double expected =
                         std::log(static_cast<double>(problem.definition.architecture.model.vocab_size));
                     return std::abs(loss - expected) < 1e-5 ? "" : "is " + std::to_string(loss);
                   }});
}

/// The problem with each row twice.
Problem doubled(const Problem& problem) {
  Problem twice = problem;
  Inputs::visit(twice.inputs, [](const char*, std::optional<Array>& input) {
    if (!input) return;
    const std::size_t size = input->bytes().size();
    const std::shared_ptr<std::byte[]> data(new std::byte[2 * size]);
    std::ranges::copy(input->bytes(), data.get());
    std::ranges::copy(input->bytes(), data.get() + size);
    Shape shape = input->shape();
    shape[0] *= 2;
    input = Array(input->dtype(), shape, std::shared_ptr<const std::byte>(data, data.get()));
  });
  return twice;
}

TEST(WholeModelProperties, DoublingTheBatchDoublesNothing) {
  expect_property({[](Case& c) {
                     if (!tokens_are_independent(c) || !text_forward(c)) return false;
                     c.run = RunKind::loss;
                     return true;
                   },
                   [](Backend& backend, const Problem& problem) -> std::string {
                     const Problem twice = doubled(problem);
                     const Tensor<double> once = tap_of(backend, problem), both = tap_of(backend, twice);
                     Tensor<double> first({once.dim(0), once.dim(1), once.dim(2)});
                     std::copy_n(both.data.begin(), once.size(), first.data.begin());
                     if (const std::string wrong = unless_equal(once, first); !wrong.empty()) return wrong;
                     return unless_equal(tap_of(backend, problem, "loss.cross_entropy"),
                                         tap_of(backend, twice, "loss.cross_entropy"));
                   }});
}

TEST(WholeModelProperties, AFactorOfTheHeadIsOneOfTheLogits) {
  expect_property({[](Case& c) {
                     c.architecture.model.tie_embeddings = false;
                     return text_forward(c);
                   },
                   [](Backend& backend, const Problem& problem) {
                     const Problem scaled = with_scaled_parameter(problem, "output_head.proj.weight", 4);
                     Tensor<double> expected = tap_of(backend, problem);
                     for (double& logit : expected.data) logit *= 4;
                     return unless_equal(expected, tap_of(backend, scaled), 0);
                   }});
}

TEST(WholeModelProperties, AFactorOfTheEmbeddingIsHiddenByTheNorm) {
  expect_property({[](Case& c) {
                     c.architecture.model.tie_embeddings = false;
                     c.architecture.model.norm_eps = 1e-12;
                     return text_forward(c);
                   },
                   [](Backend& backend, const Problem& problem) {
                     const Problem scaled =
                         with_scaled_parameter(problem, "token_embedding.embedding.weight", 2);
                     const std::string tap = "layers.0.attention_norm";
                     return unless_equal(tap_of(backend, problem, tap), tap_of(backend, scaled, tap), 1e-5);
                   }});
}

TEST(WholeModelProperties, Float32AndBfloat16AreOneComputation) {
  expect_property({[](Case& c) {
                     c.architecture.model.num_experts = 0;
                     return text_forward(c) && c.architecture.model.norm_eps > 1e-8;
                   },
                   [](Backend& backend, const Problem& problem) {
                     Case definition = problem.definition;
                     definition.dtype = Dtype::bf16;
                     return unless_equal(tap_of(backend, problem),
                                         tap_of(backend, seeded_problem(definition)), 0.5);
                   }});
}

TEST(WholeModelProperties, TheLayersAddUp) {
  expect_property({[](Case& c) { return text_forward(c); },
                   [](Backend& backend, const Problem& problem) {
                     Problem nothing = problem;
                     fill_parameters(nothing, "o_proj", 0);
                     fill_parameters(nothing, "down_", 0);
                     Problem one = nothing;
                     one.definition.architecture.model.n_layers = 1;
                     std::erase_if(one.parameters, [](const auto& entry) {
                       return entry.first.starts_with("layers.") && !entry.first.starts_with("layers.0.");
                     });
                     return unless_equal(tap_of(backend, nothing), tap_of(backend, one), 0);
                   }});
}

}  // namespace
}  // namespace forgecheck

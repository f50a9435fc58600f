// Every value of every enumeration of a configuration: its text forms, the formulas of what it computes, the
// random cases, and both backends on a small case that has it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "harness/backend/backend.h"
#include "harness/backend/gpu_backend.h"
#include "harness/backend/run_inputs.h"
#include "harness/fuzz/random_case.h"
#include "harness/verdict/judge.h"
#include "harness/verdict/operations.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

const std::string kSizes = "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24";
const std::string kDenseOfEnumWalk = "dense[" + kSizes + "]/batch=2,text_len=5/seed=1";
const std::string kMoe =
    "moe[" + kSizes + ",num_experts=4,moe_router=sigmoid_topk]/batch=2,text_len=5/seed=2/train";
const std::string kAdapter = "joint_decoder[" + kSizes +
                             ",max_text_len=16,adapter.type=mlp_2layer,adapter.pool_heads=2,feature_dim=6]/"
                             "text_len=4,patches=4/seed=3";

/// A small case with one value of an enumeration, and whether another case has that value.
struct Setting {
  std::string name;
  Case definition;
  std::function<bool(const Case&)> in;
};

/// Where a case keeps a value; null where it has none.
template <class Enum>
using Place = std::function<const Enum*(const Case&)>;

/// `text_of` makes the case with one value.
template <class Enum, std::size_t n>
void add(std::vector<Setting>& settings, const std::string& field, const Named<Enum> (&table)[n],
         const Place<Enum>& place, const std::function<std::string(const Named<Enum>&)>& text_of) {
  for (const Named<Enum>& row : table) {
    settings.push_back({field + "_" + std::string(row.name), parse_case_text(text_of(row)),
                        [place, value = row.value](const Case& other) {
                          const Enum* found = place(other);
                          return found != nullptr && *found == value;
                        }});
  }
}

/// `text` with ",field=value" at the end of its first segment.
template <class Enum>
std::function<std::string(const Named<Enum>&)> with(const std::string& text, const std::string& field) {
  return [=](const Named<Enum>& row) {
    return std::string(text).insert(text.find(']'), "," + field + "=" + std::string(row.name));
  };
}

std::string text_of_run(const Named<RunKind>& row) {
  switch (row.value) {
    case RunKind::forward:
      return kDenseOfEnumWalk;
    case RunKind::decode:
      return kDenseOfEnumWalk + "/decode=3+1+1";
    case RunKind::loss:
      return kDenseOfEnumWalk + "/loss=cross_entropy";
    case RunKind::gradients:
      return kDenseOfEnumWalk + "/gradients=cross_entropy";
    case RunKind::generate:
      return kDenseOfEnumWalk + "/generate=3";
  }
  throw_not_an_enumerator("case.run", row.value);
}

std::string text_of_arch(const Named<VlmArch>& row) {
  const std::string head = std::string(row.name) + "[" + kSizes + ",max_text_len=16";
  const std::string tail = "]/text_len=4,image_tokens=3/seed=4";
  switch (row.value) {
    case VlmArch::joint_decoder:
    case VlmArch::moma:
      return head + tail;
    case VlmArch::cross_attention:
      return head + ",cross_attention_every_n_layers=1" + tail;
    case VlmArch::mot:
      return head + ",num_image_tokens=3" + tail;
  }
  throw_not_an_enumerator("vlm.arch", row.value);
}

std::vector<Setting> model_settings() {
  std::vector<Setting> settings;
  const auto model = [](auto member) {
    return [member](const Case& value) { return &(value.architecture.model.*member); };
  };
  const auto adapter = [](auto member) {
    return [member](const Case& value) {
      return value.architecture.adapter ? &((*value.architecture.adapter).*member) : nullptr;
    };
  };
  add<NormType>(settings, "norm_type", kNormTypes, model(&ModelConfig::norm_type),
                with<NormType>(kDenseOfEnumWalk, "norm_type"));
  add<Activation>(settings, "activation", kActivations, model(&ModelConfig::activation),
                  with<Activation>(kDenseOfEnumWalk, "activation"));
  add<RouterType>(settings, "moe_router", kRouterTypes, model(&ModelConfig::moe_router),
                  [](const Named<RouterType>& row) {
                    return "moe[" + kSizes + ",num_experts=4,moe_router=" + std::string(row.name) +
                           "]/batch=2,text_len=5/seed=2/train";
                  });
  add<BiasSchedule>(settings, "moe_bias_schedule", kBiasSchedules, model(&ModelConfig::moe_bias_schedule),
                    with<BiasSchedule>(kMoe, "moe_bias_schedule"));
  add<VlmArch>(
      settings, "arch", kVlmArchs,
      [](const Case& value) { return value.architecture.vlm ? &value.architecture.vlm->arch : nullptr; },
      text_of_arch);
  add<AdapterType>(settings, "adapter_type", kAdapterTypes, adapter(&AdapterConfig::type),
                   [](const Named<AdapterType>& row) {
                     return "joint_decoder[" + kSizes +
                            ",max_text_len=16,adapter.type=" + std::string(row.name) +
                            ",adapter.pool_heads=2,feature_dim=6]/text_len=4,patches=4/seed=3";
                   });
  add<Activation>(settings, "adapter_activation", kActivations, adapter(&AdapterConfig::activation),
                  with<Activation>(kAdapter, "adapter.activation"));
  return settings;
}

std::vector<Setting> all_settings() {
  std::vector<Setting> settings = model_settings();
  add<RunKind>(
      settings, "run", kRunKinds, [](const Case& value) { return &value.run; }, text_of_run);
  add<LossKind>(
      settings, "loss", kLossKinds,
      [](const Case& value) { return value.run == RunKind::loss ? &value.loss.kind : nullptr; },
      [](const Named<LossKind>& row) { return kDenseOfEnumWalk + "/loss=" + std::string(row.name); });
  return settings;
}

class EveryValue : public testing::TestWithParam<Setting> {};

TEST_P(EveryValue, HasATextFormThatIsReadBack) {
  const Setting& setting = GetParam();
  EXPECT_TRUE(setting.in(setting.definition));
  const Case from_text = parse_case_text(case_text(setting.definition));
  EXPECT_TRUE(setting.in(from_text));
  EXPECT_EQ(case_text(from_text), case_text(setting.definition));
  const Case from_json = parse_case_json(case_json(setting.definition));
  EXPECT_TRUE(setting.in(from_json));
  EXPECT_EQ(case_json(from_json), case_json(setting.definition));
}

TEST_P(EveryValue, HasAFormulaForEachTap) {
  const Case& definition = GetParam().definition;
  if (!unsupported_run(definition.run).empty()) GTEST_SKIP() << unsupported_run(definition.run);
  const Trace trace = make_backend("reference")->run(seeded_problem(definition), TapFilter());
  ASSERT_FALSE(trace.empty());
  for (const auto& [name, value] : trace.entries()) {
    EXPECT_NE(operation_of(name, definition).formula, "") << name;
  }
}

TEST_P(EveryValue, IsDrawnByRandomCases) {
  constexpr std::uint64_t kSeeds = 400;
  static const std::vector<Case> cases = [] {
    std::vector<Case> drawn;
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) drawn.push_back(random_case(seed));
    return drawn;
  }();
  const bool drawn = std::ranges::any_of(cases, GetParam().in);
  // What no backend computes is not drawn.
  EXPECT_EQ(drawn, unsupported_run(GetParam().definition.run).empty());
}

TEST_P(EveryValue, MatchesOnBothBackends) {
  const Problem problem = seeded_problem(GetParam().definition);
  const std::string gpu = simt_unavailable().empty() ? "gpu:simt" : "gpu:cuda";
  std::vector<std::string> names{"reference"};
  if (gpu == "gpu:simt" || cuda_unavailable().empty()) names.push_back(gpu);
  for (const std::string& name : names) {
    const std::unique_ptr<Backend> backend = make_backend(name);
    EXPECT_EQ(backend->refusal(problem.definition), unsupported_run(problem.definition.run)) << name;
    if (!backend->refusal(problem.definition).empty()) continue;
    const Judgement judgement = judge(problem, backend->run(problem, TapFilter()),
                                      backend->precision(problem.definition), backend->is_plain_reference());
    EXPECT_EQ(judgement.verdict, Verdict::match) << name << ": " << judgement.message;
  }
}

INSTANTIATE_TEST_SUITE_P(Settings, EveryValue, testing::ValuesIn(all_settings()),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace forgecheck

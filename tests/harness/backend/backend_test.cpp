// Every backend on every architecture against the oracle, and what a backend does not do.
#include "harness/backend/backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/backend/reference_run.h"
#include "harness/verdict/judge.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kModel = "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24";
const std::string kDense = "dense[" + kModel + "]/batch=2,text_len=5/seed=1";

const std::string kCases[] = {
    kDense,
    kDense + "/decode=3+1+1",
    kDense + "/generate=4",
    kDense + "/train/loss=cross_entropy,z_loss_weight=0.001",
    "moe[" + kModel + ",num_experts=4,moe_router=sigmoid_topk]/batch=2,text_len=5/seed=2/train",
    "joint_decoder[" + kModel + ",max_text_len=16]/text_len=4,image_tokens=3,padding=true/seed=3",
    "cross_attention[" + kModel +
        ",max_text_len=16,cross_attention_every_n_layers=1]/text_len=4,image_tokens=3/seed=4",
    "mot[" + kModel + ",max_text_len=16,num_image_tokens=3]/text_len=4,image_tokens=3/seed=5",
    "moma[" + kModel + ",max_text_len=16]/text_len=6,image_tokens=4/seed=6/train",
};
const char* const kNames[] = {"reference", "reference:f64", "cpu:permuted", "cpu:openblas", "cpu:onednn"};

class BackendOnCase : public testing::TestWithParam<std::tuple<const char*, std::string>> {};

INSTANTIATE_TEST_SUITE_P(All, BackendOnCase,
                         testing::Combine(testing::ValuesIn(kNames), testing::ValuesIn(kCases)));

Judgement judged(const std::string& name, const std::string& text) {
  const Problem problem = seeded_problem(parse_case_text(text));
  const std::unique_ptr<Backend> backend = make_backend(name);
  EXPECT_EQ(backend->refusal(problem.definition), "");
  const Trace trace = backend->run(problem, {});
  EXPECT_FALSE(trace.empty());
  return judge(problem, trace, backend->precision(problem.definition), backend->is_plain_reference());
}

TEST_P(BackendOnCase, MatchesTheOracleInFloat32) {
  const Judgement judgement = judged(std::get<0>(GetParam()), std::get<1>(GetParam()));
  EXPECT_EQ(judgement.verdict, Verdict::match) << judgement.message;
}

TEST_P(BackendOnCase, MatchesTheOracleInBfloat16) {
  // Routing scores that are equal in eight bits are not rare.
  const Judgement judgement = judged(std::get<0>(GetParam()), std::get<1>(GetParam()) + "/bfloat16");
  EXPECT_TRUE(is_success(judgement.verdict)) << judgement.message;
}

TEST(Backend, NamesAreThoseThatItIsMadeBy) {
  std::vector<std::string> listed;
  for (const BackendStatus& row : list_backends()) {
    listed.push_back(row.name);
    EXPECT_FALSE(row.description.empty());
    if (row.unavailable.empty()) {
      EXPECT_EQ(make_backend(row.name)->name(), row.name);
    } else {
      EXPECT_THROW(make_backend(row.name), BackendUnavailable) << row.name;
    }
  }
  for (const char* name : kNames) EXPECT_THAT(listed, testing::Contains(name));
  for (const std::string& name : default_backends()) EXPECT_THAT(listed, testing::Contains(name));
  EXPECT_FALSE(default_backends().empty());
}

TEST(Backend, AnUnknownNameIsRefusedWithThoseThereAre) {
  for (const std::string name : {"", "cpu", "cpu:", "Reference", "cpu:openblas ", "gpu:magic"}) {
    try {
      make_backend(name);
      ADD_FAILURE() << "accepted " << name;
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr("\"" + name + "\""));
      EXPECT_THAT(error.what(), HasSubstr("cpu:openblas"));
    }
  }
}

TEST(Backend, PrecisionIsTheCasesButForTheOracle) {
  const Case float32 = parse_case_text(kDense), bfloat16 = parse_case_text(kDense + "/bfloat16");
  EXPECT_EQ(make_backend("reference")->precision(float32), Dtype::f32);
  EXPECT_EQ(make_backend("reference")->precision(bfloat16), Dtype::bf16);
  EXPECT_EQ(make_backend("cpu:onednn")->precision(bfloat16), Dtype::bf16);
  EXPECT_EQ(make_backend("reference:f64")->precision(bfloat16), Dtype::f64);
}

TEST(Backend, TapsHaveTheTypeOfThePrecision) {
  const Problem problem = seeded_problem(parse_case_text(kDense + "/bfloat16"));
  EXPECT_EQ(make_backend("reference")->run(problem, {}).at("logits").dtype(), Dtype::bf16);
  EXPECT_EQ(make_backend("reference:f64")->run(problem, {}).at("logits").dtype(), Dtype::f64);
}

TEST(Backend, OnlyThePlainReferenceIsItsOwnBaseline) {
  for (const char* name : kNames) {
    EXPECT_EQ(make_backend(name)->is_plain_reference(), std::string(name).starts_with("reference")) << name;
  }
}

TEST(Backend, OnlyTheTapsAskedForAreRecorded) {
  const Problem problem = seeded_problem(parse_case_text(kDense));
  const auto backend = make_backend("reference");
  const Trace all = backend->run(problem, {});
  const Trace some =
      backend->run(problem, [](std::string_view name) { return name == "logits" || name == "norm"; });
  std::vector<std::string> names;
  for (const auto& [name, value] : some.entries()) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("norm", "logits"));
  EXPECT_GT(all.entries().size(), 20U);
  EXPECT_TRUE(std::ranges::equal(all.at("logits").bytes(), some.at("logits").bytes()));
}

TEST(Backend, RunsLeaveTheProblemAsItWas) {
  // Training changes the router's state; the second run must not start from the state after the first.
  const Problem problem = seeded_problem(parse_case_text(kCases[4]));
  const auto backend = make_backend("reference");
  const Trace first = backend->run(problem, {}), second = backend->run(problem, {});
  const std::string bias = "layers.0.mlp.router.expert_bias";
  EXPECT_NE(first.at(bias).to<float>().data, problem.parameters.at(bias).to<float>().data);
  for (const auto& [name, value] : first.entries()) {
    EXPECT_TRUE(std::ranges::equal(value.bytes(), second.at(name).bytes())) << name;
  }
}

TEST(Backend, TheWeightsOfABfloat16CaseAreRoundedForTheOracleToo) {
  Problem problem = seeded_problem(parse_case_text(kDense + "/bfloat16"));
  const Trace seeded = make_backend("reference:f64")->run(problem, {});
  for (auto& [name, array] : problem.parameters) array = array.cast(Dtype::bf16);
  const Trace rounded = make_backend("reference:f64")->run(problem, {});
  EXPECT_TRUE(std::ranges::equal(seeded.at("logits").bytes(), rounded.at("logits").bytes()));
}

TEST(Backend, GradientsAreRefused) {
  const Case gradients = parse_case_json(R"({"model": {}, "run": "gradients"})");
  for (const char* name : kNames)
    EXPECT_THAT(make_backend(name)->refusal(gradients), HasSubstr("gradients")) << name;
}

TEST(Backend, OneDnnHasNoFloat64) {
  const Problem problem = seeded_problem(parse_case_text(kDense));
  Tracer tracer;
  EXPECT_THROW(run_reference(problem, Dtype::f64, Arithmetic{.library = linalg::Library::onednn}, tracer),
               BackendError);
  EXPECT_THROW(run_reference(problem, Dtype::i64, kPlain, tracer), ConfigError);
}

TEST(Backend, WrongInputsAreAShapeErrorThatNamesThem) {
  Problem problem = seeded_problem(parse_case_text(kDense));
  problem.inputs.tokens = Array::from(Tensor<float>({2, 5}));
  try {
    make_backend("reference")->run(problem, {});
    ADD_FAILURE() << "accepted";
  } catch (const ShapeError& error) {
    EXPECT_THAT(error.what(), HasSubstr("tokens"));
  }
  problem = seeded_problem(parse_case_text(kDense));
  problem.parameters.erase("norm.weight");
  try {
    make_backend("reference")->run(problem, {});
    ADD_FAILURE() << "accepted";
  } catch (const ShapeError& error) {
    EXPECT_THAT(error.what(), HasSubstr("norm.weight"));
  }
}

TEST(Backend, AMissingLabelIsNamed) {
  Problem problem = seeded_problem(parse_case_text(kCases[3]));
  problem.inputs.labels.reset();
  EXPECT_THROW(make_backend("reference")->run(problem, {}), ShapeError);
}

// Without FORGECHECK_REQUIRE_GPU; the GPU's names are tested beside its backend.
TEST(Backend, TheCpuBackendsRunWithoutBeingAsked) {
  std::vector<std::string> names = default_backends();
  std::erase_if(names, [](const std::string& name) { return name.starts_with("gpu:"); });
  EXPECT_THAT(names, ElementsAre("reference", "cpu:openblas", "cpu:onednn"));
}

// The libraries add in orders of their own, so their bits differ in a product of this size.
TEST(Backend, EachComputesInItsOwnArithmetic) {
  const Problem problem = seeded_problem(
      parse_case_text("dense[dim=256,n_layers=1,n_heads=4,vocab_size=31,ffn_hidden_dim=384]/text_len=5"));
  const std::pair<const char*, Arithmetic> backends[] = {
      {"reference", kPlain},
      {"cpu:permuted", kPermuted},
      {"cpu:openblas", Arithmetic{.library = linalg::Library::openblas}},
      {"cpu:onednn", Arithmetic{.library = linalg::Library::onednn}}};
  for (const auto& [name, arithmetic] : backends) {
    Tracer tracer;
    run_reference(problem, Dtype::f32, arithmetic, tracer);
    const Trace trace = make_backend(name)->run(problem, {});
    EXPECT_TRUE(std::ranges::equal(trace.at("logits").bytes(), tracer.take().at("logits").bytes())) << name;
  }
}

}  // namespace
}  // namespace forgecheck

// The GPU backend as one of the program's: what it takes and refuses, and that it repeats itself.
#include "harness/backend/gpu_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#ifdef FORGECHECK_SIMT
#include <cuda_runtime.h>
#endif

#include "harness/verdict/judge.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

using testing::Contains;
using testing::HasSubstr;

const std::string kSizesOfGpuBackend =
    "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24";
const std::string kDenseOfGpuBackend = "dense[" + kSizesOfGpuBackend + "]/batch=2,text_len=5/seed=1";

const std::string kCasesOfGpuBackend[] = {
    kDenseOfGpuBackend + "/stages=2/greedy_from=2:3",
    kDenseOfGpuBackend + "/decode=3+1+1",
    kDenseOfGpuBackend + "/generate=4",
    kDenseOfGpuBackend + "/generate=4,temperature=0.8,top_k=5,top_p=0.9",
    kDenseOfGpuBackend + "/train/loss=chunked_cross_entropy,chunk_size=3,z_loss_weight=0.001",
    "dense[" + kSizesOfGpuBackend +
        ",qk_norm=true,norm_type=layernorm,activation=gelu,tie_embeddings=true]/text_len=4",
    "moe[" + kSizesOfGpuBackend +
        ",num_experts=4,moe_router=sigmoid_topk,moe_shared_experts=1]/text_len=5/train",
    "joint_decoder[" + kSizesOfGpuBackend +
        ",max_text_len=16,feature_dim=6,adapter.pool_window=2,adapter.type=avgpool]/"
        "text_len=4,patches=4,frames=2,padding=true",
    "cross_attention[" + kSizesOfGpuBackend +
        ",max_text_len=16,cross_attention_every_n_layers=1]/text_len=4,image_tokens=3",
    "mot[" + kSizesOfGpuBackend +
        ",max_text_len=16,num_image_tokens=3,num_experts=2]/text_len=4,image_tokens=3",
    "moma[" + kSizesOfGpuBackend + ",max_text_len=16]/text_len=6,image_tokens=4/train",
};

/// The GPU backend that can run here, or null.
std::unique_ptr<Backend> this_gpu() {
  if (simt_unavailable().empty()) return make_backend("gpu:simt");
  return cuda_unavailable().empty() ? make_backend("gpu:cuda") : nullptr;
}

class GpuBackendTest : public testing::Test {
 protected:
  void SetUp() override {
    if (backend == nullptr) GTEST_SKIP() << cuda_unavailable();
  }
  std::unique_ptr<Backend> backend = this_gpu();
};

TEST(GpuBackendNames, ABuildHasTheEmulatorOrTheDevice) {
  EXPECT_FALSE(simt_unavailable().empty() && cuda_unavailable().empty());
  for (const BackendStatus& row : list_backends()) {
    if (row.name == "gpu:simt") {
      EXPECT_EQ(row.unavailable, simt_unavailable());
    } else if (row.name == "gpu:cuda") {
      EXPECT_EQ(row.unavailable, cuda_unavailable());
    }
  }
}

TEST(GpuBackendNames, WhatIsThereIsRunWithoutBeingAsked) {
  unsetenv("FORGECHECK_REQUIRE_GPU");
  EXPECT_EQ(testing::Value(default_backends(), Contains("gpu:simt")), simt_unavailable().empty());
  EXPECT_EQ(testing::Value(default_backends(), Contains("gpu:cuda")), cuda_unavailable().empty());
}

TEST(GpuBackendNames, ARequiredDeviceIsNotPassedOver) {
  setenv("FORGECHECK_REQUIRE_GPU", "1", 1);
  EXPECT_THAT(default_backends(), Contains("gpu:cuda"));
  setenv("FORGECHECK_REQUIRE_GPU", "0", 1);
  EXPECT_EQ(testing::Value(default_backends(), Contains("gpu:cuda")), cuda_unavailable().empty());
  unsetenv("FORGECHECK_REQUIRE_GPU");
}

TEST(GpuBackendNames, AMissingDeviceSaysWhy) {
  if (cuda_unavailable().empty()) GTEST_SKIP() << "there is a device";
  try {
    make_backend("gpu:cuda");
    ADD_FAILURE() << "was made";
  } catch (const BackendUnavailable& error) {
    EXPECT_THAT(error.what(), HasSubstr("backend gpu:cuda is unavailable: " + cuda_unavailable()));
  }
}

TEST_F(GpuBackendTest, RecordsTheTapsOfTheReferenceInTheirOrder) {
  for (const std::string& text : kCasesOfGpuBackend) {
    SCOPED_TRACE(text);
    const Problem problem = seeded_problem(parse_case_text(text));
    const Trace expected = make_backend("reference")->run(problem, {}), trace = backend->run(problem, {});
    ASSERT_EQ(trace.entries().size(), expected.entries().size());
    for (std::size_t i = 0; i < expected.entries().size(); ++i) {
      const auto& [name, value] = expected.entries()[i];
      EXPECT_EQ(trace.entries()[i].first, name);
      EXPECT_EQ(trace.entries()[i].second.shape(), value.shape()) << name;
      EXPECT_EQ(trace.entries()[i].second.dtype(), value.dtype()) << name;
    }
  }
}

TEST_F(GpuBackendTest, MatchesTheOracleInBothTypes) {
  for (const std::string& text : kCasesOfGpuBackend) {
    for (const std::string dtype : {"/float32", "/bfloat16"}) {
      const Problem problem = seeded_problem(parse_case_text(text + dtype));
      const Judgement judgement = judge(problem, backend->run(problem, {}), problem.definition.dtype, false);
      // Routing scores that are equal in eight bits are not rare.
      EXPECT_TRUE(is_success(judgement.verdict)) << text << dtype << ": " << judgement.message;
    }
  }
}

TEST_F(GpuBackendTest, OnlyTheTapsAskedForAreRecorded) {
  const Problem problem = seeded_problem(parse_case_text(kDenseOfGpuBackend));
  const Trace some = backend->run(problem, [](std::string_view name) { return name == "norm"; });
  ASSERT_EQ(some.entries().size(), 1U);
  const Trace all = backend->run(problem, {});
  EXPECT_TRUE(std::ranges::equal(some.at("norm").bytes(), all.at("norm").bytes()));
}

TEST_F(GpuBackendTest, TrainingLeavesTheProblemAsItWas) {
  const Problem problem = seeded_problem(parse_case_text(
      "moe[" + kSizesOfGpuBackend + ",num_experts=4,moe_router=sigmoid_topk]/text_len=5/train/stages=2"));
  const Trace first = backend->run(problem, {}), second = backend->run(problem, {});
  const std::string bias = "layers.0.mlp.router.expert_bias";
  EXPECT_NE(first.at(bias).to<float>().data, problem.parameters.at(bias).to<float>().data);
  for (const auto& [name, value] : first.entries()) {
    EXPECT_TRUE(std::ranges::equal(value.bytes(), second.at(name).bytes())) << name;
  }
  EXPECT_TRUE(std::ranges::equal(first.at("logits").bytes(), first.at("logits.staged").bytes()));
}

TEST_F(GpuBackendTest, RefusesWhatItCannotCompute) {
  EXPECT_THAT(backend->refusal(parse_case_json(R"({"model": {}, "run": "gradients"})")),
              HasSubstr("gradients"));
  EXPECT_EQ(backend->refusal(parse_case_text(kDenseOfGpuBackend)), "");
  EXPECT_FALSE(backend->is_plain_reference());
  EXPECT_EQ(backend->precision(parse_case_text(kDenseOfGpuBackend + "/bfloat16")), Dtype::bf16);
}

/// The message of the ShapeError or ConfigError with which the backend refuses to run.
std::string refused(Backend& backend, const Problem& problem) {
  try {
    backend.run(problem, {});
  } catch (const BackendError& error) {
    return std::string("not on the host: ") + error.what();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(GpuBackendTest, WrongInputsAreRefusedOnTheHostByName) {
  Problem problem = seeded_problem(parse_case_text(kDenseOfGpuBackend));
  problem.inputs.tokens = Array::from(Tensor<std::int64_t>({1, 3}, {0, 31, 2}));
  EXPECT_EQ(refused(*backend, problem), "[embedding] tokens[1] = 31 is outside 0 .. 30");
  problem.inputs.tokens = Array::from(Tensor<std::int64_t>({1, 3}, {0, -1, 2}));
  EXPECT_EQ(refused(*backend, problem), "[embedding] tokens[1] = -1 is outside 0 .. 30");
  problem.inputs.tokens = Array::from(Tensor<std::int64_t>({1, 33}));
  EXPECT_THAT(refused(*backend, problem), HasSubstr("model.max_seq_len = 32"));
  problem.inputs.tokens.reset();
  EXPECT_THAT(refused(*backend, problem), HasSubstr("tokens"));

  problem = seeded_problem(parse_case_text(kDenseOfGpuBackend));
  problem.parameters.erase("norm.weight");
  EXPECT_EQ(refused(*backend, problem), "parameter norm.weight is missing");

  problem = seeded_problem(parse_case_text(kDenseOfGpuBackend + "/loss=cross_entropy"));
  problem.inputs.labels = Array::from(Tensor<std::int64_t>({2, 5}, {1, 2, 3, -100, 4, 5, 6, 7, 31, 0}));
  EXPECT_EQ(refused(*backend, problem), "[loss] labels[8] = 31 is neither -100 nor in 0 .. 30");
  problem.inputs.labels.reset();
  EXPECT_THAT(refused(*backend, problem), HasSubstr("labels"));
}

TEST_F(GpuBackendTest, ARunAfterARefusedOneIsRight) {
  Problem wrong = seeded_problem(parse_case_text(kDenseOfGpuBackend));
  wrong.parameters.erase("layers.1.mlp.down_proj.weight");
  EXPECT_THAT(refused(*backend, wrong), HasSubstr("layers.1.mlp.down_proj.weight"));
  const Problem problem = seeded_problem(parse_case_text(kDenseOfGpuBackend));
  const Judgement judgement = judge(problem, backend->run(problem, {}), Dtype::f32, false);
  EXPECT_EQ(judgement.verdict, Verdict::match) << judgement.message;
}

/// How often a backend that is asked for so many runs computes the case.
int runs_of(std::int64_t gpu_runs) {
  const std::string name = simt_unavailable().empty() ? "gpu:simt" : "gpu:cuda";
  int runs = 0;
  make_backend(name, {.gpu_runs = gpu_runs})
      ->run(seeded_problem(parse_case_text(kDenseOfGpuBackend)), [&](std::string_view tap) {
        if (tap == "logits") ++runs;
        return false;
      });
  return runs;
}

TEST_F(GpuBackendTest, RunsEachCaseAsOftenAsItIsTold) {
  EXPECT_EQ(runs_of(1), 1);
  EXPECT_EQ(runs_of(2), 2);
  EXPECT_EQ(runs_of(5), 5);
}

#ifdef FORGECHECK_SIMT
// An error of a kernel stays: every later call on that device fails.
TEST_F(GpuBackendTest, TheCaseAfterAFailureHasAFreshDevice) {
  const Problem problem = seeded_problem(parse_case_text(kDenseOfGpuBackend));
  backend->run(problem, {});
  void* host = nullptr;
  void* device = nullptr;
  ASSERT_EQ(cudaMallocHost(&host, 16), cudaSuccess);
  ASSERT_EQ(cudaMalloc(&device, 16), cudaSuccess);
  ASSERT_EQ(cudaMemcpyAsync(device, host, 16, cudaMemcpyHostToDevice, nullptr), cudaSuccess);
  ASSERT_EQ(cudaFreeHost(host), cudaSuccess);
  ASSERT_NE(cudaDeviceSynchronize(), cudaSuccess) << "the copy came after its source";
  EXPECT_THAT([&] { backend->run(problem, {}); },
              testing::ThrowsMessage<CudaError>(HasSubstr("use after free")));
  const Judgement judgement = judge(problem, backend->run(problem, {}), Dtype::f32, false);
  EXPECT_EQ(judgement.verdict, Verdict::match) << judgement.message;
  simt::clear_findings();
}
#endif

}  // namespace
}  // namespace forgecheck

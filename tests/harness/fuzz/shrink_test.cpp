#include "harness/fuzz/shrink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/fuzz/fuzz_case.h"

namespace forgecheck {
namespace {

Case smallest(const Case& failing, const std::function<bool(const Case&)>& fails) {
  const Shrunk shrunk = shrink(failing, fails, 100000);
  EXPECT_TRUE(shrunk.complete);
  EXPECT_TRUE(fails(shrunk.smallest));
  return shrunk.smallest;
}

/// What fails always ends at the smallest case of all.
TEST(Shrink, WhateverFailsAlwaysEndsAtTheSmallestCase) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Case failing = fuzz_case(seed, Family::any, CaseScale::medium);
    failing.dtype = Dtype::bf16;
    EXPECT_EQ(case_text(smallest(failing, [](const Case&) { return true; })),
              "dense[dim=2,n_layers=1,n_heads=1,vocab_size=2,ffn_hidden_dim=1,max_seq_len=64]/"
              "batch=1,text_len=1/seed=0")
        << case_text(failing);
  }
}

/// Several tokens need no several rows, and image tokens no adapter.
TEST(Shrink, TokensComeInOneRowAndWithoutAnAdapter) {
  const auto smallest_of = [](const std::string& text, const std::function<bool(const Case&)>& needs) {
    return case_text(smallest(parse_case_text(text), needs));
  };
  const std::string model = "[dim=2,n_layers=1,n_heads=1,vocab_size=2,ffn_hidden_dim=1,max_seq_len=64";
  EXPECT_EQ(smallest_of("dense" + model + "]/batch=3,text_len=1/seed=0",
                        [](const Case& c) { return c.inputs.batch * c.inputs.text_len >= 2; }),
            "dense" + model + "]/batch=1,text_len=2/seed=0");
  const std::string adapter = ",max_text_len=24,adapter.type=avgpool";
  EXPECT_EQ(
      smallest_of("joint_decoder" + model + adapter + ",feature_dim=2]/batch=1,text_len=1,patches=16/seed=0",
                  [](const Case& c) {
                    const auto& made = c.architecture.adapter;
                    return (made ? made->output_num_tokens(c.inputs.patches) : c.inputs.image_tokens) >= 2;
                  }),
      "joint_decoder" + model + ",max_text_len=24]/batch=1,text_len=1,image_tokens=2/seed=0");
  EXPECT_EQ(
      smallest_of("joint_decoder" + model + adapter + ",feature_dim=1]/batch=1,text_len=1,patches=16/seed=0",
                  [](const Case& c) { return c.inputs.patches >= 2; }),
      "joint_decoder" + model +
          ",max_text_len=24,adapter.type=mlp_2layer,feature_dim=1]/batch=1,text_len=1,patches=4/seed=0");
}

/// What the failure needs stays, and nothing else.
TEST(Shrink, KeepsWhatTheFailureNeeds) {
  const auto check = [](const std::function<bool(const Case&)>& needs, const std::string& expected) {
    const std::string arch = expected.substr(0, expected.find('['));
    int found = 0;
    for (std::uint64_t seed = 0; found < 3 && seed < 5000; ++seed) {
      const Case failing = fuzz_case(seed, Family::any, CaseScale::medium);
      const std::string from = arch_name(failing.architecture);
      if (!needs(failing) ||
          (failing.architecture.adapter && from != arch && arch != "dense" && arch != "moe"))
        continue;
      ++found;
      EXPECT_EQ(case_text(smallest(failing, needs)), expected) << case_text(failing);
    }
    EXPECT_EQ(found, 3) << expected;
  };
  check([](const Case& c) { return c.architecture.model.qk_norm && c.inputs.text_len >= 3; },
        "dense[dim=2,n_layers=1,n_heads=1,vocab_size=2,ffn_hidden_dim=1,max_seq_len=64,qk_norm=true]/"
        "batch=1,text_len=3/seed=0");
  check([](const Case& c) { return c.architecture.model.kv_heads() < c.architecture.model.n_heads; },
        "dense[dim=4,n_layers=1,n_heads=2,n_kv_heads=1,vocab_size=2,ffn_hidden_dim=1,max_seq_len=64]/"
        "batch=1,text_len=1/seed=0");
  check([](const Case& c) { return c.architecture.model.num_experts > 2; },
        "moe[dim=2,n_layers=1,n_heads=1,vocab_size=2,ffn_hidden_dim=1,max_seq_len=64,num_experts=3,moe_top_k="
        "1]/batch=1,text_len=1/seed=0");
  check([](const Case& c) { return c.run == RunKind::decode && c.chunks.size() > 1; },
        "dense[dim=2,n_layers=1,n_heads=1,vocab_size=2,ffn_hidden_dim=1,max_seq_len=64]/batch=1,text_len=2/"
        "seed=0/decode=1+1");
  check([](const Case& c) { return c.run == RunKind::generate && c.inputs.batch > 1; },
        "dense[dim=2,n_layers=1,n_heads=1,vocab_size=2,ffn_hidden_dim=1,max_seq_len=64]/batch=2,text_len=1/"
        "seed=0/generate=1");
  check([](const Case& c) { return c.architecture.is(VlmArch::mot) && c.inputs.padding; },
        "mot[dim=2,n_layers=1,n_heads=1,vocab_size=2,ffn_hidden_dim=1,max_seq_len=64,max_text_len=24,num_"
        "image_tokens=1]"
        "/batch=1,text_len=1,image_tokens=1,padding=true/seed=0");
  check(
      [](const Case& c) {
        return c.architecture.adapter && c.architecture.adapter->type == AdapterType::avgpool;
      },
      "joint_decoder[dim=2,n_layers=1,n_heads=1,vocab_size=2,ffn_hidden_dim=1,max_seq_len=64,max_text_len=24,"
      "adapter.type=avgpool,feature_dim=1]/batch=1,text_len=1,patches=1/seed=0");
}

/// No single simplification of the result fails any more.
TEST(Shrink, EndsAtALocalMinimum) {
  const auto fails = [](const Case& c) {
    return (c.seed + static_cast<std::uint64_t>(c.architecture.model.dim)) % 3 != 1;
  };
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const Case failing = fuzz_case(seed, Family::any, CaseScale::small);
    if (!fails(failing)) continue;
    const Case end = smallest(failing, fails);
    for (const Simplification& simplify : simplifications()) {
      for (const Case& simpler : simplify(end)) {
        EXPECT_TRUE(case_text(simpler) == case_text(end) || refusal_of(simpler) || !fails(simpler))
            << case_text(simpler);
      }
    }
  }
}

TEST(Shrink, StopsAtTheLimitAndSaysSo) {
  const Case failing = fuzz_case(4, Family::any, CaseScale::medium);
  std::int64_t asked = 0;
  const Shrunk shrunk = shrink(
      failing, [&](const Case&) { return ++asked % 2 == 0; }, 5);
  EXPECT_EQ(asked, 5);
  EXPECT_EQ(shrunk.tried, 5);
  EXPECT_FALSE(shrunk.complete);
}

TEST(Shrink, OnlyValidCasesAreTried) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    (void)shrink(
        fuzz_case(seed, Family::any, CaseScale::small),
        [](const Case& value) {
          EXPECT_EQ(refusal_of(value), std::nullopt) << case_text(value);
          return value.seed % 2 == 0;
        },
        1000);
  }
}

}  // namespace
}  // namespace forgecheck

// Small cases of every architecture and run for the tests of the judge, and traces of them to judge.
#pragma once

#include <string>
#include <vector>

#include "harness/backend/reference_run.h"
#include "harness/verdict/judge.h"
#include "tests/harness/verdict/tap_values.h"

namespace forgecheck {

inline const std::string kSmall =
    "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24";

inline std::vector<std::string> small_cases() {
  return {
      "dense[" + kSmall + ",n_kv_heads=1,qk_norm=true]/batch=2,text_len=5/seed=1",
      "moe[" + kSmall +
          ",num_experts=4,moe_router=sigmoid_topk,moe_shared_experts=1]/batch=2,text_len=5/seed=2/train",
      "moe[" + kSmall +
          ",num_experts=5,moe_capacity_factor=0.5,moe_frequency=2]/batch=2,text_len=6/seed=3/"
          "loss=cross_entropy,z_loss_weight=0.0001",
      "joint_decoder[" + kSmall +
          ",max_text_len=16,adapter.type=mlp_2layer,feature_dim=6]/text_len=4,patches=3/seed=4",
      "cross_attention[" + kSmall +
          ",max_text_len=16,cross_attention_every_n_layers=1]/text_len=4,image_tokens=3,image_mask=true/"
          "seed=5",
      "mot[" + kSmall + ",max_text_len=16,num_image_tokens=3]/text_len=4,image_tokens=3/seed=6",
      "moma[" + kSmall +
          ",max_text_len=16,moma_experts_per_modality={image=2,text=3}]/text_len=6,image_tokens=4/seed=7/"
          "train",
      "dense[" + kSmall + ",norm_type=layernorm,activation=gelu]/batch=2,text_len=6/seed=8/decode=4+1+1",
      "dense[" + kSmall + ",tie_embeddings=true]/batch=2,text_len=4/seed=9/generate=5",
  };
}

inline Problem small_problem(const std::string& text) {
  return seeded_problem(parse_case_text(text));
}

/// A run that sums in another order than the baseline. `forced` replaces choices, also in the trace.
inline Trace run_permuted(const Problem& problem, Dtype type, const Trace& forced = Trace()) {
  Tracer tracer;
  tracer.force(forced, Forcing::decisions);
  run_reference(problem, type, Arithmetic{.order = linalg::Order::permuted}, tracer);
  Trace trace;
  for (const auto& [name, value] : tracer.trace().entries()) {
    const Array* other = forced.find(name);
    trace.add(name, other == nullptr ? value : *other);
  }
  return trace;
}

/// The oracle's own choices and scores.
inline std::map<std::string, Decision, std::less<>> oracle_decisions(const Problem& problem) {
  Tracer tracer;
  run_reference(problem, Dtype::f64, kPlain, tracer);
  return tracer.decisions();
}

/// The trace with one tap replaced, or left out where `value` is null.
inline Trace with_tap(const Trace& trace, const std::string& name, const Array* value) {
  Trace result;
  for (const auto& [tap, array] : trace.entries()) {
    if (tap != name) result.add(tap, array);
    if (tap == name && value != nullptr) result.add(tap, *value);
  }
  return result;
}
inline Trace with_tap(const Trace& trace, const std::string& name, const Array& value) {
  return with_tap(trace, name, &value);
}

inline Judgement judge_float32(const Problem& problem, const Trace& candidate) {
  return judge(problem, candidate, Dtype::f32, false);
}

}  // namespace forgecheck

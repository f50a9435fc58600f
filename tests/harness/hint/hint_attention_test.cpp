// Mistakes between the projections and the context, made by an attention written here a second time.
#include <cmath>
#include <functional>

#include "harness/hint/attention_guess.h"
#include "harness/verdict/tap_error.h"
#include "tests/harness/hint/hint.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;

/// Four heads of 8, two key-value heads.
constexpr std::int64_t kHeads = 4, kKvHeads = 2, kDim = 8;
const std::string kModel =
    "dim=32,n_layers=2,n_heads=4,n_kv_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24";
const std::string kName = "layers.1.attention";

struct Naive {
  bool rotate_q = true, rotate_k = true, rotate_v = false;
  bool interleaved = false;
  float direction = 1;
  float theta = 10000;
  float score_scale = 1 / std::sqrt(static_cast<float>(kDim));
  std::function<bool(std::int64_t b, std::int64_t i, std::int64_t j)> visible =
      [](std::int64_t, std::int64_t i, std::int64_t j) { return j <= i; };
  std::function<std::int64_t(std::int64_t)> kv_head = [](std::int64_t h) { return h / 2; };
  bool norm_after_rope = false;

  /// QK-norm of (B, S, heads * d), each head with the norm's weight.
  static Tensor<float> normed(Tensor<float> x, const Tensor<float>& weight) {
    for (std::int64_t head = 0; head < x.size() / kDim; ++head) {
      double squares = 1e-5 * kDim;
      for (std::int64_t e = 0; e < kDim; ++e) squares += std::pow(static_cast<double>(x[head * kDim + e]), 2);
      for (std::int64_t e = 0; e < kDim; ++e) {
        const double value = static_cast<double>(x[head * kDim + e]) / std::sqrt(squares / kDim);
        x[head * kDim + e] = static_cast<float>(value * static_cast<double>(weight[e]));
      }
    }
    return x;
  }

  /// (B, S, heads * d) with each head rotated by its position.
  Tensor<float> rotated(Tensor<float> x, std::int64_t heads) const {
    for (std::int64_t i = 0; i < x.size() / 2; ++i) {
      const std::int64_t pair = i % (kDim / 2), row = i / (kDim / 2), position = row / heads % x.dim(1);
      const std::int64_t first = row * kDim + (interleaved ? 2 * pair : pair);
      const std::int64_t second = interleaved ? first + 1 : first + kDim / 2;
      const float angle = direction * static_cast<float>(position) *
                          std::pow(theta, -2 * static_cast<float>(pair) / static_cast<float>(kDim));
      const float a = x[first], b = x[second];
      x[first] = a * std::cos(angle) - b * std::sin(angle);
      x[second] = b * std::cos(angle) + a * std::sin(angle);
    }
    return x;
  }

  /// `parameters`: with the weights of QK-norm, where it is to come after rope.
  Tensor<float> context(const Trace& trace, const ParameterTable& parameters = {}) const {
    const auto part = [&](const std::string& which, bool rotate, std::int64_t heads) {
      const Tensor<float> x = trace.at(kName + "." + which).to<float>();
      const Tensor<float> turned = rotate ? rotated(x, heads) : x;
      if (!norm_after_rope || which == "v_proj") return turned;
      const std::string norm = kName + "." + which.substr(0, 1) + "_norm.weight";
      return normed(turned, parameters.at(norm).to<float>());
    };
    const Tensor<float> q = part("q_proj", rotate_q, kHeads), k = part("k_proj", rotate_k, kKvHeads),
                        v = part("v_proj", rotate_v, kKvHeads);
    const std::int64_t batch = q.dim(0), length = q.dim(1);
    Tensor<float> out(q.shape);
    for (std::int64_t row = 0; row < batch * length * kHeads; ++row) {
      const std::int64_t h = row % kHeads, i = row / kHeads % length, b = row / kHeads / length;
      double sum = 0;
      std::vector<double> total(kDim);
      for (std::int64_t j = 0; j < length; ++j) {
        if (!visible(b, i, j)) continue;
        const std::int64_t key = ((b * length + j) * kKvHeads + kv_head(h)) * kDim;
        double score = 0;
        for (std::int64_t e = 0; e < kDim; ++e) score += static_cast<double>(q[row * kDim + e] * k[key + e]);
        const double weight = std::exp(score * static_cast<double>(score_scale));
        sum += weight;
        for (std::int64_t e = 0; e < kDim; ++e) {
          total[static_cast<std::size_t>(e)] += weight * static_cast<double>(v[key + e]);
        }
      }
      for (std::int64_t e = 0; e < kDim && sum > 0; ++e) {
        out[row * kDim + e] = static_cast<float>(total[static_cast<std::size_t>(e)] / sum);
      }
    }
    return out;
  }
};

Problem dense() {
  return small_problem("dense[" + kModel + "]/batch=2,text_len=7/seed=31");
}

std::string hint_of_naive(const Problem& problem, const Naive& naive) {
  return hint_of(problem, kName + ".context", naive.context(run_permuted(problem, Dtype::f32)));
}

template <class Change>
std::string hint_with(const Change& change) {
  Naive naive;
  change(naive);
  return hint_of_naive(dense(), naive);
}

TEST(HintAttention, TheNaiveOneIsRight) {
  const Problem problem = dense();
  const Trace right = run_permuted(problem, Dtype::f32);
  const Judgement judgement =
      judge_float32(problem, with_tap(right, kName + ".context", Array::from(Naive().context(right))));
  EXPECT_EQ(judgement.verdict, Verdict::match) << judgement.message;
}

TEST(HintAttention, WithoutAMistakeItIsTheOracles) {
  for (const std::string& text : small_cases()) {
    const Problem problem = small_problem(text);
    const ReferenceRun forced = run_forced(problem, Dtype::f64, kPlain, Trace(), Forcing::nothing);
    const Trace nothing;
    for (const auto& [name, value] : forced.trace.entries()) {
      const TapPlace place = place_of(name, problem.definition.architecture);
      if (place.kind != TapKind::context) continue;
      const auto parts = attention_parts({problem, nothing, forced, Dtype::f32, name, place, {}}, place);
      ASSERT_TRUE(parts.has_value()) << name;
      const std::vector<Tensor<double>> values = contexts(*parts, {});
      for (std::size_t i = 0; i < values.size(); ++i) {
        const Array& expected = forced.trace.at(parts->streams[i].context);
        EXPECT_LT(relative_error(Array::from(values[i]), expected), 1e-13) << text << name;
      }
    }
  }
}

// ---- rope ----

TEST(HintAttention, InterleavedRope) {
  EXPECT_THAT(hint_with([](Naive& naive) { naive.interleaved = true; }), HasSubstr("rope is interleaved"));
}

TEST(HintAttention, RopeLeftOut) {
  EXPECT_THAT(hint_with([](Naive& naive) { naive.rotate_q = naive.rotate_k = false; }),
              HasSubstr("rope is left out"));
  EXPECT_THAT(hint_with([](Naive& naive) { naive.rotate_k = false; }), HasSubstr("keys are not rotated"));
  EXPECT_THAT(hint_with([](Naive& naive) { naive.rotate_q = false; }), HasSubstr("queries are not rotated"));
  EXPECT_THAT(hint_with([](Naive& naive) { naive.rotate_v = true; }), HasSubstr("values are rotated too"));
}

TEST(HintAttention, RopeBackwardsOrWithAnotherTheta) {
  EXPECT_THAT(hint_with([](Naive& naive) { naive.direction = -1; }), HasSubstr("rope turns backwards"));
  EXPECT_THAT(hint_with([](Naive& naive) { naive.theta = 500000; }),
              HasSubstr("rope_theta is 500000.0 instead of 10000.0"));
}

Problem dense_with_qk_norm() {
  return small_problem("dense[" + kModel + ",qk_norm=true]/batch=2,text_len=7/seed=32");
}

TEST(HintAttention, QkNormAfterRopeShowsInTheNorm) {
  const Problem problem = dense_with_qk_norm();
  const Trace right = run_permuted(problem, Dtype::f32);
  for (const auto& [part, heads] : {std::pair("q", kHeads), std::pair("k", kKvHeads)}) {
    const std::string norm = kName + "." + part + "_norm";
    const Tensor<float> x = right.at(kName + "." + part + "_proj").to<float>();
    const Tensor<float> wrong =
        Naive::normed(Naive().rotated(x, heads), problem.parameters.at(norm + ".weight").to<float>());
    EXPECT_THAT(hint_of(problem, norm, wrong.reshaped(right.at(norm).shape())),
                HasSubstr("the norm comes after rope instead of before in " + norm));
  }
}

TEST(HintAttention, QkNormAfterRopeShowsInTheContextOfATraceWithoutNorms) {
  const Problem problem = dense_with_qk_norm();
  const Trace right = run_permuted(problem, Dtype::f32);
  Naive naive;
  naive.norm_after_rope = true;
  Trace wrong = with_tap(right, kName + ".context", Array::from(naive.context(right, problem.parameters)));
  wrong = without(without(wrong, kName + ".q_norm"), kName + ".k_norm");
  EXPECT_THAT(hint_at(problem, wrong, kName + ".context"),
              HasSubstr("explained if the norms of q and k come after rope instead of before"));
}

// ---- scores and heads ----

TEST(HintAttention, TheScale) {
  EXPECT_THAT(hint_with([](Naive& naive) { naive.score_scale = 1; }),
              HasSubstr("scores are not divided by sqrt(head_dim)"));
  EXPECT_THAT(hint_with([](Naive& naive) { naive.score_scale = 1.0F / kDim; }),
              HasSubstr("divided by head_dim instead of sqrt(head_dim)"));
  EXPECT_THAT(hint_with([](Naive& naive) { naive.score_scale = 1 / std::sqrt(32.0F); }),
              HasSubstr("divided by sqrt(dim) instead of sqrt(head_dim)"));
}

TEST(HintAttention, KeyValueHeadsRepeatedInsteadOfInterleaved) {
  EXPECT_THAT(
      hint_with([](Naive& naive) { naive.kv_head = [](std::int64_t h) { return h % 2; }; }),
      HasSubstr(
          "head h reads key-value head h % 2 instead of h / 2, as by repeat instead of repeat_interleave"));
}

// ---- masks ----

TEST(HintAttention, TheCausalMask) {
  const auto with_mask = [](auto visible) {
    return hint_with([&](Naive& naive) {
      naive.visible = [visible](std::int64_t, std::int64_t i, std::int64_t j) { return visible(i, j); };
    });
  };
  EXPECT_THAT(with_mask([](std::int64_t, std::int64_t) { return true; }),
              HasSubstr("the causal mask is left out"));
  EXPECT_THAT(with_mask([](std::int64_t i, std::int64_t j) { return j <= i + 1; }),
              HasSubstr("one key too many (j <= i + 1)"));
  EXPECT_THAT(with_mask([](std::int64_t i, std::int64_t j) { return j < i || i == 0; }),
              HasSubstr("own key (j < i)"));
}

TEST(HintAttention, DocumentsAndPadding) {
  const Problem problem =
      small_problem("dense[" + kModel + "]/batch=3,text_len=9,documents=2,embeds=true,padding=true/seed=33");
  const Tensor<std::int64_t> documents = problem.inputs.doc_ids->to_int64();
  const Tensor<std::int64_t> padding = problem.inputs.key_padding_mask->to_int64();
  const auto with_mask = [&](bool causal, bool same_document, bool unpadded, bool open) {
    Naive naive;
    const auto seen = [=](std::int64_t b, std::int64_t i, std::int64_t j) {
      return (!causal || j <= i) && (!same_document || documents[b * 9 + i] == documents[b * 9 + j]) &&
             (!unpadded || padding[b * 9 + j] != 0);
    };
    naive.visible = [=](std::int64_t b, std::int64_t i, std::int64_t j) {
      bool any = false;
      for (std::int64_t key = 0; key < 9; ++key) any = any || seen(b, i, key);
      return seen(b, i, j) || (open && !any);
    };
    return hint_of_naive(problem, naive);
  };
  EXPECT_THAT(with_mask(true, false, true, true), HasSubstr("doc_ids are left out of the mask"));
  EXPECT_THAT(with_mask(true, true, false, true), HasSubstr("key_padding_mask is left out"));
  EXPECT_THAT(with_mask(false, true, true, true), HasSubstr("the causal mask is left out"));
  EXPECT_THAT(with_mask(false, false, false, true), HasSubstr("every mask is left out"));
  EXPECT_THAT(with_mask(true, true, true, false), HasSubstr("a query that sees no key gets 0"));
}

TEST(HintAttention, TheImageMask) {
  const Problem problem = small_problem(small_cases()[4]);
  EXPECT_THAT(hint_of_run(problem, "cross_attention_layers.0.attn.context",
                          [](Problem& mistaken) { mistaken.inputs.image_mask.reset(); }),
              HasSubstr("image_mask is left out"));
}

TEST(HintAttention, TheMaskThatFramesMake) {
  const Problem problem = small_problem("joint_decoder[" + kModel +
                                        ",max_text_len=12,adapter.type=linear,feature_dim=6]/"
                                        "text_len=5,patches=2,frames=4,padding=true/seed=36");
  EXPECT_THAT(hint_of_run(problem, "layers.0.attention.context",
                          [](Problem& mistaken) { mistaken.inputs.frame_mask.reset(); }),
              HasSubstr("key_padding_mask is left out"));
}

// ---- where it shows ----

TEST(HintAttention, BehindAContextThatTheTraceDoesNotShow) {
  const Problem problem = dense();
  const Trace right = run_permuted(problem, Dtype::f32);
  Naive naive;
  naive.interleaved = true;
  // The run goes on with the wrong context, which the trace leaves out.
  Trace forced;
  forced.add(kName + ".context", Array::from(naive.context(right)));
  Tracer tracer;
  tracer.force(forced, Forcing::everything);
  run_reference(problem, Dtype::f32, Arithmetic{.order = linalg::Order::permuted}, tracer);
  const Trace shown = with_tap(tracer.trace(), kName + ".context", nullptr);
  const FirstDivergence found = divergence_at(problem, shown, kName);
  EXPECT_THAT(found.hint, HasSubstr("rope is interleaved"));
  EXPECT_THAT(found.between, testing::ElementsAre(kName + ".context"));
  EXPECT_EQ(found.after, kName + ".v_proj");
}

TEST(HintAttention, PositionsThatGoOnFromImageToText) {
  const Problem problem = small_problem(small_cases()[5]);
  // The text's keys and queries are 3 positions further on, and rotated by that much more.
  const Trace right = run_permuted(problem, Dtype::f32);
  Trace forced;
  for (const std::string which : {"q", "k"}) {
    const std::string tap = "layers.0.attn." + which + "_proj.text";
    Tensor<float> x = right.at(tap).to<float>();  // (2, 4, 2 heads of 8)
    for (std::int64_t i = 0; i < x.size() / 2; ++i) {
      const std::int64_t pair = i % 4, first = i / 4 * 8 + pair;
      const float angle = 3 * std::pow(10000.0F, -static_cast<float>(pair) / 4);
      const float a = x[first], b = x[first + 4];
      x[first] = a * std::cos(angle) - b * std::sin(angle);
      x[first + 4] = b * std::cos(angle) + a * std::sin(angle);
    }
    forced.add(tap, Array::from(x));
  }
  Tracer tracer;
  tracer.force(forced, Forcing::everything);
  run_reference(problem, Dtype::f32, Arithmetic{.order = linalg::Order::permuted}, tracer);
  // The recorded projections are the right ones.
  EXPECT_THAT(hint_at(problem, tracer.trace(), "layers.0.attn.context.text"),
              HasSubstr("positions go on from one modality to the next"));
}

TEST(HintAttention, InBfloat16) {
  const Problem problem = small_problem("dense[" + kModel + "]/batch=2,text_len=7/seed=31/bfloat16");
  const Trace right = run_permuted(problem, Dtype::bf16);
  Naive naive;
  naive.rotate_q = naive.rotate_k = false;
  const Trace wrong =
      with_tap(right, kName + ".context", Array::from(naive.context(right)).cast(Dtype::bf16));
  EXPECT_THAT(hint_at(problem, wrong, kName + ".context", Dtype::bf16), HasSubstr("rope is left out"));
}

}  // namespace
}  // namespace forgecheck

#include "reference/models/generate.h"

#include <random>

#include "tests/reference/models/small_models.h"

namespace forgecheck {
namespace {

double no_draw() {
  ADD_FAILURE() << "greedy decoding drew a number";
  return 0;
}

/// A model whose layers have no effect and whose most probable next token is t + 1 modulo 8: the embedding is
/// the identity, and row v of the head detects token v - 1.
class Successor : public testing::Test {
 protected:
  Successor() {
    architecture_.model.vocab_size = 8;
    for (const ParameterInfo& info : model_parameters(architecture_)) {
      weights_.set(info.name, Tensor<double>(info.shape));
    }
    weights_.set("token_embedding.embedding.weight", diagonal(8, 1));
    weights_.set("norm.weight", doubles({8}, std::vector<double>(8, 1)));
    Tensor<double>& head = weights_.mutable_at("output_head.proj.weight");
    for (std::int64_t v = 0; v < 8; ++v) head.row(v)[static_cast<std::size_t>((v + 7) % 8)] = 1;
  }
  std::vector<std::int64_t> continued(Shape shape, std::vector<std::int64_t> prompt,
                                      const std::function<double()>& uniform = no_draw) {
    tracer_ = Tracer();
    return generate(architecture_, weights_, Ids(std::move(shape), std::move(prompt)), options_, kPlain,
                    uniform, tracer_, "tokens")
        .data;
  }

  Architecture architecture_ = small_text();
  Weights<double> weights_;
  GenerateOptions options_;
  Tracer tracer_;
};

using Tokens = std::vector<std::int64_t>;

TEST_F(Successor, GreedyTakesTheLargestLogitEachTime) {
  options_.max_new_tokens = 4;
  EXPECT_EQ(continued({1, 2}, {3, 5}), (Tokens{3, 5, 6, 7, 0, 1}));
  EXPECT_EQ(tracer_.trace().at("tokens").shape(), (Shape{1, 6}));
}

TEST_F(Successor, NoNewTokensGiveThePrompt) {
  EXPECT_EQ(continued({2, 2}, {3, 5, 1, 0}), (Tokens{3, 5, 1, 0}));
}

// Row 1 has its EOS after two tokens, row 0 after five; row 1 continues until then.
TEST_F(Successor, StopsWhenEveryRowHasHadItsEos) {
  options_.max_new_tokens = 10;
  options_.eos_token_id = 5;
  EXPECT_EQ(continued({2, 1}, {0, 3}), (Tokens{0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7, 0}));
}

TEST_F(Successor, WithoutAnEosItRunsToTheEnd) {
  options_.max_new_tokens = 10;
  EXPECT_EQ(continued({1, 1}, {0}).size(), 11U);
  options_.eos_token_id = 100;
  EXPECT_EQ(continued({1, 1}, {0}).size(), 11U);
}

TEST_F(Successor, EosInThePromptDoesNotCount) {
  options_.max_new_tokens = 3;
  options_.eos_token_id = 5;
  EXPECT_EQ(continued({1, 2}, {5, 6}), (Tokens{5, 6, 7, 0, 1}));
}

TEST_F(Successor, PromptAndNewTokensMustFit) {
  options_.max_new_tokens = 14;  // of 16 positions
  EXPECT_EQ(continued({1, 2}, {0, 1}).size(), 16U);
  options_.max_new_tokens = 15;
  EXPECT_EQ(message_of([&] {
              continued({1, 2}, {0, 1});
            }),
            "[generate] a prompt of 2 and 15 new tokens do not fit model.max_seq_len = 16");
  options_.max_new_tokens = -1;
  EXPECT_EQ(message_of([&] {
              continued({1, 2}, {0, 1});
            }),
            "[generate] a prompt of 2 and -1 new tokens do not fit model.max_seq_len = 16");
}

TEST_F(Successor, WrongSamplingOptionIsNamed) {
  options_.sampling.top_p = 0;
  EXPECT_THAT(message_of<ConfigError>([&] {
                continued({1, 1}, {0});
              }),
              testing::StartsWith("generate.top_p = "));
}

// The logits are sqrt 8 for the next token and 0 for the 7 others: p = e^sqrt8 / (e^sqrt8 + 7) = 0.7073 for
// it. The numbers below 0.0418 draw token 0, larger ones draw 1, 2, ... in turn.
TEST_F(Successor, SamplingDrawsOnceForEachRowAndStep) {
  options_.max_new_tokens = 2;
  options_.sampling.temperature = 1.0;
  const std::vector<double> uniform = {0.04, 0.10, 0.9999, 0.5};
  std::size_t next = 0;
  const Tokens tokens = continued({2, 1}, {3, 6}, [&] { return uniform.at(next++); });
  EXPECT_EQ(next, 4U);
  EXPECT_EQ(tokens, (Tokens{3, 0, 7, 6, 2, 3}));
}

TEST_F(Successor, TopKOneIsGreedy) {
  options_.max_new_tokens = 3;
  options_.sampling = {.temperature = 1.0, .top_k = 1};
  EXPECT_EQ(continued({1, 1}, {3}, [] { return 0.999; }), (Tokens{3, 4, 5, 6}));
}

TEST_F(Successor, SeedRepeatsTheSample) {
  options_.max_new_tokens = 12;
  options_.sampling.temperature = 2.0;
  const auto sample = [&](std::uint64_t seed) {
    std::mt19937_64 generator(seed);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    return continued({1, 1}, {3}, [&] { return uniform(generator); });
  };
  EXPECT_EQ(sample(1), sample(1));
  EXPECT_NE(sample(1), sample(2));
}

TEST_F(Successor, ForcedTokensAreFollowedAndOwnChoicesKept) {
  options_.max_new_tokens = 3;
  Trace forced;
  forced.add("tokens", integers({1, 4}, {3, 7, 2, 2}));
  tracer_.force(forced, Forcing::decisions);
  const Ids out = generate<double>(architecture_, weights_, Ids({1, 1}, {3}), options_, kPlain, no_draw,
                                   tracer_, "tokens");
  EXPECT_EQ(out.data, (Tokens{3, 7, 2, 2}));
  EXPECT_EQ(tracer_.decisions().at("tokens").chosen.data, (Tokens{4, 0, 3}));
}

class Decode : public testing::Test {
 protected:
  const Architecture architecture_ = small_moe();
  Weights<float> weights_ = seeded_weights<float>(architecture_);
  const Ids tokens_{{2, 5}, {3, 1, 4, 1, 5, 9, 2, 6, 5, 3}};
  Tracer tracer_;
};

TEST_F(Decode, GivesTheLogitsOfTheForwardCall) {
  const auto whole = run_model(architecture_, weights_, token_inputs({2, 5}, tokens_.data)).logits;
  for (const std::vector<std::int64_t>& chunks :
       {std::vector<std::int64_t>{5}, {1, 1, 1, 1, 1}, {2, 3}, {1, 3, 1}}) {
    Tracer tracer;
    EXPECT_TRUE(identical(decode(architecture_, weights_, tokens_, chunks, {}, tracer), whole))
        << chunks.size();
    EXPECT_TRUE(identical(tracer.trace().at("logits").to<float>(), whole));
  }
}

TEST_F(Decode, TapsTheFilledCaches) {
  decode(architecture_, weights_, tokens_, {2, 3}, {}, tracer_);
  EXPECT_EQ(tracer_.trace().at("layers.2.kv_cache.k").shape(), (Shape{2, 1, 5, 4}));
  EXPECT_EQ(tracer_.trace().at("layers.0.kv_cache.v").shape(), (Shape{2, 1, 5, 4}));
  EXPECT_EQ(tracer_.trace().entries().size(), 7U);
}

TEST_F(Decode, ChunksMustBePositiveAndAddUp) {
  for (const std::vector<std::int64_t>& chunks :
       {std::vector<std::int64_t>{2, 2}, {3, 3}, {5, 0}, {6, -1}, {}}) {
    EXPECT_THAT(
        message_of<ConfigError>([&] { decode(architecture_, weights_, tokens_, chunks, {}, tracer_); }),
        testing::StartsWith("case.chunks add up to "));
  }
}

// Each new token is the argmax of a forward call on everything before it.
TEST_F(Decode, GenerationFollowsTheForwardCall) {
  GenerateOptions options;
  options.max_new_tokens = 5;
  const Ids out = generate(architecture_, weights_, tokens_, options, kPlain, no_draw, tracer_, "tokens");
  for (std::int64_t length = 5; length < 10; ++length) {
    Ids before({2, length});
    for (std::int64_t b = 0; b < 2; ++b) std::copy_n(out.row(b).begin(), length, before.row(b).begin());
    const auto logits = run_model(architecture_, weights_, token_inputs({2, length}, before.data)).logits;
    for (std::int64_t b = 0; b < 2; ++b) {
      const auto last = logits_at(logits, b, length - 1);
      EXPECT_EQ(out.row(b)[static_cast<std::size_t>(length)],
                std::max_element(last.begin(), last.end()) - last.begin());
    }
  }
}

}  // namespace
}  // namespace forgecheck

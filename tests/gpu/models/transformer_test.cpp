// Properties of the forward call for any weights: rows, chunks and stages do not depend on each other.
#include "gpu/models/transformer.h"

#include "gpu/models/generate.h"
#include "harness/backend/problem.h"
#include "reference/error.h"
#include "tests/gpu/gpu_test.h"

namespace forgecheck::gpu {
namespace {

using testing::HasSubstr;

const std::string kSizes =
    "dim=16,n_layers=5,n_heads=4,n_kv_heads=2,vocab_size=31,max_seq_len=40,ffn_hidden_dim=24";

template <class T>
class TransformerTest : public GpuTest {
 protected:
  /// Logits (B, S, V) of the problem.
  DeviceTensor<T> logits(const Problem& problem, const Inputs& inputs) {
    Recorder recorder(device, nullptr);
    const DeviceWeights<T> weights(device, problem.parameters);
    return forward(device, problem.definition.architecture, weights, inputs, ForwardOptions{}, recorder)
        .logits;
  }
};
TYPED_TEST_SUITE(TransformerTest, ElementTypes);

Problem problem_of(const std::string& text) {
  return seeded_problem(parse_case_text(text));
}

/// Logits of the same rows, where cuBLAS may use another kernel. Each of about ten modules may round the
/// stream differently, by a few units.
template <class T>
void expect_equal_up_to_products(const Tensor<double>& logits, const Tensor<double>& whole) {
  ASSERT_EQ(logits.shape, whole.shape);
  double largest = 0, size = 0;
  for (std::int64_t i = 0; i < whole.size(); ++i) {
    const double difference = std::abs(logits[i] - whole[i]);
    EXPECT_TRUE(std::isfinite(difference)) << i;
    largest = std::max(largest, difference);
    size = std::max(size, std::abs(whole[i]));
  }
  EXPECT_LE(largest, 64 * machine_epsilon(device_dtype<T>()) * size);
}

/// Row b of every input that has rows.
Inputs sample_of(const Inputs& inputs, std::int64_t b) {
  Inputs sample = inputs;
  Inputs::visit(sample, [b](const std::string&, std::optional<Array>& array) {
    if (!array) return;
    Shape shape = array->shape();
    const std::size_t bytes = array->bytes().size() / static_cast<std::size_t>(shape[0]);
    shape[0] = 1;
    const std::shared_ptr<std::byte> copy(new std::byte[bytes], std::default_delete<std::byte[]>());
    std::ranges::copy(array->bytes().subspan(static_cast<std::size_t>(b) * bytes, bytes), copy.get());
    array = Array(array->dtype(), shape, copy);
  });
  return sample;
}

// Dropless token choice too: only capacity and expert choice let tokens compete. The emulator gives the same
// bits. On a device cuBLAS uses another kernel for another number of rows, so logits are equal only up to the
// rounding of products; that our own kernels give the same bits is tested with each kernel.
TYPED_TEST(TransformerTest, ARowDoesNotDependOnTheBatchAroundIt) {
  const std::string cases[] = {
      "dense[" + kSizes + "]/batch=3,text_len=33,documents=3/seed=1",
      "moe[" + kSizes + ",num_experts=5,moe_top_k=2]/batch=3,text_len=9/seed=2",
      "moe[" + kSizes + ",num_experts=5,moe_packed_experts=true]/batch=3,text_len=9/seed=3",
      "joint_decoder[" + kSizes + ",max_text_len=16]/batch=3,text_len=4,image_tokens=5,padding=true/seed=4",
      "cross_attention[" + kSizes +
          ",max_text_len=16,cross_attention_every_n_layers=2]/"
          "batch=3,text_len=4,image_tokens=5,image_mask=true/seed=5",
      "mot[" + kSizes + ",max_text_len=16,num_image_tokens=5]/batch=3,text_len=4,image_tokens=5/seed=6",
  };
  for (const std::string& text : cases) {
    SCOPED_TRACE(text);
    const Problem problem = problem_of(text);
    const Tensor<double> all = this->get(this->logits(problem, problem.inputs));
    for (std::int64_t b = 0; b < 3; ++b) {
      SCOPED_TRACE("row " + std::to_string(b));
      const Tensor<double> single = this->get(this->logits(problem, sample_of(problem.inputs, b)));
      ASSERT_EQ(single.size() * 3, all.size());
      const auto begin = all.data.begin() + b * single.size();
      const Tensor<double> row(single.shape, {begin, begin + single.size()});
#ifdef FORGECHECK_SIMT
      EXPECT_EQ(single.data, row.data);
#else
      expect_equal_up_to_products<TypeParam>(single, row);
#endif
    }
  }
}

TYPED_TEST(TransformerTest, StagesComputeTheSameBits) {
  const Problem problem = problem_of("moe[" + kSizes + ",num_experts=3,moe_frequency=2]/text_len=6/seed=7");
  const Architecture& architecture = problem.definition.architecture;
  const std::vector<std::byte> whole = this->bytes(this->logits(problem, problem.inputs));
  const DeviceWeights<TypeParam> weights(this->device, problem.parameters);
  for (std::int64_t stages = 1; stages <= 5; ++stages) {
    EXPECT_EQ(this->bytes(forward_staged(this->device, architecture, weights, problem.inputs,
                                         ForwardOptions{}, stages)),
              whole)
        << stages << " stages";
  }
  for (const std::int64_t stages : {0, 6}) {
    EXPECT_EQ(message_of([&] {
                forward_staged(this->device, architecture, weights, problem.inputs, ForwardOptions{}, stages);
              }),
              "case.stages = " + std::to_string(stages) + ": must be in 1 .. n_layers = 5");
  }
}

// One token at a time, the projections and the cache see the same rows; attention sums in another order.
TYPED_TEST(TransformerTest, ChunksOnACacheGiveTheLogitsOfTheWhole) {
  const Problem problem = problem_of("dense[" + kSizes + ",qk_norm=true]/batch=2,text_len=35/seed=8");
  const Tensor<double> whole = this->get(this->logits(problem, problem.inputs));
  const DeviceWeights<TypeParam> weights(this->device, problem.parameters);
  const Tensor<std::int64_t> tokens = problem.inputs.tokens->to_int64();
  for (const std::vector<std::int64_t>& chunks :
       std::vector<std::vector<std::int64_t>>{{35}, {33, 1, 1}, {1, 1, 30, 3}}) {
    Recorder recorder(this->device, nullptr);
    decode(this->device, problem.definition.architecture, weights, tokens, chunks, ForwardOptions{},
           recorder);
    const Trace trace = recorder.finish();
    EXPECT_EQ(trace.at("layers.4.kv_cache.v").shape(), (Shape{2, 2, 35, 4}));
    const Tensor<double> logits = trace.at("logits").template to<double>();
    expect_equal_up_to_products<TypeParam>(logits, whole);
  }
}

using TransformerRules = GpuTest;

TEST_F(TransformerRules, ACacheMustHaveRoom) {
  const Problem problem = problem_of("dense[" + kSizes + "]/batch=2,text_len=4/seed=9");
  const Architecture& architecture = problem.definition.architecture;
  const DeviceWeights<float> weights(device, problem.parameters);
  std::vector<KvCache<float>> caches = make_kv_caches<float>(device, architecture.model, 2, 7);
  const auto step = [&](Recorder& recorder) {
    forward(device, architecture, weights, problem.inputs, ForwardOptions{}, recorder, &caches);
  };
  Recorder first(device, nullptr), second(device, nullptr);
  step(first);
  EXPECT_EQ(message_of([&] { step(second); }), "[kv_cache] 4 more positions do not fit: 4 of 7 are filled");
  EXPECT_FALSE(first.finish().empty());
  EXPECT_TRUE(second.finish().empty());  // refused before anything was computed
  EXPECT_EQ(caches[0].seq_len, 4);
}

// They cannot be told apart in a cache: what would be read wrongly is refused.
TEST_F(TransformerRules, ACacheTakesTokensWithoutDocuments) {
  const Problem problem = problem_of("dense[" + kSizes + "]/batch=2,text_len=4,documents=2/seed=9");
  const Architecture& architecture = problem.definition.architecture;
  const DeviceWeights<float> weights(device, problem.parameters);
  std::vector<KvCache<float>> caches = make_kv_caches<float>(device, architecture.model, 2, 7);
  Recorder recorder(device, nullptr);
  EXPECT_EQ(message_of([&] {
              forward(device, architecture, weights, problem.inputs, ForwardOptions{}, recorder, &caches);
            }),
            "[forward] doc_ids cannot be combined with a KV cache");
  EXPECT_TRUE(recorder.finish().empty());
}

TEST_F(TransformerRules, StagesAreForTextModels) {
  const Problem problem =
      problem_of("joint_decoder[" + kSizes + ",max_text_len=16]/text_len=4,image_tokens=2/seed=1");
  const DeviceWeights<float> weights(device, problem.parameters);
  EXPECT_THAT(message_of([&] {
                forward_staged(device, problem.definition.architecture, weights, problem.inputs,
                               ForwardOptions{}, 2);
              }),
              HasSubstr("text models only"));
}

TEST_F(TransformerRules, GenerationIsChecked) {
  const Problem problem = problem_of("dense[" + kSizes + "]/batch=1,text_len=4/seed=9");
  const DeviceWeights<float> weights(device, problem.parameters);
  const Tensor<std::int64_t> tokens = problem.inputs.tokens->to_int64();
  Recorder recorder(device, nullptr);
  GenerateOptions options;
  options.max_new_tokens = 37;
  EXPECT_THAT(message_of([&] {
                generate(device, problem.definition.architecture, weights, tokens, options, nullptr, recorder,
                         "tokens");
              }),
              HasSubstr("a prompt of 4 and 37 new tokens do not fit model.max_seq_len = 40"));
  for (const std::vector<std::int64_t>& chunks : std::vector<std::vector<std::int64_t>>{{3}, {5, -1}, {}}) {
    EXPECT_THROW(
        decode(device, problem.definition.architecture, weights, tokens, chunks, ForwardOptions{}, recorder),
        ConfigError);
  }
}

TEST_F(TransformerRules, GenerationStopsWhenEveryRowHasEnded) {
  const Problem problem = problem_of("dense[" + kSizes + "]/batch=2,text_len=3/seed=10");
  const DeviceWeights<float> weights(device, problem.parameters);
  Recorder recorder(device, nullptr);
  GenerateOptions options;
  options.max_new_tokens = 9;
  options.eos_token_id = 5;
  // Row 0 ends at once, row 1 at the third step; row 0 goes on until then.
  std::int64_t calls = 0;
  options.sampling.temperature = 1.0;
  const DrawToken draw = [&calls](std::span<const float> logits) {
    EXPECT_EQ(logits.size(), 31U);
    const std::int64_t chosen[] = {5, 1, 2, 3, 4, 5};
    return chosen[calls++];
  };
  const Tensor<std::int64_t> out =
      generate(device, problem.definition.architecture, weights, problem.inputs.tokens->to_int64(), options,
               draw, recorder, "tokens");
  EXPECT_EQ(out.shape, (Shape{2, 6}));
  EXPECT_EQ(std::vector<std::int64_t>(out.row(0).begin() + 3, out.row(0).end()),
            (std::vector<std::int64_t>{5, 2, 4}));
  EXPECT_EQ(std::vector<std::int64_t>(out.row(1).begin() + 3, out.row(1).end()),
            (std::vector<std::int64_t>{1, 3, 5}));
}

}  // namespace
}  // namespace forgecheck::gpu

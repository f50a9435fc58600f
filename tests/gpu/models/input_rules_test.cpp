// What the models refuse on the host, and what they make of the inputs that they take.
#include <gmock/gmock.h>

#include "gpu/models/generate.h"
#include "gpu/models/layer_inputs.h"
#include "gpu/models/objective.h"
#include "gpu/models/transformer.h"
#include "harness/backend/problem.h"
#include "tests/gpu/gpu_test.h"

namespace forgecheck::gpu {
namespace {

using testing::ElementsAre;

const std::string kSizes = "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24";

class InputRules : public GpuTest {
 protected:
  static Problem problem_of(const std::string& text) { return seeded_problem(parse_case_text(text)); }

  /// The error of a forward call on the problem's inputs.
  std::string refusal(const Problem& problem, const ForwardOptions& options = {}) {
    Recorder recorder(device, nullptr);
    const DeviceWeights<float> weights(device, problem.parameters);
    return message_of([&] {
      forward(device, problem.definition.architecture, weights, problem.inputs, options, recorder);
    });
  }
};

TEST_F(InputRules, NoiseIsNeededInTrainingUnlessItIsSwitchedOff) {
  const std::string moma = "moma[" + kSizes + ",max_text_len=16";
  ForwardOptions training;
  training.training = true;
  Problem problem = problem_of(moma + "]/text_len=4,image_tokens=3/train");
  problem.inputs.gumbel.erase("layers.1.text");
  EXPECT_EQ(refusal(problem, training),
            "[moma] training with moma_gumbel_noise needs the input gumbel.layers.1.text");
  EXPECT_EQ(refusal(problem), "no error");
  EXPECT_EQ(refusal(problem_of(moma + ",moma_gumbel_noise=false]/text_len=4,image_tokens=3"), training),
            "no error");
}

TEST_F(InputRules, MasksAreTrueWhereTheyAreNotZero) {
  Problem problem =
      problem_of("joint_decoder[" + kSizes + ",max_text_len=16]/batch=1,text_len=2,image_tokens=2");
  problem.inputs.key_padding_mask = Array::from(Tensor<std::int64_t>({1, 4}, {256, 0, -1, 1}));
  problem.inputs.doc_ids = Array::from(Tensor<std::int64_t>({1, 4}, {256, 256, 3, 3}));
  const auto inputs = upload_layer_inputs<float>(device, problem.definition.architecture, problem.inputs);
  EXPECT_THAT(device.download(inputs.key_padding_mask).to_int64().data, ElementsAre(1, 0, 1, 1));
  EXPECT_THAT(device.download(inputs.doc_ids).to_int64().data, ElementsAre(256, 256, 3, 3));
}

TEST_F(InputRules, StagesAreCheckedLikeTheWhole) {
  Problem problem = problem_of("dense[" + kSizes + "]/batch=1,text_len=3");
  const DeviceWeights<float> weights(device, problem.parameters);
  const auto staged = [&] {
    return message_of([&] {
      forward_staged(device, problem.definition.architecture, weights, problem.inputs, ForwardOptions{}, 2);
    });
  };
  EXPECT_EQ(staged(), "no error");
  problem.inputs.tokens = Array::from(Tensor<std::int64_t>({1, 3}, {30, 31, 0}));
  EXPECT_EQ(staged(), "[embedding] tokens[1] = 31 is outside 0 .. 30");
  problem.inputs.vision_features = Array::from(Tensor<float>({1, 2, 6}));
  EXPECT_EQ(staged(), "[forward] pipeline stages take no vision_features");
  problem.inputs = {};
  EXPECT_EQ(staged(), "[forward] exactly one of tokens and inputs_embeds must be given, got neither");
}

TEST_F(InputRules, ANegativeNumberOfNewTokensIsRefused) {
  const Problem problem = problem_of("dense[" + kSizes + "]/batch=1,text_len=3");
  const DeviceWeights<float> weights(device, problem.parameters);
  Recorder recorder(device, nullptr);
  GenerateOptions options;
  options.max_new_tokens = -1;
  EXPECT_EQ(message_of([&] {
              generate(device, problem.definition.architecture, weights, problem.inputs.tokens->to_int64(),
                       options, nullptr, recorder, "tokens");
            }),
            "[generate] a prompt of 3 and -1 new tokens do not fit model.max_seq_len = 32");
}

TEST_F(InputRules, LabelsHaveTheShapeOfTheLogits) {
  Problem problem = problem_of("dense[" + kSizes + "]/batch=2,text_len=3/output_slice=1:");
  const DeviceWeights<float> weights(device, problem.parameters);
  Recorder recorder(device, nullptr);
  const auto result =
      forward(device, problem.definition.architecture, weights, problem.inputs, ForwardOptions{}, recorder);
  const auto loss = [&](const Shape& shape) {
    return message_of([&] {
      objective(device, problem.definition.architecture.model, result,
                Array::from(Tensor<std::int64_t>(shape)), LossOptions{}, recorder);
    });
  };
  EXPECT_EQ(loss({2, 3}), "[loss] labels has shape 2x3, expected 2x2");
  EXPECT_EQ(loss({2, 2}), "no error");
}

}  // namespace
}  // namespace forgecheck::gpu

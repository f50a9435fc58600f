// What a recording's case says of its inputs is what the recording has.
#include "harness/golden/recorded_sizes.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "harness/case/make_inputs.h"
#include "harness/fuzz/random_case.h"

namespace forgecheck {
namespace {

std::map<std::string, Array> arrays_of(const Inputs& inputs) {
  std::map<std::string, Array> arrays = inputs.gumbel;
  Inputs::visit(inputs, [&](const std::string& name, const std::optional<Array>& array) {
    if (array) arrays.emplace(name, *array);
  });
  return arrays;
}

bool equal(const Inputs& a, const Inputs& b) {
  return std::ranges::equal(arrays_of(a), arrays_of(b), [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.shape() == y.second.shape() &&
           std::ranges::equal(x.second.bytes(), y.second.bytes());
  });
}

TEST(RecordedSizes, OfSeededInputsMakeTheSameInputs) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const Case value = random_case(seed);
    const Inputs inputs = make_inputs(value);
    Case recorded = value;
    recorded.inputs = sizes_of(inputs, value.architecture);
    EXPECT_EQ(recorded.inputs.batch, value.inputs.batch);
    EXPECT_EQ(recorded.inputs.text_len, value.inputs.text_len);
    EXPECT_TRUE(equal(make_inputs(recorded), inputs)) << case_text(value) << "\n" << case_text(recorded);
  }
}

TEST(RecordedSizes, OfEachKindOfInput) {
  const std::string model = "[dim=16,n_layers=1,n_heads=2,vocab_size=11,max_seq_len=32";
  for (const std::string& text : {
           "dense" + model + "]/batch=1,text_len=5,embeds=true,padding=true/seed=1",
           "dense" + model + "]/batch=3,text_len=9,documents=3/seed=1",
           "dense" + model + "]/batch=2,text_len=8,documents=2,documents_recur=true/seed=1",
           "dense" + model + "]/batch=2,text_len=9,ignore_labels=true/seed=1/loss=cross_entropy",
           "joint_decoder" + model +
               ",max_text_len=8,adapter.type=linear,feature_dim=6]/batch=2,text_len=4,"
               "patches=4,frames=3,padding=true/seed=1",
           "joint_decoder" + model +
               ",max_text_len=8,adapter.type=linear,feature_dim=6]/batch=2,text_len=4,"
               "patches=4/seed=1",
           "cross_attention" + model +
               ",max_text_len=8]/batch=2,text_len=4,image_tokens=5,image_mask=true/seed=1",
           "mot" + model + ",max_text_len=8,num_image_tokens=3]/batch=2,text_len=4,image_tokens=3/seed=1",
           "moma" + model + ",max_text_len=8]/batch=2,text_len=4,image_tokens=3,interleaved=true/seed=1",
           "moma" + model + ",max_text_len=8]/batch=2,text_len=4,image_tokens=3/seed=1",
           "mot" + model + ",max_text_len=8,num_image_tokens=3]/batch=2,text_len=7,embeds=true/seed=1",
           "moma" + model +
               ",max_text_len=8,num_image_tokens=3]/batch=2,text_len=7,embeds=true,interleaved=true/seed=1",
           "moma" + model + ",max_text_len=8,num_image_tokens=3]/batch=2,text_len=7,embeds=true/seed=1",
       }) {
    Case value = parse_case_text(text);
    value.inputs = sizes_of(make_inputs(value), value.architecture);
    EXPECT_EQ(case_text(value).substr(case_text(value).find("/batch")), text.substr(text.find("/batch")));
  }
}

TEST(RecordedSizes, TensorsOfAnyShapeAreRead) {
  Inputs inputs;
  inputs.tokens = Array::from(Tensor<std::int64_t>({3}));
  inputs.doc_ids = Array::from(Tensor<std::int64_t>({3}));
  inputs.modality_ids = Array::from(Tensor<std::int64_t>({0, 2}));
  inputs.vision_features = Array::from(Tensor<float>({2}));
  const SeededInputs sizes = sizes_of(inputs, {});
  EXPECT_EQ(sizes.batch, 3);
  EXPECT_EQ(sizes.text_len, 0);
  EXPECT_EQ(sizes.patches, 0);
  EXPECT_EQ(sizes.documents, 0);
}

}  // namespace
}  // namespace forgecheck

// A wrong case is an error that names the segment or the field, and the value.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/case/case.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;

/// The message of the ConfigError; "(accepted)" without one.
std::string text_rejection(const std::string& text) {
  try {
    parse_case_text(text);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "(accepted)";
}
std::string json_rejection(const std::string& json) {
  try {
    parse_case_json(json);
  } catch (const Error& error) {
    return error.what();
  }
  return "(accepted)";
}

struct Rejection {
  std::string given;
  std::vector<std::string> named;  // what the message must contain
};

void PrintTo(const Rejection& rejection, std::ostream* out) {
  *out << rejection.given;
}

class TextRejection : public testing::TestWithParam<Rejection> {};
class JsonRejection : public testing::TestWithParam<Rejection> {};

TEST_P(TextRejection, NamesWhatIsWrong) {
  const std::string message = text_rejection(GetParam().given);
  for (const std::string& part : GetParam().named) EXPECT_THAT(message, HasSubstr(part));
}

TEST_P(JsonRejection, NamesWhatIsWrong) {
  const std::string message = json_rejection(GetParam().given);
  for (const std::string& part : GetParam().named) EXPECT_THAT(message, HasSubstr(part));
}

const Rejection kTexts[] = {
    // the architecture
    {"", {"architecture \"\"", "one of dense, moe, joint_decoder, cross_attention, mot, moma"}},
    {"foo[dim=64]",
     {"foo[dim=64]", "\"foo\"", "one of dense, moe, joint_decoder, cross_attention, mot, moma"}},
    {"transformer", {"architecture", "transformer"}},
    {"Dense", {"Dense"}},
    {"dense[dim=64", {"dense[dim=64", "]"}},
    {"dense[num_experts=4]", {"num_experts = 4", "moe"}},
    {"moe", {"num_experts = 0", "dense"}},
    {"dense[dime=64]", {"model.dime = 64", "dim"}},
    {"dense[dim]", {"dim"}},
    {"dense[dim=]", {"dim="}},
    {"dense[dim=64,dim=64]", {"dim", "twice"}},
    {"dense[dim=64.0]", {"model.dim = 64.0"}},
    {"dense[dim=-64]", {"model.dim = -64"}},
    {"dense[activation=tanh]", {"activation", "tanh"}},
    {"dense[max_text_len=4]", {"max_text_len"}},
    {"dense[mot_modalities=[image,text]]", {"mot_modalities"}},
    {"moma[mot_image_n_heads=4]", {"mot_image_n_heads"}},
    {"mot[feature_dim=x]", {"feature_dim = x", "integer"}},
    {"mot[num_image_tokens=-1]", {"num_image_tokens = -1"}},
    {"joint_decoder[adapter.kind=linear]", {"adapter.kind = linear"}},
    {"joint_decoder[adapter.type=conv]", {"adapter.type", "conv"}},
    // segments
    {"dense/", {"segment \"\""}},
    {"dense//train", {"segment \"\""}},
    {"dense/testing", {"testing"}},
    {"dense/float16", {"float16"}},
    {"dense/lenght=4", {"lenght=4"}},
    {"dense/train=true", {"train=true"}},
    {"dense/forward=1", {"forward=1"}},
    {"dense/seed", {"seed"}},
    {"dense/moe_step=1:2:3", {"moe_step=1:2:3", "a pair of integers with ':' between them"}},
    {"dense/seed=", {"seed="}},
    {"dense/seed=-1", {"seed=-1", "2^64 - 1"}},
    {"dense/seed=1.0", {"seed=1.0"}},
    {"dense/seed=18446744073709551616", {"18446744073709551616", "2^64 - 1"}},
    {"dense/seed=7 ", {"seed=7 "}},
    {"dense/batch=two", {"batch", "two"}},
    {"dense/batch=2,lenght=3", {"lenght"}},
    {"dense/batch=-1", {"inputs.batch = -1"}},
    {"dense/embeds=1", {"inputs.embeds = 1", "true or false"}},
    {"dense/output_slice=3", {"output_slice=3", ":"}},
    {"dense/output_slice=1:2:3", {"output_slice=1:2:3"}},
    {"dense/output_slice=a:", {"output_slice=a:", "integer"}},
    {"dense/moe_step=3", {"moe_step=3"}},
    {"dense/moe_step=-3:10", {"moe_step = -3"}},
    {"dense/moe_step=:10", {"moe_step=:10"}},
    {"dense/stages=33", {"stages = 33", "n_layers = 32"}},
    {"dense/stages=-1", {"stages = -1"}},
    {"joint_decoder/stages=2", {"stages = 2", "text"}},
    {"dense/stages=2/loss=cross_entropy", {"stages = 2", "loss has no staged logits"}},
    {"dense/text_len=4/greedy_from=2:1/loss=cross_entropy", {"greedy_from = 2", "loss has no greedy"}},
    {"dense/decode=", {"decode="}},
    {"dense/decode=6+", {"decode=6+"}},
    {"dense/decode=6+0", {"chunks = 0"}},
    {"dense/decode=6+-1", {"chunks = -1"}},
    {"dense/decode=6/train", {"train", "eval"}},
    {"dense/decode=6/output_slice=1:", {"output_slice"}},
    {"moma/decode=6", {"decode", "moma"}},
    {"cross_attention/generate=6", {"generate", "cross_attention"}},
    {"dense/generate=-1", {"max_new_tokens = -1"}},
    {"dense/generate=6/output_slice=1:", {"case.output_slice: cannot be combined with a KV cache"}},
    {"dense/generate=6/train", {"case.mode = train: decoding runs in eval mode"}},
    {"dense/generate=5,eos=3", {"eos = 3"}},
    {"dense/generate=five", {"five"}},
    {"dense/generate=5,temperature=-1", {"temperature"}},
    {"dense/generate=5,top_p=0", {"top_p"}},
    {"dense/generate=5,top_k=-2", {"top_k"}},
    {"dense/generate=5,max_new_tokens=7", {"generate=5,max_new_tokens=7", "max_new_tokens is given twice"}},
    {"dense/generate", {"segment \"generate\": unknown segment"}},
    {"dense/loss=mse", {"loss.kind = mse", "cross_entropy"}},
    {"dense/loss=cross_entropy,kind=chunked_cross_entropy", {"kind is given twice"}},
    {"dense/loss=cross_entropy,chunks=3", {"chunks = 3"}},
    {"dense/loss=chunked_cross_entropy,chunk_size=0", {"chunk_size = 0"}},
    {"dense/loss=cross_entropy,z_loss_weight=-0.5", {"z_loss_weight = -0.5"}},
    {"dense/loss=cross_entropy,z_loss_weight=nan", {"z_loss_weight"}},
    {"dense/mot_moe_totals=yes", {"mot_moe_totals=yes"}},
    {"dense/greedy_from=4", {"greedy_from=4"}},
    {"dense/greedy_from=-4:2", {"greedy_from = -4"}},
    {"dense/greedy_from=4:-2", {"greedy_from = -2"}},
};
INSTANTIATE_TEST_SUITE_P(All, TextRejection, testing::ValuesIn(kTexts));

const Rejection kJson[] = {
    {"", {"not valid JSON"}},
    {"[]", {"case: expected an object, got []"}},
    {"{", {"not valid JSON"}},
    {R"({"seed": 1, "seed": 1})", {"seed: is given twice"}},
    {R"({"loss": {"z_loss_weight": 1e999}})", {"loss.z_loss_weight: the number 1e999 is too large"}},
    {R"({"vision_encoder": {}})", {"case.vision_encoder: unknown field"}},
    {R"({"inptus": {}})", {"case.inptus: unknown field, did you mean inputs?"}},
    {R"({"inputs": {"batch": -1}})", {"inputs.batch = -1", "at least 0"}},
    {R"({"modle": {}})", {"modle"}},
    {R"({"model": []})", {"model"}},
    {R"({"model": {"dim": "64"}})", {"model.dim", "64"}},
    {R"({"model": {"dim": null}})", {"model.dim", "null"}},
    {R"({"model": {"dimm": 64}})", {"case.model.dimm: unknown field, did you mean dim?"}},
    {R"({"model": {"dim": 0}})", {"model.dim = 0"}},
    {R"({"vlm": {"arch": "clip"}})", {"arch", "clip"}},
    {R"({"vlm": {"arch": "moma", "moma_experts_per_modality": {"image": "two"}}})",
     {"moma_experts_per_modality"}},
    {R"({"vlm": {"arch": "moma", "moma_experts_per_modality": {"image": null}}})",
     {"moma_experts_per_modality: expected a table of integers"}},
    {R"({"vlm": {"arch": "mot", "mot_modalities": ["image", 3]}})", {"mot_modalities"}},
    {R"({"adapter": {"type": "linear", "feature_dim": 1.5}})", {"feature_dim", "1.5"}},
    {R"({"seed": -1})", {"seed", "-1"}},
    {R"({"seed": 1.0})", {"seed", "1.0"}},
    {R"({"seed": "7"})", {"seed", "7"}},
    {R"({"seed": 18446744073709551616})", {"seed", "expected an integer in 0 .. 2^64 - 1"}},
    {R"({"mode": "test"})", {"mode", "test", "eval, train"}},
    {R"({"mode": true})", {"mode", "true"}},
    {R"({"dtype": "float16"})", {"dtype", "float16", "bfloat16"}},
    {R"({"run": "backward"})", {"run", "backward", "gradients"}},
    {R"({"run": "decode"})", {"chunks"}},
    {R"({"run": "decode", "chunks": 6})", {"chunks", "6"}},
    {R"({"run": "decode", "chunks": [6, "1"]})", {"chunks"}},
    {R"({"run": "decode", "chunks": [6, 0]})", {"chunks = 0"}},
    {R"({"output_slice": [1]})", {"output_slice", "[1]", "pair"}},
    {R"({"output_slice": [1, 2.5]})", {"output_slice", "2.5"}},
    {R"({"moe_step": 3})", {"moe_step", "3", "pair"}},
    {R"({"moe_step": [null, 3]})", {"moe_step", "null"}},
    {R"({"stages": "two"})", {"stages", "two"}},
    {R"({"generate": 5})", {"generate", "5", "object"}},
    {R"({"generate": {"max_tokens": 5}})", {"generate.max_tokens"}},
    {R"({"generate": {"max_new_tokens": 5.5}})", {"generate.max_new_tokens", "5.5"}},
    {R"({"loss": {"kind": "mse"}})", {"loss.kind", "mse", "cross_entropy"}},
    {R"({"loss": {"weight": 1}})", {"loss.weight"}},
    {R"({"loss": {"z_loss_weight": "1"}})", {"loss.z_loss_weight"}},
    {R"({"inputs": {"batch": true}})", {"case.inputs.batch: expected an integer, got true"}},
    {R"({"inputs": {"lenght": 3}})", {"case.inputs.lenght: unknown field"}},
    {R"({"mot_moe_totals": 1})", {"mot_moe_totals", "1"}},
    {R"({"greedy_from": [5]})", {"greedy_from"}},
};
INSTANTIATE_TEST_SUITE_P(All, JsonRejection, testing::ValuesIn(kJson));

TEST(TextRejection, TheSameSegmentTwice) {
  for (const char* text : {"dense/seed=1/seed=2", "dense/decode=6+1/generate=3", "dense/decode=6/decode=1",
                           "dense/batch=6/batch=1", "dense/eval/train"}) {
    EXPECT_THROW(parse_case_text(text), ConfigError) << text;
  }
}
TEST(TextRejection, AnInfiniteLossWeight) {
  EXPECT_EQ(text_rejection("dense/loss=cross_entropy,z_loss_weight=inf"),
            "loss.z_loss_weight = inf: must be finite and at least 0");
}
TEST(TextRejection, ANumberIsShownWithAllItsDigits) {
  EXPECT_EQ(text_rejection("dense/batch=-9223372036854775808"),
            "inputs.batch = -9223372036854775808: must be at least 0");
}
TEST(TextRejection, ATokenBelowZeroEndsNoText) {
  EXPECT_EQ(text_rejection("dense/generate=5,eos_token_id=-1"),
            "generate.eos_token_id = -1: must be at least 0");
}
TEST(JsonRejection, IntegersPastInt64) {
  EXPECT_THROW(parse_case_json(R"({"output_slice": [18446744073709551615, null]})"), FormatError);
  EXPECT_THROW(parse_case_json(R"({"run": "generate", "generate": {"eos_token_id": 18446744073709551615}})"),
               FormatError);
}

}  // namespace
}  // namespace forgecheck

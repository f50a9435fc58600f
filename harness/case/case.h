// A case: a model, how its inputs and weights are made, and what to run. Its one-line text is its name, the
// filter that finds it and the way to repeat it; its JSON is in the metadata of golden files. case_fields.h
// describes every field once, and both forms are derived from that table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reference/config.h"
#include "reference/inputs.h"
#include "reference/options.h"

namespace forgecheck {

enum class RunKind { forward, decode, loss, gradients, generate };

inline constexpr Named<RunKind> kRunKinds[] = {
    {RunKind::forward, "forward"},     {RunKind::decode, "decode"},     {RunKind::loss, "loss"},
    {RunKind::gradients, "gradients"}, {RunKind::generate, "generate"},
};

std::string to_string(RunKind run);

/// Inputs made from the seed (harness/case/make_inputs.h): their sizes and which optional ones there are.
struct SeededInputs {
  std::int64_t batch = 2;
  std::int64_t text_len = 8;
  std::int64_t image_tokens = 0;  // length of prefix_embeds, or of image_features under cross_attention
  std::int64_t patches = 0;       // vision_features for the adapter, instead of image_tokens
  std::int64_t frames = 0;        // of a video, each with `patches`
  std::int64_t documents = 0;     // packed in each row; 0: no doc_ids
  bool embeds = false;            // inputs_embeds instead of tokens
  bool padding = false;           // key_padding_mask (frame_mask of a video)
  bool image_mask = false;
  bool interleaved = false;      // modality ids in any order instead of image before text
  bool ignore_labels = false;    // every fourth label is -100
  bool documents_recur = false;  // the first half of each row's documents comes again, with the same ids
  double scale = 1.0;            // of embeddings and features
};

struct Case {
  Architecture architecture;
  std::uint64_t seed = 0;
  bool train = false;
  Dtype dtype = Dtype::f32;  // storage of weights and inputs: f32 or bf16
  RunKind run = RunKind::forward;
  SeededInputs inputs;
  std::optional<OutputSlice> output_slice;
  std::optional<MoeStep> moe_step;
  std::int64_t stages = 0;             // pipeline stages of "logits.staged"; 0: none
  std::vector<std::int64_t> chunks;    // decode
  GenerateOptions generate;            // generate
  LossOptions loss;                    // loss
  bool mot_moe_totals = false;         // see ForwardOptions
  std::int64_t greedy_from = 0;        // forward: also tap "greedy_from_{n}", the first n tokens of each row
  std::int64_t greedy_new_tokens = 0;  // continued greedily by so many
};

/// Parses the "case" object of a golden file's metadata, and validates it. Throws FormatError with the path
/// of a field that is unknown or of the wrong type, and ConfigError naming a field and its value where it
/// breaks a rule.
Case parse_case_json(std::string_view json);
/// The same object: only fields that differ from the defaults, but always seed, mode, dtype and run.
std::string case_json(const Case& value);

/// Parses `arch[field=value,...]/batch=2,text_len=12/seed=7/train`, the segments after the first in any
/// order:
///   input sizes and flags as in SeededInputs; seed=N; eval or train; float32 or bfloat16;
///   output_slice=START:STOP; moe_step=STEP:MAX; stages=N; decode=6+1+1;
///   generate=N,eos_token_id=T,temperature=X,top_k=K,top_p=P; loss=KIND,chunk_size=N,z_loss_weight=W;
///   mot_moe_totals=true; greedy_from=N:NEW
/// Fields are those of [model] and [vlm] by name, adapter.<field>, feature_dim and num_image_tokens.
/// Throws ConfigError naming the segment or the field, and the value.
Case parse_case_text(std::string_view text);
std::string case_text(const Case& value);

/// Rules between the parts of a case (decode needs chunks, mot needs num_image_tokens, ...), and those of its
/// architecture. Throws ConfigError.
void validate(const Case& value);

}  // namespace forgecheck

#include "harness/case/make_inputs.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "harness/case/seeded.h"
#include "reference/error.h"
#include "reference/linalg/parallel.h"
#include "reference/models/adapter.h"
#include "reference/parameters.h"

namespace forgecheck {

namespace {

/// Draws for one case.
class Source {
 public:
  Source(std::uint64_t seed, double scale) : seed_(seed), scale_(scale) {}

  /// Embeddings and features, of variance 1 but for the case's scale.
  Array embeddings(const std::string& name, const Shape& shape) const {
    return floats(name, shape, std::sqrt(3.0) * scale_);
  }
  Array floats(const std::string& name, const Shape& shape, double scale) const {
    return Array::from(seeded_tensor("input." + name, shape, seed_, static_cast<float>(scale), 0.0F));
  }
  /// v_i mod `modulus`.
  Tensor<std::int64_t> integers(const std::string& name, const Shape& shape, std::int64_t modulus) const {
    const std::uint64_t key = seeded_key("input." + name, seed_);
    Tensor<std::int64_t> values(shape);
    for (std::int64_t i = 0; i < values.size(); ++i) {
      const std::uint64_t v = splitmix64(key + static_cast<std::uint64_t>(i)) >> 40;
      values[i] = static_cast<std::int64_t>(v % static_cast<std::uint64_t>(modulus));
    }
    return values;
  }
  Array mask(const std::string& name, const Shape& shape) const {
    const Tensor<std::int64_t> draws = integers(name, shape, 4);
    Tensor<std::uint8_t> values(shape);
    for (std::int64_t i = 0; i < values.size(); ++i) values[i] = draws[i] != 0 ? 1 : 0;
    const bool masks_nothing = std::ranges::find(values.data, 0) == values.data.end();
    if (masks_nothing && values.width() > 1) values[values.width() - 1] = 0;
    return Array::from(values);
  }

 private:
  std::uint64_t seed_;
  double scale_;
};

/// Document s * count / length of position s, every row's boundaries shifted by a position more. Where they recur there are
/// twice as many, and the ids of the first half come again.
Array documents(std::int64_t batch, std::int64_t length, std::int64_t count, bool recur) {
  Tensor<std::int64_t> ids({batch, length});
  for (std::int64_t i = 0; i < ids.size(); ++i) {
    const std::int64_t row = i / length, position = std::min(i % length + row, length - 1);
    ids[i] = position * (recur ? 2 * count : count) / length % count;
  }
  return Array::from(ids);
}

std::int64_t index_of(const std::vector<std::string>& modalities, const std::string& name) {
  return std::ranges::find(modalities, name) - modalities.begin();
}

/// The modalities that modality_ids count.
const std::vector<std::string>& modalities_of(const VlmConfig& vlm) {
  switch (vlm.arch) {
    case VlmArch::mot:
      return vlm.mot_modalities;
    case VlmArch::moma:
      return vlm.moma_modalities;
    case VlmArch::joint_decoder:
    case VlmArch::cross_attention:
      throw ConfigError("vlm.arch = " + to_string(vlm.arch) + ": has no modality_ids");
  }
  throw_not_an_enumerator("vlm.arch", vlm.arch);
}

bool has_labels(RunKind run) {
  switch (run) {
    case RunKind::forward:
    case RunKind::decode:
    case RunKind::generate:
      return false;
    case RunKind::loss:
    case RunKind::gradients:
      return true;
  }
  throw_not_an_enumerator("case.run", run);
}

Array modality_ids(const Case& value, const Source& source, std::int64_t prefix, std::int64_t residual) {
  const VlmConfig& vlm = *value.architecture.vlm;
  const std::vector<std::string>& modalities = modalities_of(vlm);
  const std::int64_t batch = value.inputs.batch;
  if (value.inputs.interleaved) return Array::from(source.integers("modality_ids", {batch, residual}, 2));
  Tensor<std::int64_t> ids({batch, residual});
  for (std::int64_t i = 0; i < ids.size(); ++i) {
    ids[i] = index_of(modalities, i % residual < prefix ? "image" : "text");
  }
  return Array::from(ids);
}

/// Noise for each layer and modality of moma: one row for each token that takes part.
void add_gumbel(const Case& value, const Source& source, std::int64_t prefix, Inputs& inputs) {
  const VlmConfig& vlm = *value.architecture.vlm;
  std::optional<Array> takes_part = inputs.key_padding_mask;
  if (inputs.frame_mask) {
    takes_part = spread_frame_mask(*inputs.frame_mask, prefix / value.inputs.frames, value.inputs.text_len);
  }
  for (std::int64_t layer = 0; layer < value.architecture.model.n_layers; ++layer) {
    for (std::int64_t id = 0; id < std::ssize(vlm.moma_modalities); ++id) {
      const std::string& modality = vlm.moma_modalities[static_cast<std::size_t>(id)];
      std::int64_t tokens = 0;
      for (std::int64_t i = 0; i < inputs.modality_ids->size(); ++i) {
        const bool valid = !takes_part || takes_part->int_at(i) != 0;
        if (inputs.modality_ids->int_at(i) == id && valid) ++tokens;
      }
      const std::string key = fmt::format("layers.{}.{}", layer, modality);
      const Shape shape{tokens, vlm.moma_experts_per_modality.at(modality)};
      if (tokens > 0) inputs.gumbel.emplace(key, source.floats("gumbel." + key, shape, 2.0));
    }
  }
}

/// Image tokens in front of the text, and what carries them.
std::int64_t add_images(const Case& value, const Source& source, Inputs& inputs) {
  const Architecture& architecture = value.architecture;
  const SeededInputs& sizes = value.inputs;
  const bool side_channel = architecture.has_side_channel();
  if (sizes.patches > 0) {
    Shape shape{sizes.batch, sizes.patches, architecture.feature_dim};
    if (sizes.frames > 0) shape.insert(shape.begin() + 1, sizes.frames);
    inputs.vision_features = source.embeddings("vision_features", shape);
    if (sizes.padding && sizes.frames > 0) {
      inputs.frame_mask = source.mask("frame_mask", {sizes.batch, sizes.frames});
    }
    if (!architecture.adapter) throw ConfigError("inputs.patches: vision features need an adapter");
    const std::int64_t frames = std::max<std::int64_t>(1, sizes.frames);
    return side_channel ? 0 : frames * architecture.adapter->output_num_tokens(sizes.patches);
  }
  if (sizes.image_tokens == 0) return 0;
  const Shape shape{sizes.batch, sizes.image_tokens, architecture.model.dim};
  if (side_channel) {
    inputs.image_features = source.embeddings("image_features", shape);
    if (sizes.image_mask) inputs.image_mask = source.mask("image_mask", {sizes.batch, sizes.image_tokens});
    return 0;
  }
  inputs.prefix_embeds = source.embeddings("prefix_embeds", shape);
  return sizes.image_tokens;
}

/// Refuses `inputs.<field> = value`, where that would contradict something, or be ignored.
void require(bool holds, const char* field, std::int64_t value, const std::string& rule) {
  if (!holds) throw ConfigError(fmt::format("inputs.{} = {}: {}", field, value, rule));
}
void require_unset(bool flag, const char* field, const std::string& rule) {
  if (flag) throw ConfigError(fmt::format("inputs.{} = true: {}", field, rule));
}

/// Sizes that contradict each other or the architecture, and what would be ignored.
void check_sizes(const Case& value) {
  const SeededInputs& sizes = value.inputs;
  const Architecture& architecture = value.architecture;
  require(sizes.frames == 0 || sizes.patches > 0, "frames", sizes.frames, "frames need patches");
  const bool decodes = value.run == RunKind::decode || value.run == RunKind::generate;
  require_unset(sizes.embeds && decodes, "embeds",
                fmt::format("case.run = {} needs tokens", to_string(value.run)));
  const std::string whole = "embeds = true is the whole sequence, images included";
  require(!sizes.embeds || sizes.patches == 0, "patches", sizes.patches, whole);
  require(!sizes.embeds || sizes.image_tokens == 0, "image_tokens", sizes.image_tokens, whole);
  require(sizes.patches == 0 || sizes.image_tokens == 0, "image_tokens", sizes.image_tokens,
          fmt::format("the adapter makes them of patches = {}", sizes.patches));
  const bool fixed_prefix = architecture.is(VlmArch::mot) && !sizes.embeds && sizes.patches == 0;
  require(!fixed_prefix || sizes.image_tokens == architecture.num_image_tokens, "image_tokens",
          sizes.image_tokens, fmt::format("must be num_image_tokens = {}", architecture.num_image_tokens));
  require_unset(sizes.image_mask && !(architecture.has_side_channel() && sizes.image_tokens > 0),
                "image_mask", "only the image_tokens of cross_attention have one (frames have padding)");
  const bool modalities = architecture.vlm && needs_modality_ids(architecture.vlm->arch);
  require_unset(sizes.interleaved && !modalities, "interleaved", "only mot and moma have modalities");
  require_unset(sizes.documents_recur && sizes.documents == 0, "documents_recur", "there are no documents");
  if (sizes.scale != 1.0 && !sizes.embeds && sizes.image_tokens == 0 && sizes.patches == 0) {
    throw ConfigError(
        fmt::format("inputs.scale = {}: scales embeddings and features, and there are none", sizes.scale));
  }
  require_unset(sizes.ignore_labels && !has_labels(value.run), "ignore_labels",
                fmt::format("case.run = {} has no labels", to_string(value.run)));
}

}  // namespace

Inputs make_inputs(const Case& value) {
  check_sizes(value);
  const Architecture& architecture = value.architecture;
  const SeededInputs& sizes = value.inputs;
  const Source source(value.seed, sizes.scale);
  Inputs inputs;
  inputs.output_slice = value.output_slice;

  // 1. text, and the images in front of it
  const std::int64_t prefix =
      sizes.embeds ? architecture.num_image_tokens : add_images(value, source, inputs);
  const std::int64_t residual = sizes.embeds ? sizes.text_len : prefix + sizes.text_len;
  if (sizes.embeds) {
    inputs.inputs_embeds =
        source.embeddings("inputs_embeds", {sizes.batch, residual, architecture.model.dim});
  } else {
    inputs.tokens =
        Array::from(source.integers("tokens", {sizes.batch, sizes.text_len}, architecture.model.vocab_size));
  }

  // 2. what tells positions apart
  if (sizes.documents > 0)
    inputs.doc_ids = documents(sizes.batch, residual, sizes.documents, sizes.documents_recur);
  if (sizes.padding && sizes.frames == 0) {
    inputs.key_padding_mask = source.mask("key_padding_mask", {sizes.batch, residual});
  }
  const bool moma = architecture.is(VlmArch::moma);
  if (architecture.vlm && needs_modality_ids(architecture.vlm->arch))
    inputs.modality_ids = modality_ids(value, source, prefix, residual);
  if (moma && value.train && architecture.vlm->moma_gumbel_noise) add_gumbel(value, source, prefix, inputs);

  // 3. labels, one for each position that has logits
  if (has_labels(value.run)) {
    const auto [begin, end] = value.output_slice.value_or(OutputSlice{}).resolve(residual);
    Tensor<std::int64_t> labels =
        source.integers("labels", {sizes.batch, end - begin}, architecture.model.vocab_size);
    for (std::int64_t i = 3; sizes.ignore_labels && i < labels.size(); i += 4) labels[i] = -100;
    inputs.labels = Array::from(labels);
  }
  return inputs;
}

namespace {

/// So many weights are drawn on several threads.
constexpr std::int64_t kManyWeights = std::int64_t{1} << 20;
/// Of so many, the matrices are drawn again each time that they are read: 4 GiB in float32.
constexpr std::int64_t kMoreWeightsThanAreKept = std::int64_t{1} << 30;

struct ParameterSizes {
  std::int64_t all = 0, largest = 0;
};

ParameterSizes parameter_sizes(const std::vector<ParameterInfo>& parameters) {
  ParameterSizes sizes;
  for (const ParameterInfo& info : parameters) {
    sizes.all += element_count(info.shape);
    sizes.largest = std::max(sizes.largest, element_count(info.shape));
  }
  return sizes;
}

}  // namespace

void require_memory(const Case& value) {
  const ModelConfig& model = value.architecture.model;
  const auto number = [](std::int64_t size) { return static_cast<double>(size); };
  const ParameterSizes weights = parameter_sizes(all_parameters(value.architecture));
  const double kept = number(weights.all < kMoreWeightsThanAreKept ? weights.all : weights.largest);
  const SeededInputs& sizes = value.inputs;
  const double length = number(sizes.text_len) + number(sizes.image_tokens) +
                        number(std::max<std::int64_t>(1, sizes.frames)) * number(sizes.patches);
  const double positions = number(sizes.batch) * length;
  const double width = 12.0 * number(model.dim) + 3.0 * number(model.computed_ffn_hidden_dim());
  const double activations = positions * (width * number(model.n_layers) + number(model.vocab_size));
  // Weights as float32, once more in a backend; traces of the candidate, oracle and baseline.
  const double needed = 8.0 * kept + 24.0 * activations;
  const double available = number(sysconf(_SC_PHYS_PAGES)) * number(sysconf(_SC_PAGE_SIZE));
  if (needed <= available) return;
  constexpr double kGib = 1 << 30;
  throw ConfigError(fmt::format("case {}: needs about {} GiB, this machine has {}", case_text(value),
                                std::llround(needed / kGib), std::llround(available / kGib)));
}

ParameterTable make_parameters(const Case& value) {
  const std::vector<ParameterInfo> infos = all_parameters(value.architecture);
  std::vector<Array> arrays(infos.size());
  const std::int64_t elements = parameter_sizes(infos).all;
  linalg::parallel_for(
      elements >= kManyWeights ? linalg::thread_count() : 1, std::ssize(infos), [&](std::int64_t i) {
        const ParameterInfo& info = infos[static_cast<std::size_t>(i)];
        const bool kept = elements < kMoreWeightsThanAreKept || info.shape.size() < 2;
        arrays[static_cast<std::size_t>(i)] =
            kept ? Array::from(seeded_parameter(info, value.seed)) : made_parameter(info, value.seed);
      });
  ParameterTable table;
  for (std::size_t i = 0; i < infos.size(); ++i) table.emplace(infos[i].name, arrays[i]);
  return table;
}

}  // namespace forgecheck

#include "gpu/models/blocks.h"
#include "gpu/models/feed_forward.h"
#include "gpu/models/instantiate.h"
#include "gpu/models/self_attention.h"
#include "gpu/ops/embedding.h"
#include "gpu/ops/expert_choice.h"
#include "gpu/ops/linear.h"
#include "gpu/ops/router.h"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

/// Noise on the router's logits (tokens, experts) in training; null otherwise.
template <class T>
DeviceTensor<T> noise_of(const Run<T>& run, std::int64_t layer, const std::string& modality) {
  if (!run.options.training || !run.architecture.vlm->moma_gumbel_noise) return {};
  const std::string key = "layers." + std::to_string(layer) + "." + modality;
  const auto found = run.inputs.gumbel.find(key);
  if (found == run.inputs.gumbel.end()) {
    throw ShapeError("[moma] training with moma_gumbel_noise needs the input gumbel." + key);
  }
  return found->second;
}

/// Expert choice over the tokens x (n, D) of one modality, modules and taps below `name`; n > 0. Each of the
/// E experts takes k_e tokens.
template <class T>
DeviceTensor<T> expert_choice(Run<T>& run, const std::string& name, const DeviceTensor<T>& x,
                              std::int64_t num_experts, std::int64_t k_e, const DeviceTensor<T>& noise) {
  Device& device = run.device;
  // 1. scores of every token for every expert
  const DeviceTensor<T> logits = run.tapped_linear(name + ".router.gate", x);
  const DeviceTensor<T> scores =
      transpose(device, expert_choice_scores(device, logits, noise ? &noise : nullptr));  // (E, n)
  // 2. each expert's best tokens
  const DeviceTensor<std::int64_t> indices = top_k(device, scores, k_e);
  run.recorder.tap(name + ".router.indices", indices);
  const DeviceTensor<T> chosen = gather_scores(device, scores, indices);
  run.recorder.tap(name + ".router.scores", chosen);
  // 3. each expert on its tokens, and for each token the sum of its experts' outputs
  std::vector<std::int64_t> offsets;
  for (std::int64_t e = 0; e <= num_experts; ++e) offsets.push_back(e * k_e);
  const DeviceTensor<T> expert_input = gather_rows(device, x, indices.reshaped({indices.size()}));
  return combine_chosen(device, experts(run, name, expert_input, offsets, false), chosen, indices, x.rows());
}

template <class T>
DeviceTensor<T> moma_feed_forward(Run<T>& run, std::int64_t layer, const std::string& name,
                                  const DeviceTensor<T>& x) {
  const VlmConfig& vlm = *run.architecture.vlm;
  const DeviceTensor<T> tokens = x.reshaped({x.rows(), x.width()});
  const DeviceTensor<T> out = zeros<T>(run.device, tokens.shape);
  for (std::size_t m = 0; m < vlm.moma_modalities.size(); ++m) {
    const std::string& modality = vlm.moma_modalities[m];
    const std::string group = name + ".experts." + modality;
    const DeviceTensor<std::int64_t>& positions = run.inputs.positions.at(m);
    const std::int64_t num_experts = vlm.moma_experts_per_modality.at(modality);
    const std::int64_t k_e = tokens_per_expert(positions.size(), vlm.effective_capacity_factor(modality));
    if (positions.size() > 0) {
      const DeviceTensor<T> group_input = gather_rows(run.device, tokens, positions);
      const DeviceTensor<T> group_output =
          expert_choice(run, group, group_input, num_experts, k_e, noise_of(run, layer, modality));
      scatter_rows(run.device, out, group_output, positions);
    }
    const std::vector<float> counts(static_cast<std::size_t>(num_experts), static_cast<float>(k_e));
    run.recorder.tap_value(group + ".expert_counts", Array::from(Tensor<float>({num_experts}, counts)));
  }
  const DeviceTensor<T> shaped = out.reshaped(x.shape);
  run.recorder.tap(name, shaped);
  return shaped;
}

}  // namespace

template <class T>
DeviceTensor<T> moma_block(Run<T>& run, std::int64_t layer, const DeviceTensor<T>& x) {
  const double eps = run.model().norm_eps;
  const std::string name = "layers." + std::to_string(layer);
  const DeviceTensor<T> attention_input = run.norm(name + ".attention_norm", x, eps);
  const DeviceTensor<T> middle =
      add(run.device, x, self_attention<T>(run, name + ".attention", attention_input, nullptr));
  const DeviceTensor<T> mlp_input = run.norm(name + ".mlp_norm", middle, eps);
  const DeviceTensor<T> out =
      add(run.device, middle, moma_feed_forward(run, layer, name + ".mlp", mlp_input));
  run.recorder.tap(name, out);
  return out;
}

FORGECHECK_INSTANTIATE_GPU(moma_block);

}  // namespace forgecheck::gpu

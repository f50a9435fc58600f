#include <algorithm>

#include "reference/error.h"
#include "reference/instantiate.h"
#include "reference/models/blocks.h"
#include "reference/models/feed_forward.h"
#include "reference/models/self_attention.h"
#include "reference/ops/embedding.h"
#include "reference/ops/expert_choice.h"
#include "reference/ops/linear.h"

namespace forgecheck {

namespace {

template <class T>
const Tensor<T>* noise_of(const Run<T>& run, std::int64_t layer, const std::string& modality) {
  if (!run.options.training || !run.architecture.vlm->moma_gumbel_noise) return nullptr;
  const std::string key = "layers." + std::to_string(layer) + "." + modality;
  const auto found = run.gumbel.find(key);
  if (found == run.gumbel.end()) {
    throw ShapeError("[moma] training with moma_gumbel_noise needs the input gumbel." + key);
  }
  return &found->second;
}

/// Expert choice over the tokens x (n, D) of one modality; n > 0.
template <class T>
Tensor<T> expert_choice_moe(Run<T>& run, const std::string& name, const Tensor<T>& x,
                            std::int64_t num_experts, double capacity_factor, const Tensor<T>* noise) {
  // 1. scores of every token for every expert
  Tensor<T> logits = run.linear(name + ".router.gate", x);
  run.tracer.tap(name + ".router.gate", logits);
  const Tensor<T> scores = transpose(expert_choice_scores(logits, noise));  // (E, n)

  // 2. each expert's best tokens
  const std::int64_t k_e = tokens_per_expert(x.rows(), capacity_factor);
  Tensor<std::int64_t> indices = top_k(scores, k_e);
  run.tracer.decide(name + ".router.indices", indices, scores);
  Tensor<T> chosen_scores(indices.shape);
  for (std::int64_t i = 0; i < indices.size(); ++i) {
    chosen_scores[i] = scores.row(i / k_e)[static_cast<std::size_t>(indices[i])];
  }
  run.tracer.tap(name + ".router.scores", chosen_scores);

  // 3. each expert on its tokens, experts in index order
  Tensor<T> out(x.shape);
  for (std::int64_t e = 0; e < num_experts; ++e) {
    const std::vector<std::int64_t> tokens(indices.row(e).begin(), indices.row(e).end());
    const Tensor<T> expert_output =
        mlp(run, name + ".experts." + std::to_string(e), gather_rows(x, tokens), false);
    scatter_add(out, expert_output, std::as_const(chosen_scores).row(e), tokens);
  }
  return out;
}

/// The flat positions of a modality that experts choose from: the id matches, and not padded.
std::vector<std::int64_t> positions_of(std::int64_t id, const Tensor<std::int64_t>& modality_ids,
                                       const Tensor<std::int64_t>* key_padding_mask) {
  std::vector<std::int64_t> positions;
  for (std::int64_t i = 0; i < modality_ids.size(); ++i) {
    const bool valid = key_padding_mask == nullptr || (*key_padding_mask)[i] != 0;
    if (modality_ids[i] == id && valid) positions.push_back(i);
  }
  return positions;
}

template <class T>
Tensor<T> moma_feed_forward(Run<T>& run, std::int64_t layer, const std::string& name, const Tensor<T>& x,
                            const Tensor<std::int64_t>& modality_ids,
                            const Tensor<std::int64_t>* key_padding_mask) {
  const VlmConfig& vlm = *run.architecture.vlm;
  const Tensor<T> flat = x.reshaped({x.rows(), x.width()});
  Tensor<T> out(flat.shape);
  for (std::int64_t id = 0; id < std::ssize(vlm.moma_modalities); ++id) {
    const std::string& modality = vlm.moma_modalities[static_cast<std::size_t>(id)];
    const std::string group = name + ".experts." + modality;
    const std::int64_t num_experts = vlm.moma_experts_per_modality.at(modality);
    const double capacity_factor = vlm.effective_capacity_factor(modality);
    const std::vector<std::int64_t> positions = positions_of(id, modality_ids, key_padding_mask);
    if (!positions.empty()) {
      const Tensor<T> group_out = expert_choice_moe(run, group, gather_rows(flat, positions), num_experts,
                                                    capacity_factor, noise_of(run, layer, modality));
      for (std::size_t i = 0; i < positions.size(); ++i) {
        std::ranges::copy(group_out.row(static_cast<std::int64_t>(i)), out.row(positions[i]).begin());
      }
    }
    const auto taken = static_cast<float>(tokens_per_expert(std::ssize(positions), capacity_factor));
    const std::vector<float> counts(static_cast<std::size_t>(num_experts), taken);
    run.tracer.tap_value(group + ".expert_counts", Array::from(Tensor<float>({num_experts}, counts)));
  }
  out = std::move(out).reshaped(x.shape);
  run.tracer.tap(name, out);
  return out;
}

}  // namespace

template <class T>
Tensor<T> moma_block(Run<T>& run, std::int64_t layer, const Tensor<T>& x,
                     const Tensor<std::int64_t>& modality_ids, const Tensor<std::int64_t>* doc_ids,
                     const Tensor<std::int64_t>* key_padding_mask) {
  const std::string name = "layers." + std::to_string(layer);
  const double eps = run.model().norm_eps;
  const Tensor<T> attended =
      self_attention<T>(run, name + ".attention", run.norm(name + ".attention_norm", x, eps), doc_ids,
                        key_padding_mask, nullptr);
  const Tensor<T> middle = add(x, attended);
  const Tensor<T> fed = moma_feed_forward(
      run, layer, name + ".mlp", run.norm(name + ".mlp_norm", middle, eps), modality_ids, key_padding_mask);
  Tensor<T> out = add(middle, fed);
  run.tracer.tap(name, out);
  return out;
}

FORGECHECK_INSTANTIATE(moma_block);

}  // namespace forgecheck

#include "reference/instantiate.h"
#include "reference/models/blocks.h"
#include "reference/models/feed_forward.h"
#include "reference/models/self_attention.h"
#include "reference/ops/attention.h"
#include "reference/ops/embedding.h"
#include "reference/ops/linear.h"

namespace forgecheck {

namespace {

/// (B, S1, H, d) and (B, S2, H, d) joined along the sequence; the second if the first is empty.
template <class T>
Tensor<T> join(const Tensor<T>& first, const Tensor<T>& second) {
  if (first.size() == 0 && first.rank() == 0) return second;
  const std::int64_t heads = second.dim(2), head_dim = second.dim(3);
  const auto flat = [&](const Tensor<T>& x) { return x.reshaped({x.dim(0), x.dim(1), heads * head_dim}); };
  const Tensor<T> joined = concat_sequence(flat(first), flat(second));
  return joined.reshaped({joined.dim(0), joined.dim(1), heads, head_dim});
}

/// Projections per modality, one causal attention over the joined streams, an output projection per modality.
template <class T>
std::vector<Tensor<T>> mot_attention(Run<T>& run, const std::string& name,
                                     const std::vector<Stream<T>>& normed,
                                     const Tensor<std::int64_t>* key_padding_mask) {
  // 1. queries, keys and values; each modality's positions start at 0
  QueryKeyValue<T> joined;
  for (const Stream<T>& stream : normed) {
    const QueryKeyValue<T> qkv = project_qkv(run, name + ".", "." + stream.modality, stream.x, 0);
    joined.q = join(joined.q, qkv.q);
    joined.k = join(joined.k, qkv.k);
    joined.v = join(joined.v, qkv.v);
  }
  // 2. attention in the joined order
  const std::int64_t batch = joined.q.dim(0), length = joined.q.dim(1);
  const Tensor<T> context =
      attention(joined.q, joined.k, joined.v,
                causal_mask(batch, length, length, 0, nullptr, key_padding_mask), run.options.arithmetic);
  // 3. each modality's part through its own output projection
  std::vector<Tensor<T>> outputs;
  std::int64_t begin = 0;
  for (const Stream<T>& stream : normed) {
    const std::int64_t end = begin + stream.x.dim(1);
    Tensor<T> part = slice_sequence(context, begin, end);
    run.tracer.tap(name + ".context." + stream.modality, part);
    outputs.push_back(
        run.tapped_linear(name + ".o_proj." + stream.modality, part, name + "." + stream.modality));
    begin = end;
  }
  return outputs;
}

}  // namespace

template <class T>
void mot_block(Run<T>& run, std::int64_t layer, std::vector<Stream<T>>& streams,
               const Tensor<std::int64_t>* key_padding_mask) {
  const std::string name = "layers." + std::to_string(layer);
  const double eps = run.model().norm_eps;
  std::vector<Stream<T>> normed;
  for (const Stream<T>& stream : streams) {
    normed.push_back({stream.modality, run.norm(name + ".attn_norm." + stream.modality, stream.x, eps)});
  }
  const std::vector<Tensor<T>> attended = mot_attention(run, name + ".attn", normed, key_padding_mask);
  for (std::size_t m = 0; m < streams.size(); ++m) {
    const std::string& modality = streams[m].modality;
    const Tensor<T> middle = add(streams[m].x, attended[m]);
    const Tensor<T> normed_middle = run.norm(name + ".mlp_norm." + modality, middle, eps);
    const std::string mlp_name = name + ".mlp." + modality;
    // Upstream's set_moe_step and model-level losses do not reach these layers (divergence D2).
    const Tensor<T> fed = run.model().is_moe_layer(layer)
                              ? moe(run, mlp_name, normed_middle, run.options.mot_moe_totals,
                                    run.options.mot_moe_totals ? run.options.moe_step : MoeStep{})
                              : mlp(run, mlp_name, normed_middle);
    streams[m].x = add(middle, fed);
    run.tracer.tap(name + "." + modality, streams[m].x);
  }
}

FORGECHECK_INSTANTIATE(mot_block);

}  // namespace forgecheck

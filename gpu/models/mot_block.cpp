#include "gpu/models/blocks.h"
#include "gpu/models/feed_forward.h"
#include "gpu/models/instantiate.h"
#include "gpu/models/self_attention.h"
#include "gpu/ops/attention.h"
#include "gpu/ops/embedding.h"
#include "gpu/ops/linear.h"

namespace forgecheck::gpu {

namespace {

/// (B, S1, H, d) and (B, S2, H, d) joined along the sequence.
template <class T>
DeviceTensor<T> join(Device& device, const DeviceTensor<T>& first, const DeviceTensor<T>& second) {
  const std::int64_t heads = first.dim(2), head_dim = first.dim(3);
  const auto flat = [&](const DeviceTensor<T>& x) {
    return x.reshaped({x.dim(0), x.dim(1), heads * head_dim});
  };
  return concat_sequence(device, flat(first), flat(second))
      .reshaped({first.dim(0), first.dim(1) + second.dim(1), heads, head_dim});
}

/// One causal attention over the joined streams: (B, sum of T_m, D).
template <class T>
DeviceTensor<T> joined_attention(Run<T>& run, const std::vector<Heads<T>>& streams) {
  Heads<T> joined = streams.at(0);
  for (std::size_t m = 1; m < streams.size(); ++m) {
    joined.q = join(run.device, joined.q, streams[m].q);
    joined.k = join(run.device, joined.k, streams[m].k);
    joined.v = join(run.device, joined.v, streams[m].v);
  }
  const Visibility visibility{true, 0, nullptr, run.inputs.key_padding_mask.get()};
  return attention(run.device, joined.q, key_values(joined.k, joined.v), visibility);
}

}  // namespace

template <class T>
void mot_block(Run<T>& run, std::int64_t layer, std::vector<Stream<T>>& streams) {
  Device& device = run.device;
  const double eps = run.model().norm_eps;
  const std::string name = "layers." + std::to_string(layer), attn = name + ".attn";

  // 1. norms, then projections of each modality, with positions from 0
  std::vector<DeviceTensor<T>> normed;
  for (const Stream<T>& stream : streams) {
    normed.push_back(run.norm(name + ".attn_norm." + stream.modality, stream.x, eps));
  }
  std::vector<Heads<T>> heads;
  for (std::size_t m = 0; m < streams.size(); ++m) {
    heads.push_back(project_heads(run, attn + ".", "." + streams[m].modality, normed[m], 0));
  }

  // 2. attention, and each modality's part of it through its own output projection
  const DeviceTensor<T> context = joined_attention(run, heads);
  std::int64_t begin = 0;
  for (Stream<T>& stream : streams) {
    const std::int64_t end = begin + stream.x.dim(1);
    const DeviceTensor<T> part = slice_sequence(device, context, begin, end);
    run.recorder.tap(attn + ".context." + stream.modality, part);
    const DeviceTensor<T> attended = run.linear(attn + ".o_proj." + stream.modality, part);
    run.recorder.tap(attn + "." + stream.modality, attended);
    stream.x = add(device, stream.x, attended);
    begin = end;
  }

  // 3. a feed-forward for each modality. Upstream's step of training and model-level losses do not reach MoE
  // layers here (divergence D2).
  for (Stream<T>& stream : streams) {
    const std::string mlp_name = name + ".mlp." + stream.modality;
    const DeviceTensor<T> mlp_input = run.norm(name + ".mlp_norm." + stream.modality, stream.x, eps);
    const DeviceTensor<T> fed = run.model().is_moe_layer(layer)
                                    ? moe(run, mlp_name, mlp_input, run.options.mot_moe_totals)
                                    : mlp(run, mlp_name, mlp_input);
    stream.x = add(device, stream.x, fed);
    run.recorder.tap(name + "." + stream.modality, stream.x);
  }
}

FORGECHECK_INSTANTIATE_GPU(mot_block);

}  // namespace forgecheck::gpu

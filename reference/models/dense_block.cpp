#include "reference/instantiate.h"
#include "reference/models/blocks.h"
#include "reference/models/feed_forward.h"
#include "reference/models/self_attention.h"
#include "reference/ops/linear.h"

namespace forgecheck {

template <class T>
Tensor<T> dense_block(Run<T>& run, std::int64_t layer, const Tensor<T>& x,
                      const Tensor<std::int64_t>* doc_ids, const Tensor<std::int64_t>* key_padding_mask,
                      KvCache<T>* cache) {
  const std::string name = "layers." + std::to_string(layer);
  const double eps = run.model().norm_eps;
  const Tensor<T> attended = self_attention(
      run, name + ".attention", run.norm(name + ".attention_norm", x, eps), doc_ids, key_padding_mask, cache);
  const Tensor<T> middle = add(x, attended);
  const Tensor<T> fed = feed_forward(run, layer, name + ".mlp", run.norm(name + ".mlp_norm", middle, eps));
  Tensor<T> out = add(middle, fed);
  run.tracer.tap(name, out);
  return out;
}

FORGECHECK_INSTANTIATE(dense_block);

}  // namespace forgecheck

#include "reference/models/objective.h"

#include "reference/instantiate.h"
#include "reference/ops/loss.h"

namespace forgecheck {

template <class T>
void objective(const ModelConfig& model, const Tensor<T>& logits, const Tensor<std::int64_t>& labels,
               compute_t<T> aux_loss, compute_t<T> z_loss, const LossOptions& options, Tracer& tracer) {
  using C = compute_t<T>;
  require_shape("[loss] labels", labels.shape, {logits.dim(0), logits.dim(1)});
  Tensor<C> cross(Shape{}), logit_z(Shape{}), total(Shape{});
  cross[0] = options.kind == LossKind::cross_entropy
                 ? cross_entropy(logits, labels)
                 : chunked_cross_entropy(logits, labels, options.chunk_size);
  tracer.tap("loss.cross_entropy", cross);
  logit_z[0] = logit_z_loss(logits, options.z_loss_weight);
  tracer.tap("loss.logit_z", logit_z);
  total[0] = cross[0] + logit_z[0] + static_cast<C>(model.moe_aux_loss_weight) * aux_loss +
             static_cast<C>(model.moe_router_z_loss_weight) * z_loss;
  tracer.tap("loss.total", total);
}

#define INSTANTIATE(T)                                                                                     \
  template void objective(const ModelConfig&, const Tensor<T>&, const Tensor<std::int64_t>&, compute_t<T>, \
                          compute_t<T>, const LossOptions&, Tracer&);
FORGECHECK_FOR_EACH_FLOAT(INSTANTIATE)
#undef INSTANTIATE

}  // namespace forgecheck

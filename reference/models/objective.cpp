#include "reference/models/objective.h"

#include "reference/error.h"
#include "reference/instantiate.h"
#include "reference/ops/loss.h"

namespace forgecheck {

namespace {

template <class T>
compute_t<T> cross_entropy_of(const Tensor<T>& logits, const Tensor<std::int64_t>& labels,
                              const LossOptions& options) {
  switch (options.kind) {
    case LossKind::cross_entropy:
      return cross_entropy(logits, labels);
    case LossKind::chunked_cross_entropy:
      return chunked_cross_entropy(logits, labels, options.chunk_size);
  }
  throw_not_an_enumerator("loss.kind", options.kind);
}

}  // namespace

template <class T>
void objective(const ModelConfig& model, const Tensor<T>& logits, const Tensor<std::int64_t>& labels,
               compute_t<T> aux_loss, compute_t<T> z_loss, const LossOptions& options, Tracer& tracer) {
  using C = compute_t<T>;
  require_shape("[loss] labels", labels.shape, {logits.dim(0), logits.dim(1)});
  Tensor<C> cross(Shape{}), logit_z(Shape{}), total(Shape{});
  cross[0] = cross_entropy_of(logits, labels, options);
  tracer.tap("loss.cross_entropy", cross);
  logit_z[0] = logit_z_loss(logits, options.z_loss_weight);
  tracer.tap("loss.logit_z", logit_z);
  total[0] = cross[0] + logit_z[0] + static_cast<C>(model.moe_aux_loss_weight) * aux_loss +
             static_cast<C>(model.moe_router_z_loss_weight) * z_loss;
  tracer.tap("loss.total", total);
}

FORGECHECK_INSTANTIATE(objective);

}  // namespace forgecheck

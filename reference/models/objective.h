// The training loss of one batch. Source: kempnerforge/training/loss.py and the training step.
#pragma once

#include "reference/config.h"
#include "reference/options.h"
#include "reference/trace.h"

namespace forgecheck {

/// Taps "loss.cross_entropy", "loss.logit_z" and their sum with the routers' losses,
///   loss.total = cross_entropy + logit_z + moe_aux_loss_weight * aux + moe_router_z_loss_weight * z.
/// logits (B, S, V), labels (B, S); aux_loss and z_loss as forward() tapped them.
template <class T>
void objective(const ModelConfig& model, const Tensor<T>& logits, const Tensor<std::int64_t>& labels,
               compute_t<T> aux_loss, compute_t<T> z_loss, const LossOptions& options, Tracer& tracer);

}  // namespace forgecheck

// The training loss of one batch. Source: kempnerforge/training/loss.py and the training step.
#pragma once

#include "gpu/models/transformer.h"

namespace forgecheck::gpu {

/// Taps "loss.cross_entropy", "loss.logit_z" and their sum with the routers' losses,
///   loss.total = cross_entropy + logit_z + moe_aux_loss_weight * aux + moe_router_z_loss_weight * z.
/// labels (B, S) for logits (B, S, V), -100 for none. Throws ShapeError for another shape, or a label outside
/// 0 .. V - 1.
template <class T>
void objective(Device& device, const ModelConfig& model, const ForwardResult<T>& result, const Array& labels,
               const LossOptions& options, Recorder& recorder);

}  // namespace forgecheck::gpu

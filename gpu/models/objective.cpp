#include "gpu/models/objective.h"

#include "gpu/models/instantiate.h"
#include "gpu/models/layer_inputs.h"
#include "gpu/ops/linear.h"
#include "gpu/ops/loss.h"
#include "gpu/ops/moe.h"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

constexpr std::int64_t kIgnored = -100;

void check_labels(const Array& labels, const Shape& shape, std::int64_t vocab_size) {
  require_shape("[loss] labels", labels.shape(), shape);
  for (std::int64_t i = 0; i < labels.size(); ++i) {
    const std::int64_t label = labels.int_at(i);
    if (label == kIgnored || (0 <= label && label < vocab_size)) continue;
    throw ShapeError("[loss] labels[" + std::to_string(i) + "] = " + std::to_string(label) +
                     " is neither -100 nor in 0 .. " + std::to_string(vocab_size - 1));
  }
}

template <class T>
DeviceTensor<float> cross_entropy_of(Device& device, const DeviceTensor<T>& logits,
                                     const DeviceTensor<std::int64_t>& labels, const LossOptions& options) {
  switch (options.kind) {
    case LossKind::cross_entropy:
      return cross_entropy(device, logits, labels);
    case LossKind::chunked_cross_entropy:
      return chunked_cross_entropy(device, logits, labels, options.chunk_size);
  }
  throw_not_an_enumerator("loss.kind", options.kind);
}

}  // namespace

template <class T>
void objective(Device& device, const ModelConfig& model, const ForwardResult<T>& result, const Array& labels,
               const LossOptions& options, Recorder& recorder) {
  const DeviceTensor<T>& logits = result.logits;
  check_labels(labels, {logits.dim(0), logits.dim(1)}, logits.dim(2));
  const DeviceTensor<std::int64_t> targets = upload_integers(device, labels, "labels");
  // 1. the losses of the logits
  const DeviceTensor<float> cross = cross_entropy_of(device, logits, targets, options);
  recorder.tap("loss.cross_entropy", cross);
  const DeviceTensor<float> logit_z = logit_z_loss(device, logits, options.z_loss_weight);
  recorder.tap("loss.logit_z", logit_z);
  // 2. the losses of the routers
  const DeviceTensor<float> aux = scale(device, result.aux_loss, model.moe_aux_loss_weight);
  const DeviceTensor<float> router_z = scale(device, result.z_loss, model.moe_router_z_loss_weight);
  recorder.tap("loss.total", add(device, add(device, add(device, cross, logit_z), aux), router_z));
}

FORGECHECK_INSTANTIATE_GPU(objective);

}  // namespace forgecheck::gpu

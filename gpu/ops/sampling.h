// Greedy choice of the next token, on the device. Source: kempnerforge/model/generate.py.
#pragma once

#include "gpu/runtime/device.h"

namespace forgecheck::gpu {

/// tokens (B): index of the largest logit of the last position of logits (B, S, V); the lowest index among
/// equals. NaN comes after every number.
template <class T>
DeviceTensor<std::int64_t> argmax(Device& device, const DeviceTensor<T>& logits);

}  // namespace forgecheck::gpu

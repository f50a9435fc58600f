// Copies the inputs of a forward call to the device.
#pragma once

#include "gpu/models/run.h"
#include "reference/inputs.h"

namespace forgecheck::gpu {

/// Throws ShapeError for a token outside 0 .. vocab_size - 1.
void check_tokens(const Array& tokens, std::int64_t vocab_size);

/// An int64 or bool array as int64.
DeviceTensor<std::int64_t> upload_integers(Device& device, const Array& array, const std::string& name);

/// A floating point array rounded to T.
template <class T>
DeviceTensor<T> upload_values(Device& device, const Array& array, const std::string& name) {
  return device.upload<T>(array.cast(device_dtype<T>()), name);
}

/// Everything in validated inputs that layers read, except image_features.
template <class T>
LayerInputs<T> upload_layer_inputs(Device& device, const Architecture& architecture, const Inputs& inputs);

}  // namespace forgecheck::gpu

#include "gpu/models/layer_inputs.h"
#include "gpu/models/instantiate.h"

#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

/// 1 where the array is not 0, otherwise 0.
DeviceTensor<std::uint8_t> upload_mask(Device& device, const Array& array, const std::string& name) {
  Tensor<std::uint8_t> mask(array.shape());
  for (std::int64_t i = 0; i < mask.size(); ++i) mask[i] = array.int_at(i) != 0 ? 1 : 0;
  return device.upload<std::uint8_t>(Array::from(mask), name);
}

/// The rows of the flattened residual that have modality `id` and are not padding.
DeviceTensor<std::int64_t> upload_positions(Device& device, const Inputs& inputs, std::int64_t id) {
  std::vector<std::int64_t> positions;
  for (std::int64_t i = 0; i < inputs.modality_ids->size(); ++i) {
    const bool valid = !inputs.key_padding_mask || inputs.key_padding_mask->int_at(i) != 0;
    if (valid && inputs.modality_ids->int_at(i) == id) positions.push_back(i);
  }
  const std::int64_t count = std::ssize(positions);
  return device.upload<std::int64_t>(Array::from(Tensor<std::int64_t>({count}, std::move(positions))),
                                     "positions of modality " + std::to_string(id));
}

}  // namespace

void check_tokens(const Array& tokens, std::int64_t vocab_size) {
  for (std::int64_t i = 0; i < tokens.size(); ++i) {
    const std::int64_t token = tokens.int_at(i);
    if (token < 0 || token >= vocab_size) {
      throw ShapeError("[embedding] tokens[" + std::to_string(i) + "] = " + std::to_string(token) +
                       " is outside 0 .. " + std::to_string(vocab_size - 1));
    }
  }
}

DeviceTensor<std::int64_t> upload_integers(Device& device, const Array& array, const std::string& name) {
  return device.upload<std::int64_t>(Array::from(array.to_int64()), name);
}

template <class T>
LayerInputs<T> upload_layer_inputs(Device& device, const Architecture& architecture, const Inputs& inputs) {
  LayerInputs<T> out;
  if (inputs.doc_ids) out.doc_ids = upload_integers(device, *inputs.doc_ids, "doc_ids");
  if (inputs.key_padding_mask) {
    out.key_padding_mask = upload_mask(device, *inputs.key_padding_mask, "key_padding_mask");
  }
  if (inputs.image_mask) out.image_mask = upload_mask(device, *inputs.image_mask, "image_mask");
  if (architecture.is(VlmArch::moma)) {
    for (std::int64_t id = 0; id < std::ssize(architecture.vlm->moma_modalities); ++id) {
      out.positions.push_back(upload_positions(device, inputs, id));
    }
  }
  for (const auto& [key, noise] : inputs.gumbel) {
    out.gumbel.emplace(key, upload_values<T>(device, noise, "gumbel." + key));
  }
  return out;
}

FORGECHECK_INSTANTIATE_GPU(upload_layer_inputs);

}  // namespace forgecheck::gpu

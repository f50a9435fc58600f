// The tensors of a model: names (upstream's state_dict keys, verbatim), shapes and kinds, without allocating
// any weights. Source of the names: kempnerforge/model/*.py.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "reference/config.h"
#include "reference/enum_table.h"
#include "reference/tensor.h"

namespace forgecheck {

/// What a parameter is for; determines its seeded scale and its initialisation.
enum class ParameterKind {
  linear,          // (out, in), summed over the last axis
  packed_linear,   // (E, in, out), summed over axis 1
  router_gate,     // (E, D)
  embedding,       // (V, D)
  norm_weight,     // (n)
  norm_bias,       // (n)
  expert_bias,     // (E), trained by the router itself
  expert_ema,      // (E), a buffer, not a parameter
  adapter_weight,  // (out, in)
  adapter_bias,    // (out)
  linear_bias,     // (out)
};

inline constexpr Named<ParameterKind> kParameterKinds[] = {
    {ParameterKind::linear, "linear"},
    {ParameterKind::packed_linear, "packed_linear"},
    {ParameterKind::router_gate, "router_gate"},
    {ParameterKind::embedding, "embedding"},
    {ParameterKind::norm_weight, "norm_weight"},
    {ParameterKind::norm_bias, "norm_bias"},
    {ParameterKind::expert_bias, "expert_bias"},
    {ParameterKind::expert_ema, "expert_ema"},
    {ParameterKind::adapter_weight, "adapter_weight"},
    {ParameterKind::adapter_bias, "adapter_bias"},
    {ParameterKind::linear_bias, "linear_bias"},
};

struct ParameterInfo {
  std::string name;
  Shape shape;
  ParameterKind kind = ParameterKind::linear;
  /// A tensor that gradients do not change and that upstream does not count as a parameter (expert_ema).
  bool is_buffer() const { return kind == ParameterKind::expert_ema; }
};

/// Every tensor of the text model or VLM backbone, in the order of upstream's modules. With tied embeddings
/// `output_head.proj.weight` is the embedding and is not listed.
std::vector<ParameterInfo> model_parameters(const Architecture& architecture);

/// Every tensor of the adapter, with names that begin with "adapter."; empty without an adapter.
/// Source: kempnerforge/model/adapter.py.
std::vector<ParameterInfo> adapter_parameters(const Architecture& architecture);

/// Both of the above.
std::vector<ParameterInfo> all_parameters(const Architecture& architecture);

}  // namespace forgecheck

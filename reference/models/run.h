// What every block of one forward call shares.
#pragma once

#include <string>
#include <vector>

#include "reference/config.h"
#include "reference/inputs.h"
#include "reference/ops/mask.h"
#include "reference/ops/rope.h"
#include "reference/ops/router.h"
#include "reference/options.h"
#include "reference/trace.h"
#include "reference/weights.h"

namespace forgecheck {

/// Keys and values of one layer: (B, K, max, d), filled up to seq_len, then zeros. Keys are stored after
/// RoPE, before key-value heads are repeated. Source: KVCache in kempnerforge/model/attention.py.
template <class T>
struct KvCache {
  Tensor<T> k;
  Tensor<T> v;
  std::int64_t seq_len = 0;
};

template <class T>
struct Run {
  const Architecture& architecture;
  Weights<T>& weights;
  Tracer& tracer;
  const ForwardOptions& options;
  const RopeTable<T>& rope;
  std::map<std::string, Tensor<T>> gumbel;
  compute_t<T> aux_loss = 0;
  compute_t<T> z_loss = 0;

  const ModelConfig& model() const { return architecture.model; }
  const Tensor<T>& weight(const std::string& name) const { return weights.at(name + ".weight"); }
  WeightView<T> matrix(const std::string& name) const { return weights.view(name + ".weight"); }

  /// x (..., in) through the linear module `name`.
  Tensor<T> linear(const std::string& name, const Tensor<T>& x) const;
  /// The same with the module's bias.
  Tensor<T> biased_linear(const std::string& name, const Tensor<T>& x) const;
  /// linear(), or biased_linear() where `has_bias`, tapped as `tap`. A large product whose value the tracer overwrites is
  /// not computed; of one that it needs some rows of, only those are.
  Tensor<T> tapped_linear(const std::string& name, const Tensor<T>& x, const std::string& tap,
                          bool has_bias = false) const;
  /// What `compute` returns, a tensor of `shape` made element by element, tapped; not computed where tapped_linear() would
  /// not be.
  template <class Compute>
  Tensor<T> tapped_elementwise(const std::string& tap, const Shape& shape, const Compute& compute) const {
    constexpr std::int64_t kOperations = 64;  // of one element, about
    return tapped(tap, shape, kOperations * element_count(shape), compute);
  }
  /// attention() of q (B, S, H, d), k and v (B, T, K, d), tapped as `tap`; not computed where tapped_linear() would
  /// not be.
  Tensor<T> tapped_attention(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v,
                             const AttentionMask& mask, const std::string& tap) const;
  /// tokens (B, S) embedded, tapped as "token_embedding".
  Tensor<T> tapped_embedding(const Tensor<std::int64_t>& tokens) const;
  /// x through the norm module `name` of the configured type; tapped under that name.
  Tensor<T> norm(const std::string& name, const Tensor<T>& x, double eps) const;

 private:
  Tensor<T> linear_in_rows(const std::string& name, const Tensor<T>& x, bool has_bias,
                           const std::vector<std::int64_t>& rows, const Shape& shape) const;
  /// Operations of so many multiply-adds are not computed for nothing. Smaller ones are: where sums are sampled, their draws
  /// come before those of other modules.
  static constexpr std::int64_t kSkippedWork = std::int64_t{1} << 22;

  /// What `compute` returns, a tensor of `shape` that takes `work` operations, tapped; any values where they are replaced at
  /// once.
  template <class Compute>
  Tensor<T> tapped(const std::string& tap, const Shape& shape, std::int64_t work,
                   const Compute& compute) const {
    const bool skipped = work >= kSkippedWork && tracer.overwrites(tap, shape);
    Tensor<T> out = skipped ? Tensor<T>(shape) : compute();
    tracer.tap(tap, out);
    return out;
  }
  Tensor<T> normalised(const std::string& name, const Tensor<T>& x, double eps) const;
};

}  // namespace forgecheck

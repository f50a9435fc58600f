// Scaled dot-product attention with grouped queries. Source: kempnerforge/model/attention.py; Vaswani et al.
// 2017, Ainslie et al. 2023 (GQA).
#pragma once

#include "reference/arithmetic.h"
#include "reference/ops/mask.h"
#include "reference/tensor.h"

namespace forgecheck {

/// q (B, S, H, d), k and v (B, Sk, K, d), mask (B, S, Sk); returns (B, S, H * d).
/// Query head h reads key-value head h / (H / K).
///   score_j = (q . k_j) / sqrt(d) over the visible keys,  p = softmax(score),  out = sum_j p_j v_j
/// Softmax and sums are in the computing type, p is rounded as `arithmetic` says, and the output rounds once.
/// In any order other than `forward` the sums visit the keys from the last to the first.
template <class T>
Tensor<T> attention(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v, const AttentionMask& mask,
                    const Arithmetic& arithmetic = {});

}  // namespace forgecheck

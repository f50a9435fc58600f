// What the tests of both attentions share: random heads, their layouts, and the reference's result for
// them.
#pragma once

#include <limits>
#include <optional>

#include "gpu/ops/attention.h"
#include "reference/error.h"
#include "reference/ops/attention.h"
#include "tests/gpu/repeatable.h"

namespace forgecheck::gpu {

struct Sizes {
  std::int64_t batch = 2, queries = 1, keys = 1, heads = 2, kv_heads = 1, head_dim = 8;
};

struct Masks {
  bool causal = false;
  std::int64_t first_position = 0;
  std::optional<Tensor<std::int64_t>> doc_ids = std::nullopt;   // (B, keys)
  std::optional<Tensor<std::int64_t>> key_mask = std::nullopt;  // (B, keys)
  std::int64_t window = 0;
};

/// n rows of document ids 0, 0, .., 1, 1, ..: row b begins a new document at begins[b].
inline Tensor<std::int64_t> documents(std::int64_t keys,
                                      const std::vector<std::vector<std::int64_t>>& begins) {
  Tensor<std::int64_t> out({static_cast<std::int64_t>(begins.size()), keys});
  for (std::size_t b = 0; b < begins.size(); ++b) {
    for (const std::int64_t begin : begins[b]) {
      for (std::int64_t j = begin; j < keys; ++j)
        out.row(static_cast<std::int64_t>(b))[static_cast<std::size_t>(j)]++;
    }
  }
  return out;
}

/// A mask that is true for keys first .. last - 1 of row b.
inline Tensor<std::int64_t> valid_keys(std::int64_t keys,
                                       const std::vector<std::pair<std::int64_t, std::int64_t>>& ranges) {
  Tensor<std::int64_t> out({static_cast<std::int64_t>(ranges.size()), keys});
  for (std::size_t b = 0; b < ranges.size(); ++b) {
    for (std::int64_t j = ranges[b].first; j < ranges[b].second; ++j) {
      out[static_cast<std::int64_t>(b) * keys + j] = 1;
    }
  }
  return out;
}

template <class T>
class AttentionTest : public GpuTest {
 protected:
  using H = host_t<T>;
  static H element(float value) { return H(value); }

  struct Heads {
    Tensor<H> q, k, v;  // (B, S, H, d), (B, keys, K, d) twice
  };

  static Heads random_heads(const Sizes& n) {
    return {random_tensor<T>({n.batch, n.queries, n.heads, n.head_dim}, 1),
            random_tensor<T>({n.batch, n.keys, n.kv_heads, n.head_dim}, 2),
            random_tensor<T>({n.batch, n.keys, n.kv_heads, n.head_dim}, 3)};
  }

  /// In double.
  static Tensor<double> oracle(const Heads& heads, const Masks& masks) {
    const std::int64_t batch = heads.q.dim(0), queries = heads.q.dim(1), keys = heads.k.dim(1);
    const Tensor<std::int64_t>* doc_ids = masks.doc_ids ? &*masks.doc_ids : nullptr;
    const Tensor<std::int64_t>* key_mask = masks.key_mask ? &*masks.key_mask : nullptr;
    const AttentionMask mask = masks.causal ? causal_mask(batch, queries, keys, masks.first_position, doc_ids,
                                                          key_mask, masks.window)
                                            : cross_mask(batch, queries, keys, key_mask);
    return forgecheck::attention(exact(heads.q), exact(heads.k), exact(heads.v), mask);
  }

  /// `operation` on fresh keys and values, with the masks on the device.
  template <class Operation>
  DeviceTensor<T> run(Operation operation, const Heads& heads, const Masks& masks) {
    const auto k = put<T>(heads.k), v = put<T>(heads.v);
    return run(operation, heads, key_values(k, v), masks);
  }
  template <class Operation>
  DeviceTensor<T> run(Operation operation, const Heads& heads, const KeyValues<T>& keys, const Masks& masks) {
    Visibility visibility{masks.causal, masks.first_position, nullptr, nullptr, masks.window};
    DeviceTensor<std::int64_t> doc_ids;
    DeviceTensor<std::uint8_t> key_mask;
    if (masks.doc_ids) {
      doc_ids = put<std::int64_t>(*masks.doc_ids);
      visibility.doc_ids = doc_ids.get();
    }
    if (masks.key_mask) {
      Tensor<std::uint8_t> narrow(masks.key_mask->shape);
      std::ranges::copy(masks.key_mask->data, narrow.data.begin());
      key_mask = put<std::uint8_t>(narrow);
      visibility.key_mask = key_mask.get();
    }
    return operation(device, put<T>(heads.q), keys, visibility);
  }

  /// Equal to the reference up to this bound, where u is a float32 rounding: a score sums d
  /// products to a size of about sqrt(d), so it is off by at most d^1.5 u, and its weight by that share; the
  /// exponent's argument and the exponential add some u, and each of the two sums over n keys n u, the
  /// changes of the maximum fewer. All of it is a share of the largest value.
  template <class Operation>
  void expect_reference(Operation operation, const Sizes& sizes, const Masks& masks) {
    SCOPED_TRACE(testing::Message() << sizes.queries << " queries, " << sizes.keys << " keys, " << sizes.heads
                                    << " heads on " << sizes.kv_heads << ", " << sizes.head_dim << " wide");
    const Heads heads = random_heads(sizes);
    expect_near(get(run(operation, heads, masks)), heads, masks);
  }
  static void expect_near(const Tensor<double>& out, const Heads& heads, const Masks& masks) {
    const Tensor<double> expected = oracle(heads, masks);
    ASSERT_EQ(out.shape, expected.shape);
    double size = 0;
    for (const H value : heads.v.data) size = std::max(size, std::abs(static_cast<double>(value)));
    const auto d = static_cast<double>(heads.q.dim(3)), n = static_cast<double>(heads.k.dim(1));
    const double share = (d * std::sqrt(d) + 3 * n + 32) * machine_epsilon(Dtype::f32) / 2;
    const double half_unit = machine_epsilon(device_dtype<T>()) / 2;
    for (std::int64_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(out[i], expected[i], half_unit * std::abs(expected[i]) + share * size) << "element " << i;
    }
  }

  /// Only the keys of row b, and its query.
  static Heads row_of(const Heads& heads, std::int64_t b) {
    const auto cut = [b](const Tensor<H>& x) {
      const std::int64_t size = x.size() / x.dim(0);
      return Tensor<H>({1, x.dim(1), x.dim(2), x.dim(3)},
                       {x.data.begin() + b * size, x.data.begin() + (b + 1) * size});
    };
    return {cut(heads.q), cut(heads.k), cut(heads.v)};
  }

  /// (B, keys, K, d) as a cache (B, K, max, d); NaN where nothing was stored.
  DeviceTensor<T> cache_of(const Tensor<H>& x, std::int64_t capacity) {
    const std::int64_t keys = x.dim(1), kv_heads = x.dim(2), d = x.dim(3);
    Tensor<H> cache({x.dim(0), kv_heads, capacity, d});
    std::ranges::fill(cache.data, H(std::numeric_limits<float>::quiet_NaN()));
    for (std::int64_t r = 0; r < x.rows(); ++r) {
      const std::int64_t head = r % kv_heads, position = r / kv_heads % keys, b = r / kv_heads / keys;
      std::ranges::copy(x.row(r), cache.row((b * kv_heads + head) * capacity + position).begin());
    }
    return put<T>(cache);
  }

  /// The message of the ShapeError that `action` throws.
  template <class Action>
  static std::string error_of(Action action) {
    try {
      action();
    } catch (const ShapeError& error) {
      return error.what();
    }
    return "no error";
  }
};

}  // namespace forgecheck::gpu

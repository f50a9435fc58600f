// Properties of whole models: each is tried on random small cases, on the reference, a BLAS and the GPU backend of the build,
// and a case that breaks it is made small.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "harness/backend/backend.h"
#include "harness/fuzz/fuzz_case.h"
#include "harness/fuzz/relations.h"
#include "harness/fuzz/shrink.h"
#include "reference/numbers.h"

namespace forgecheck {

struct CaseProperty {
  /// Brings a random case into the form that the property is about; false where it cannot.
  std::function<bool(Case&)> prepare;
  /// What is wrong, or "". It may throw.
  std::function<std::string(Backend&, const Problem&)> broken;
  int cases = 12;  // that prepare() takes
};

/// `names`, and the GPU backend of this build: "gpu:simt" on the CPU, or "gpu:cuda" where a device is.
inline std::vector<std::string> with_gpu(std::vector<std::string> names = {"reference", "cpu:openblas"}) {
  for (const BackendStatus& status : list_backends()) {
    if (status.name.starts_with("gpu:") && status.unavailable.empty()) names.push_back(status.name);
  }
  return names;
}

inline std::string what_is_wrong(const CaseProperty& property, Backend& backend, const Case& definition) {
  try {
    return property.broken(backend, seeded_problem(definition));
  } catch (const std::exception& error) {
    return std::string("throws ") + error.what();
  }
}

inline void expect_property(const CaseProperty& property) {
  for (const std::string& name : with_gpu()) {
    const std::unique_ptr<Backend> backend = make_backend(name);
    int tried = 0;
    for (std::uint64_t seed = 0; tried < property.cases; ++seed) {
      ASSERT_LT(seed, 20000U) << "no case has the form that the property is about";
      Case definition = fuzz_case(seed, Family::kempnerforge, CaseScale::small);
      if (!property.prepare(definition) || refusal_of(definition)) continue;
      ++tried;
      if (what_is_wrong(property, *backend, definition).empty()) continue;
      const Case smallest = shrink(
                                definition,
                                [&](const Case& simpler) {
                                  Case prepared = simpler;
                                  return property.prepare(prepared) &&
                                         case_text(prepared) == case_text(simpler) &&
                                         !what_is_wrong(property, *backend, simpler).empty();
                                },
                                300)
                                .smallest;
      FAIL() << name << ": " << what_is_wrong(property, *backend, smallest) << "\n  " << case_text(smallest);
    }
  }
}

/// A forward run in float32 that returns all logits and nothing else.
inline bool plain_forward(Case& value) {
  value = plain_case(value);
  value.dtype = Dtype::f32;
  return true;
}

inline bool is_moe(const Case& value) {
  return value.architecture.model.num_experts > 0 && !value.architecture.is(VlmArch::moma);
}

/// No token takes the place of another at an expert, nor shares its load.
inline bool tokens_are_independent(Case& value) {
  value.architecture.model.moe_capacity_factor = 0;
  value.architecture.model.moe_gradient_scale = false;
  return plain_forward(value) && !value.architecture.is(VlmArch::moma);
}

inline Tensor<double> tap_of(Backend& backend, const Problem& problem, const std::string& name = "logits") {
  const Trace trace = backend.run(problem, [&](std::string_view tap) { return tap == name; });
  return trace.at(name).to<double>();
}

/// Largest difference of two tensors of one shape, in units of the first one's size; infinite where one is no number.
inline double distance_of(const Tensor<double>& a, const Tensor<double>& b) {
  if (a.shape != b.shape) return kInfinity;
  double largest = 0;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = std::isnan(difference) ? kInfinity : difference;
  }
  return largest == 0 ? 0 : largest / root_mean_square(a.data);
}

/// "" where the two are the same but for rounding in float32 (`limit` 0: to the bit).
inline std::string unless_equal(const Tensor<double>& a, const Tensor<double>& b, double limit = 1e-4) {
  const double distance = distance_of(a, b);
  return distance <= limit ? "" : "differ by " + std::to_string(distance) + " of their size";
}

/// Rows [begin, end) of the positions of x (B, S, V).
inline Tensor<double> positions_of(const Tensor<double>& x, std::int64_t begin, std::int64_t end) {
  Tensor<double> out({x.dim(0), end - begin, x.dim(2)});
  for (std::int64_t b = 0; b < x.dim(0); ++b) {
    std::copy_n(x.data.begin() + (b * x.dim(1) + begin) * x.dim(2), (end - begin) * x.dim(2),
                out.data.begin() + b * (end - begin) * x.dim(2));
  }
  return out;
}

}  // namespace forgecheck

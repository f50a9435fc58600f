// How large the error of a tap is, and how it is spread over its elements.
#pragma once

#include <string>

#include "harness/verdict/verdict.h"
#include "reference/array.h"

namespace forgecheck {

/// "[1, 4, 7]" for a flat index.
std::string index_text(const Shape& shape, std::int64_t flat);

/// |a - b|: 0 for the same value, be it NaN or infinite; infinite where only one is a number.
double distance(double a, double b);

/// rms(x - reference) / rms(reference); of integers the share of elements that differ. Infinite where the
/// shapes or the kinds of value (NaN, infinity) differ, or where the reference is zero and x is not.
double relative_error(const Array& x, const Array& reference);

/// Integers with each row sorted.
Array sorted_rows(const Array& integers);

/// The share of its tolerance that each element uses, as the verdict measures it (share_used in tolerance.h):
/// infinite where one value is a number and the other is not. `stored` is h, `beyond` what is tolerated
/// beyond it. All of one shape.
Tensor<double> shares(const Tensor<double>& values, const Tensor<double>& oracle,
                      const Tensor<double>& stored, const Tensor<double>& beyond);

/// The element with the largest share; among equals the one with the largest error. None where none uses any.
std::optional<WorstElement> worst_element(const Tensor<double>& values, const Tensor<double>& oracle,
                                          const Tensor<double>& shares);

ShareHistogram share_histogram(const Tensor<double>& shares);

/// At most 64 x 96 cells.
ErrorMap error_map(const Tensor<double>& shares);

}  // namespace forgecheck

#include "reference/tensor.h"

#include <limits>

#include "reference/error.h"

namespace forgecheck {

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0) throw ShapeError("shape " + to_string(shape) + " has a negative size");
    if (size != 0 && count > std::numeric_limits<std::int64_t>::max() / size) {
      throw ShapeError("shape " + to_string(shape) + " has more than 2^63 - 1 elements");
    }
    count *= size;
  }
  return count;
}

std::string to_string(const Shape& shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (const std::int64_t size : shape) {
    if (!text.empty()) text += 'x';
    text += std::to_string(size);
  }
  return text;
}

void require_shape(const std::string& what, const Shape& actual, const Shape& expected) {
  if (actual != expected) {
    throw ShapeError(what + " has shape " + to_string(actual) + ", expected " + to_string(expected));
  }
}

}  // namespace forgecheck

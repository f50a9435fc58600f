#include "harness/io/safetensors_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "harness/io/strict_json.h"
#include "reference/error.h"

namespace forgecheck::safetensors {

static_assert(std::endian::native == std::endian::little, "safetensors data is little endian");

void refuse(const std::filesystem::path& path, const std::string& what) {
  throw FormatError(fmt::format("{}: {}", path.string(), what));
}

void require_bool_bytes(const std::filesystem::path& path, const std::string& name, const Array& array) {
  if (array.dtype() != Dtype::boolean) return;
  const std::span<const std::byte> bytes = array.bytes();
  const auto wrong = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{1}; });
  if (wrong != bytes.end()) {
    refuse(path, fmt::format("tensor {}: BOOL element {} is {}, not 0 or 1", shown(name),
                             wrong - bytes.begin(), std::to_integer<int>(*wrong)));
  }
}

}  // namespace forgecheck::safetensors

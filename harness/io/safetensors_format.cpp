#include "harness/io/safetensors_format.h"

#include <algorithm>
#include <bit>

#include "reference/error.h"

namespace forgecheck::safetensors {

static_assert(std::endian::native == std::endian::little, "safetensors data is little endian");

void refuse(const std::filesystem::path& path, const std::string& what) {
  throw FormatError(path.string() + ": " + what);
}

std::string shortened(const std::string& text) {
  std::size_t end = 120;
  if (text.size() <= end) return text;
  while ((text[end] & 0xc0) == 0x80) --end;  // not inside a UTF-8 sequence
  return text.substr(0, end) + "...";
}

std::string shown(const nlohmann::json& value) {
  return shortened(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void require_bool_bytes(const std::filesystem::path& path, const std::string& name, const Array& array) {
  if (array.dtype() != Dtype::boolean) return;
  const std::span<const std::byte> bytes = array.bytes();
  const auto wrong = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{1}; });
  if (wrong != bytes.end()) {
    refuse(path, "tensor " + shown(name) + ": BOOL element " + std::to_string(wrong - bytes.begin()) +
                     " is " + std::to_string(std::to_integer<int>(*wrong)) + ", not 0 or 1");
  }
}

}  // namespace forgecheck::safetensors

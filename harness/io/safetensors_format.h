// What the reader and the writer of safetensors files share: the limits of the format, and its refusals.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "reference/array.h"

namespace forgecheck::safetensors {

inline constexpr std::uint64_t kLengthBytes = 8;
inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the official library's limit
inline constexpr std::string_view kMetadataKey = "__metadata__";

/// Throws FormatError "<path>: <what>".
[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& what);

/// Throws unless every byte of a BOOL array is 0 or 1.
void require_bool_bytes(const std::filesystem::path& path, const std::string& name, const Array& array);

}  // namespace forgecheck::safetensors

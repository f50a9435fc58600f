// SHA-256 (FIPS 180-4) of bytes and of files, as the manifest of the golden store records it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace forgecheck {

/// 64 lower-case hexadecimal digits.
std::string sha256_hex(std::span<const std::byte> bytes);

/// The same for a file's bytes, read in pieces. Throws FormatError where the file cannot be read.
std::string sha256_file(const std::filesystem::path& path);

}  // namespace forgecheck

// The safetensors file format: 8 bytes of header length (little endian), a JSON header, then the tensors'
// bytes. Source: https://github.com/huggingface/safetensors#format
//
//   {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
//   ...}
//
// data_offsets is [begin, end) counted from the end of the header; the tensors cover the data exactly.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "reference/array.h"

namespace forgecheck {

struct SafetensorsFile {
  std::map<std::string, Array> tensors;
  std::map<std::string, std::string> metadata;
};

/// Reads a file by mapping it: the arrays are views that keep the mapping alive, and pages are loaded as they
/// are used. BOOL tensors are the exception: every byte is checked. The file must not be shortened while an
/// array is in use; replacing it by a rename, as write_safetensors does, is safe.
///
/// Throws FormatError "<path>: ..." that names the tensor, the field and the value where the file cannot be
/// read or is not exactly in the form above: among others duplicate keys, an unknown dtype, data_offsets that
/// do not match dtype and shape, tensors that overlap or leave a gap, and BOOL bytes other than 0 and 1.
/// Unknown fields of a tensor are ignored, as the official library does.
SafetensorsFile read_safetensors(const std::filesystem::path& path);

/// Writes a file that depends on nothing but its arguments, to the byte. Tensors are ordered as the official
/// library orders them, by element type (I64, F64, F32, I32, BF16, F16, U8, BOOL) and then by name, metadata
/// by key; the header is padded with spaces to a multiple of 8 bytes, so that every element is aligned.
///
/// The bytes go to a temporary file in the same directory, which replaces `path` by a rename once it is
/// safely on disk: a failed or killed write leaves the old file whole. Throws FormatError "<path>: ..." on
/// any failure and removes the temporary file.
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, Array>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace forgecheck

// Files of bytes for the tests of the safetensors reader and writer.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "harness/io/safetensors.h"
#include "reference/error.h"
#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {

namespace fs = std::filesystem;
using Tensors = std::map<std::string, Array>;

inline Array array_of(Dtype dtype, Shape shape, const std::string& bytes) {
  const std::shared_ptr<std::byte[]> copy(new std::byte[bytes.size() + 1]);
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  return Array(dtype, std::move(shape), std::shared_ptr<const std::byte>(copy, copy.get()));
}

inline std::string bytes_of(const Array& array) {
  return {reinterpret_cast<const char*>(array.bytes().data()), array.bytes().size()};
}

inline std::string file_bytes(std::uint64_t length, const std::string& rest) {
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + rest;
}

/// Bytes of a file with this header and `size` zero bytes of data.
inline std::string with_header(const std::string& header, std::size_t size = 0) {
  return file_bytes(header.size(), header + std::string(size, '\0'));
}

/// One entry of a header: "name":{...}.
inline std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                         const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}";
}

/// A test with a file `path_` in a directory of its own.
class SafetensorsFiles : public testing::Test {
 protected:
  SafetensorsFiles() : path_(directory_.path() / "x.safetensors") {}

  void put(const std::string& bytes) const {
    fs::remove(path_);  // writing over an old file makes some file systems wait for the disk
    std::ofstream(path_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  std::string get() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory_.path()), {}));
  }

  /// The message of the FormatError of `act`, less the path that it must begin with.
  template <class Act>
  std::string refusal(Act act, const fs::path& path) const {
    try {
      act();
    } catch (const FormatError& error) {
      const std::string text = error.what();
      EXPECT_EQ(text.rfind(path.string() + ": ", 0), 0U) << text;
      return text.substr(std::min(text.size(), path.string().size() + 2));
    }
    return "(accepted)";
  }
  std::string read_refusal() const {
    return refusal([&] { read_safetensors(path_); }, path_);
  }
  std::string read_refusal(const std::string& bytes) const {
    put(bytes);
    return read_refusal();
  }
  std::string write_refusal(const Tensors& tensors,
                            const std::map<std::string, std::string>& metadata) const {
    return refusal([&] { write_safetensors(path_, tensors, metadata); }, path_);
  }

  TemporaryDirectory directory_;
  fs::path path_;
};

/// One array of every type, with all the bytes that the type allows, a scalar and empty arrays.
inline Tensors every_kind() {
  Tensors tensors;
  for (const Dtype dtype :
       {Dtype::f64, Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i64, Dtype::i32, Dtype::u8, Dtype::boolean}) {
    std::string bytes(6 * size_of(dtype), '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<char>(dtype == Dtype::boolean ? i % 2 : 0xff - 37 * i);
    }
    tensors["t." + std::string(torch_name(dtype))] = array_of(dtype, {2, 3}, bytes);
  }
  tensors["scalar"] = array_of(Dtype::f32, {}, "abcd");
  tensors["empty"] = array_of(Dtype::f32, {3, 0, 2}, "");
  tensors["empty.f64"] = array_of(Dtype::f64, {0}, "");
  tensors["\xc3\xa9\"\\\n"] = array_of(Dtype::u8, {1}, "q");
  return tensors;
}

inline void expect_equal(const Tensors& got, const Tensors& want) {
  ASSERT_EQ(got.size(), want.size());
  for (const auto& [name, array] : want) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(got.contains(name));
    EXPECT_EQ(got.at(name).dtype(), array.dtype());
    EXPECT_EQ(got.at(name).shape(), array.shape());
    EXPECT_EQ(bytes_of(got.at(name)), bytes_of(array));
  }
}

}  // namespace forgecheck

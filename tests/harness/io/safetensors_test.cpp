#include "harness/io/safetensors.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>

#include "harness/case/seeded.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

namespace fs = std::filesystem;
using Tensors = std::map<std::string, Array>;

Array array_of(Dtype dtype, Shape shape, const std::string& bytes) {
  const std::shared_ptr<std::byte[]> copy(new std::byte[bytes.size() + 1]);
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  return Array(dtype, std::move(shape), std::shared_ptr<const std::byte>(copy, copy.get()));
}

std::string bytes_of(const Array& array) {
  return {reinterpret_cast<const char*>(array.bytes().data()), array.bytes().size()};
}

std::string file_bytes(std::uint64_t length, const std::string& rest) {
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + rest;
}

/// Bytes of a file with this header and `size` zero bytes of data.
std::string with_header(const std::string& header, std::size_t size = 0) {
  return file_bytes(header.size(), header + std::string(size, '\0'));
}

/// One entry of a header: "name":{...}.
std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets +
         "}";
}

/// A directory of this test and process.
class Safetensors : public testing::Test {
 protected:
  Safetensors()
      : directory_(fs::temp_directory_path() / ("forgecheck_safetensors_" + std::to_string(getpid()))),
        path_(directory_ / "x.safetensors") {
    fs::create_directory(directory_);
  }
  ~Safetensors() override { fs::remove_all(directory_); }

  void put(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  std::string get() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory_), {}));
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

  fs::path directory_;
  fs::path path_;
};

/// One array of every type, with all the bytes that the type allows, a scalar and empty arrays.
Tensors every_kind() {
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

void expect_equal(const Tensors& got, const Tensors& want) {
  ASSERT_EQ(got.size(), want.size());
  for (const auto& [name, array] : want) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(got.contains(name));
    EXPECT_EQ(got.at(name).dtype(), array.dtype());
    EXPECT_EQ(got.at(name).shape(), array.shape());
    EXPECT_EQ(bytes_of(got.at(name)), bytes_of(array));
  }
}

TEST_F(Safetensors, RoundTripKeepsEveryTypeAndShape) {
  const std::map<std::string, std::string> metadata = {{"forgecheck", "{\"a\": 1}\n"}, {"", "\xc3\xa9"}};
  write_safetensors(path_, every_kind(), metadata);
  const SafetensorsFile file = read_safetensors(path_);
  expect_equal(file.tensors, every_kind());
  EXPECT_EQ(file.metadata, metadata);
}

TEST_F(Safetensors, RoundTripKeepsAnEmptyFile) {
  write_safetensors(path_, {}, {});
  EXPECT_EQ(get(), with_header("{}      "));
  EXPECT_TRUE(read_safetensors(path_).tensors.empty());
}

TEST_F(Safetensors, ArraysOutliveTheFile) {
  write_safetensors(path_, every_kind(), {});
  Array array = read_safetensors(path_).tensors.at("t.float32");
  write_safetensors(path_, {}, {});
  fs::remove(path_);
  EXPECT_EQ(bytes_of(array), bytes_of(every_kind().at("t.float32")));
}

TEST_F(Safetensors, MappingEndsWithTheLastArray) {
  const auto is_mapped = [&] {
    std::ifstream maps("/proc/self/maps");
    const std::string text{std::istreambuf_iterator<char>(maps), {}};
    return text.find(path_.string()) != std::string::npos;
  };
  write_safetensors(path_, every_kind(), {});
  Array array = read_safetensors(path_).tensors.at("t.float32");
  EXPECT_TRUE(is_mapped());
  array = Array();
  EXPECT_FALSE(is_mapped());
}

TEST_F(Safetensors, UnalignedDataIsReadable) {
  put(with_header("{" + entry("a", "F64", "[1]", "[1,9]") + "," + entry("b", "U8", "[1]", "[0,1]") + "}", 0) +
      std::string("\x05\0\0\0\0\0\0\xf8\x3f", 9));
  const SafetensorsFile file = read_safetensors(path_);
  EXPECT_EQ(file.tensors.at("a").at(0), 1.5);
  EXPECT_EQ(file.tensors.at("b").int_at(0), 5);
}

// The bytes are those of safetensors.numpy.save_file of the official library, version 0.8.
TEST_F(Safetensors, WritesTheBytesOfTheOfficialLibrary) {
  write_safetensors(path_,
                    {{"b", array_of(Dtype::boolean, {2}, std::string("\1\0", 2))},
                     {"z", array_of(Dtype::i64, {1}, "12345678")},
                     {"d", array_of(Dtype::f64, {1}, "abcdefgh")},
                     {"y", array_of(Dtype::f32, {}, "ABCD")},
                     {"i", array_of(Dtype::i32, {1, 1}, "IJKL")},
                     {"a", array_of(Dtype::f32, {1}, "EFGH")},
                     {"u", array_of(Dtype::u8, {1}, "U")},
                     {"h", array_of(Dtype::f16, {1}, "hh")},
                     {"v", array_of(Dtype::bf16, {1}, "vv")}},
                    {{"key", "text"}});
  const std::string header =
      "{\"__metadata__\":{\"key\":\"text\"}," + entry("z", "I64", "[1]", "[0,8]") + "," +
      entry("d", "F64", "[1]", "[8,16]") + "," + entry("a", "F32", "[1]", "[16,20]") + "," +
      entry("y", "F32", "[]", "[20,24]") + "," + entry("i", "I32", "[1,1]", "[24,28]") + "," +
      entry("v", "BF16", "[1]", "[28,30]") + "," + entry("h", "F16", "[1]", "[30,32]") + "," +
      entry("u", "U8", "[1]", "[32,33]") + "," + entry("b", "BOOL", "[2]", "[33,35]") + "}";
  const std::string padding((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(get(),
            with_header(header + padding) + "12345678abcdefghEFGHABCDIJKLvvhhU" + std::string("\1\0", 2));
}

// ---- the file and its length ----

TEST_F(Safetensors, RefusesMissingFile) {
  EXPECT_EQ(read_refusal(), "cannot be opened: No such file or directory");
}

TEST_F(Safetensors, RefusesDirectory) {
  EXPECT_EQ(refusal([&] { read_safetensors(directory_); }, directory_), "cannot be read: Is a directory");
}

TEST_F(Safetensors, RefusesPipeWithoutWaiting) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(read_refusal(), "is not a regular file");
}

TEST_F(Safetensors, RefusesUnreadableFile) {
  put(with_header("{}"));
  fs::permissions(path_, fs::perms::none);
  const uid_t user = geteuid();
  if (user == 0) {  // root may read everything
    ASSERT_EQ(seteuid(65534), 0);
  }
  const std::string message = read_refusal();
  if (user == 0) {
    ASSERT_EQ(seteuid(0), 0);
  }
  EXPECT_EQ(message, "cannot be opened: Permission denied");
}

TEST_F(Safetensors, RefusesFileWithoutLength) {
  EXPECT_EQ(read_refusal(""), "has 0 bytes, too few for the 8 bytes of header length");
  EXPECT_EQ(read_refusal("1234567"), "has 7 bytes, too few for the 8 bytes of header length");
}

TEST_F(Safetensors, RefusesWrongHeaderLength) {
  EXPECT_EQ(read_refusal(file_bytes(0, "{}")), "header length is 0");
  EXPECT_EQ(read_refusal(file_bytes(3, "{}")), "header length is 3, but the file has only 2 bytes after it");
  EXPECT_EQ(read_refusal(file_bytes(100'000'000, "{}")),
            "header length is 100000000, but the file has only 2 bytes after it");
  EXPECT_EQ(read_refusal(file_bytes(100'000'001, "{}")), "header length is 100000001, more than 100000000");
  EXPECT_EQ(read_refusal(file_bytes(UINT64_MAX, "{}")),
            "header length is 18446744073709551615, more than 100000000");
}

// ---- the header as JSON ----

TEST_F(Safetensors, RefusesHeaderThatIsNotAnObject) {
  EXPECT_EQ(read_refusal(with_header(" {}")), "header begins with byte 32, not with \"{\"");
  EXPECT_EQ(read_refusal(with_header("[]")), "header begins with byte 91, not with \"{\"");
}

TEST_F(Safetensors, RefusesInvalidJson) {
  for (const std::string header : {"{", "{} x", "{}{}", "{\"a\":}", "{\"a\":1e999}", "{\"\xff\":1}"}) {
    EXPECT_EQ(read_refusal(with_header(header)).rfind("header is not valid JSON: ", 0), 0U) << header;
  }
}

TEST_F(Safetensors, RefusesNulByteInHeader) {
  EXPECT_EQ(read_refusal(with_header(std::string("{}\0x", 4))), "header has a NUL byte at offset 2");
}

TEST_F(Safetensors, RefusesDeepNesting) {
  const std::string message = "header is nested more than 16 levels deep";
  EXPECT_EQ(read_refusal(with_header("{\"a\":" + std::string(1'000'000, '['))), message);
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_EQ(read_refusal(with_header(objects)), message);
}

TEST_F(Safetensors, RefusesDuplicateKeys) {
  const std::string a = entry("a", "U8", "[1]", "[0,1]");
  EXPECT_EQ(read_refusal(with_header("{" + a + "," + a + "}", 1)),
            "header has the key \"a\" twice in one object");
  EXPECT_EQ(
      read_refusal(with_header(R"({"a":{"shape":[1],"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1)),
      "header has the key \"shape\" twice in one object");
  EXPECT_EQ(read_refusal(with_header(R"({"__metadata__":{"k":"1","k":"2"}})")),
            "header has the key \"k\" twice in one object");
}

TEST_F(Safetensors, RefusesMetadataThatIsNotText) {
  EXPECT_EQ(read_refusal(with_header(R"({"__metadata__":["x"]})")), "__metadata__ is [\"x\"], not an object");
  EXPECT_EQ(read_refusal(with_header(R"({"__metadata__":{"k":7}})")),
            "__metadata__ key \"k\" is 7, not a string");
}

// ---- one tensor ----

TEST_F(Safetensors, RefusesEntryThatIsNotAnObject) {
  EXPECT_EQ(read_refusal(with_header(R"({"a":3})")), "tensor \"a\": is 3, not an object");
}

TEST_F(Safetensors, RefusesMissingField) {
  EXPECT_EQ(read_refusal(with_header(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1)),
            "tensor \"a\": dtype is missing");
  EXPECT_EQ(read_refusal(with_header(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1)),
            "tensor \"a\": shape is missing");
  EXPECT_EQ(read_refusal(with_header(R"({"a":{"dtype":"U8","shape":[1]}})", 1)),
            "tensor \"a\": data_offsets is missing");
}

TEST_F(Safetensors, RefusesFieldOfTheWrongType) {
  EXPECT_EQ(read_refusal(with_header(R"({"a":{"dtype":1,"shape":[1],"data_offsets":[0,1]}})", 1)),
            "tensor \"a\": dtype is 1, not a string");
  EXPECT_EQ(read_refusal(with_header("{" + entry("a", "U8", "{}", "[0,1]") + "}", 1)),
            "tensor \"a\": shape is {}, not an array");
  EXPECT_EQ(read_refusal(with_header("{" + entry("a", "U8", "[1]", "null") + "}", 1)),
            "tensor \"a\": data_offsets is null, not an array");
}

TEST_F(Safetensors, RefusesUnknownDtype) {
  for (const std::string dtype : {"F8_E4M3", "f32", "F32 ", ""}) {
    EXPECT_EQ(read_refusal(with_header("{" + entry("a", dtype, "[1]", "[0,1]") + "}", 1)),
              "tensor \"a\": dtype \"" + dtype + "\" is not one of F64, F32, F16, BF16, I64, I32, U8, BOOL");
  }
}

TEST_F(Safetensors, RefusesNumbersThatAreNoSize) {
  // Negative, with a fraction, another type, past 2^63 - 1 and past 2^64 - 1.
  for (const std::string number : {"-1", "1.0", "\"1\"", "true", "[1]", "9223372036854775808", "1e30"}) {
    const std::string shape =
        read_refusal(with_header("{" + entry("a", "U8", "[1," + number + "]", "[0,1]") + "}", 1));
    EXPECT_EQ(shape.rfind("tensor \"a\": shape is [1,", 0), 0U) << shape;
    EXPECT_NE(shape.find(" is not an integer from 0 to 2^63 - 1"), std::string::npos) << shape;
    for (const std::string& offsets : {"[" + number + ",1]", "[0," + number + "]"}) {
      const std::string text = read_refusal(with_header("{" + entry("a", "U8", "[1]", offsets) + "}", 1));
      EXPECT_EQ(text.rfind("tensor \"a\": data_offsets is [", 0), 0U) << text;
      EXPECT_NE(text.find(" is not an integer from 0 to 2^63 - 1"), std::string::npos) << text;
    }
  }
}

TEST_F(Safetensors, RefusesShapeThatOverflows) {
  const std::string big = "4294967296";
  EXPECT_EQ(read_refusal(with_header("{" + entry("a", "U8", "[" + big + "," + big + "]", "[0,0]") + "}")),
            "tensor \"a\": shape is [4294967296,4294967296], more than 2^63 - 1 bytes");
  // 2^61 elements are a count, their 2^64 bytes are not.
  EXPECT_EQ(read_refusal(with_header("{" + entry("a", "F64", "[2305843009213693952]", "[0,0]") + "}")),
            "tensor \"a\": shape is [2305843009213693952], more than 2^63 - 1 bytes");
}

TEST_F(Safetensors, RefusesWrongOffsets) {
  const auto of = [&](const std::string& offsets) {
    return read_refusal(with_header("{" + entry("a", "F32", "[2]", offsets) + "}", 8));
  };
  EXPECT_EQ(of("[8,0]"), "tensor \"a\": data_offsets is [8,0]: the end is before the begin");
  EXPECT_EQ(of("[1,9]"), "tensor \"a\": data_offsets is [1,9], past the 8 bytes of data");
  EXPECT_EQ(of("[0,7]"), "tensor \"a\": data_offsets is [0,7], 7 bytes, but dtype F32 and shape [2] need 8");
  EXPECT_EQ(read_refusal(with_header("{" + entry("a", "F32", "[1]", "[0,8]") + "}", 8)),
            "tensor \"a\": data_offsets is [0,8], 8 bytes, but dtype F32 and shape [1] need 4");
  EXPECT_EQ(of("[0]"), "tensor \"a\": data_offsets is [0], not two numbers");
  EXPECT_EQ(of("[0,8,8]"), "tensor \"a\": data_offsets is [0,8,8], not two numbers");
  EXPECT_EQ(of("[0,8]"), "(accepted)");
}

TEST_F(Safetensors, RefusesBoolBytesOtherThanZeroAndOne) {
  const std::string head = with_header("{" + entry("mask", "BOOL", "[3]", "[0,3]") + "}");
  EXPECT_EQ(read_refusal(head + std::string("\1\0\1", 3)), "(accepted)");
  EXPECT_EQ(read_refusal(head + std::string("\1\0\xff", 3)),
            "tensor \"mask\": BOOL element 2 is 255, not 0 or 1");
}

// ---- the tensors together ----

TEST_F(Safetensors, RefusesOverlappingTensors) {
  const std::string a = entry("a", "U8", "[4]", "[0,4]");
  EXPECT_EQ(read_refusal(with_header("{" + a + "," + entry("b", "U8", "[2]", "[3,5]") + "}", 5)),
            "tensor \"b\": data_offsets is [3,5], which overlaps tensor \"a\" at [0,4]");
  EXPECT_EQ(read_refusal(with_header("{" + a + "," + entry("b", "U8", "[4]", "[0,4]") + "}", 4)),
            "tensor \"b\": data_offsets is [0,4], which overlaps tensor \"a\" at [0,4]");
  EXPECT_EQ(read_refusal(with_header("{" + a + "," + entry("b", "U8", "[0]", "[2,2]") + "}", 4)),
            "tensor \"b\": data_offsets is [2,2], which overlaps tensor \"a\" at [0,4]");
}

TEST_F(Safetensors, RefusesHoles) {
  EXPECT_EQ(read_refusal(with_header("{" + entry("a", "U8", "[3]", "[1,4]") + "}", 4)),
            "tensor \"a\": data_offsets is [1,4], which leaves a gap: no tensor covers the bytes from 0");
  EXPECT_EQ(read_refusal(with_header(
                "{" + entry("a", "U8", "[1]", "[0,1]") + "," + entry("b", "U8", "[1]", "[3,4]") + "}", 4)),
            "tensor \"b\": data_offsets is [3,4], which leaves a gap: no tensor covers the bytes from 1");
}

TEST_F(Safetensors, RefusesTrailingBytes) {
  EXPECT_EQ(read_refusal(with_header("{" + entry("a", "U8", "[3]", "[0,3]") + "}", 4)),
            "the tensors end at byte 3 of the data, which has 4 bytes");
  EXPECT_EQ(read_refusal(with_header("{}", 1)), "the tensors end at byte 0 of the data, which has 1 bytes");
}

TEST_F(Safetensors, LongNamesAreShortenedInMessages) {
  const std::string text = read_refusal(with_header("{\"" + std::string(100'000, 'n') + "\":3}"));
  EXPECT_LT(text.size(), 200U);
  EXPECT_NE(text.find("n...: is 3, not an object"), std::string::npos) << text;
}

/// One random change of `bytes`: a flipped bit, a byte of JSON punctuation, a removed or doubled piece, or a
/// cut.
void corrupt(std::string& bytes, std::uint64_t& state) {
  const auto random = [&](std::uint64_t below) { return splitmix64(state++) % below; };
  if (bytes.empty()) return;
  // The header is where the decisions are: half of the changes go to its length and first part.
  const std::size_t at = random(random(2) == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 700));
  constexpr std::string_view kJson = "0123456789-.eE[]{}\",: \\tfnu";
  switch (random(5)) {
    case 0:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random(8)));
      break;
    case 1:
      bytes[at] = kJson[random(kJson.size())];
      break;
    case 2:
      bytes.erase(at, 1 + random(9));
      break;
    case 3:
      bytes.insert(at, bytes.substr(at, 1 + random(60)));
      break;
    default:
      if (random(4) == 0) bytes.resize(at);
  }
}

TEST_F(Safetensors, RandomCorruptionParsesOrIsRefused) {
  write_safetensors(path_, every_kind(), {{"forgecheck", "{}"}});
  const std::string valid = get();
  int parsed = 0;
  int refused = 0;
  std::uint64_t state = 20240607;
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = valid;
    for (std::uint64_t i = 0; i <= splitmix64(state) % 3; ++i) corrupt(bytes, state);
    put(bytes);
    try {
      // What parses can be used: every element of every array, and all of the data is theirs.
      std::size_t total = 0;
      for (const auto& [name, array] : read_safetensors(path_).tensors) {
        for (std::int64_t i = 0; i < array.size(); ++i) static_cast<void>(array.at(i));
        total += array.bytes().size();
      }
      std::uint64_t length = 0;
      std::memcpy(&length, bytes.data(), sizeof(length));
      ASSERT_EQ(total, bytes.size() - sizeof(length) - length);
      ++parsed;
    } catch (const FormatError& error) {
      ASSERT_EQ(std::string(error.what()).rfind(path_.string() + ": ", 0), 0U) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(parsed, 100);
  EXPECT_GT(refused, 1500);
}

// ---- writing ----

TEST_F(Safetensors, RefusesToWriteWhatCannotBeReadBack) {
  const Array byte = array_of(Dtype::u8, {1}, "x");
  EXPECT_EQ(write_refusal({{"__metadata__", byte}}, {}), "a tensor cannot have the name \"__metadata__\"");
  EXPECT_EQ(write_refusal({{"a", Array(Dtype::f32, {2}, nullptr)}}, {}),
            "tensor \"a\" has a shape but no data");
  EXPECT_EQ(write_refusal({{"a", array_of(Dtype::boolean, {1}, "\2")}}, {}),
            "tensor \"a\": BOOL element 0 is 2, not 0 or 1");
  EXPECT_EQ(write_refusal({{"\xff", byte}}, {}), "a tensor name or a metadata text is not valid UTF-8");
  EXPECT_EQ(write_refusal({}, {{"k", "\xc3"}}), "a tensor name or a metadata text is not valid UTF-8");
  EXPECT_EQ(write_refusal({}, {{"k", std::string(100'000'000, 'x')}}),
            "header length would be 100000032, more than 100000000");
  EXPECT_EQ(files(), 0U);
}

TEST_F(Safetensors, RefusesToWriteWhereThereIsNoDirectory) {
  path_ = directory_ / "missing" / "x.safetensors";
  EXPECT_EQ(write_refusal({}, {}), "cannot be created: No such file or directory");
}

TEST_F(Safetensors, RefusesToReplaceDirectoryAndCleansUp) {
  fs::create_directory(path_);
  EXPECT_EQ(write_refusal({}, {}), "cannot be replaced: Is a directory");
  EXPECT_EQ(files(), 1U);
}

/// Writes more than the process is allowed to: the kernel stops it in the middle of the data.
void write_past_limit(const fs::path& path) {
  const rlimit limit{4096, RLIM_INFINITY};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  write_safetensors(path, {{"a", array_of(Dtype::u8, {9000}, std::string(9000, 'x'))}}, {});
}

TEST_F(Safetensors, FailedWriteKeepsTheOldFile) {
  write_safetensors(path_, every_kind(), {});
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const std::string message = refusal([&] { write_past_limit(path_); }, path_);
  std::signal(SIGXFSZ, handler);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(message, "cannot be written: File too large");
  expect_equal(read_safetensors(path_).tensors, every_kind());
  EXPECT_EQ(files(), 1U);
}

TEST_F(Safetensors, KilledWriteKeepsTheOldFile) {
  write_safetensors(path_, every_kind(), {});
  EXPECT_EXIT(write_past_limit(path_), testing::KilledBySignal(SIGXFSZ), "");
  expect_equal(read_safetensors(path_).tensors, every_kind());
}

}  // namespace
}  // namespace forgecheck

// What is written is read back, byte for byte; what is corrupt is refused.
#include "harness/case/seeded.h"
#include "tests/harness/io/safetensors_files.h"

namespace forgecheck {
namespace {

class Safetensors : public SafetensorsFiles {};

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

// The data begins at a multiple of 8, after as few spaces as that takes.
TEST_F(Safetensors, TheHeaderIsPaddedToEightBytes) {
  for (std::size_t length = 0; length < 8; ++length) {
    const std::string name(length, 'n');
    write_safetensors(path_, {{name, array_of(Dtype::u8, {0}, "")}}, {});
    const std::string header = "{" + entry(name, "U8", "[0]", "[0,0]") + "}";
    const std::size_t spaces = (8 - header.size() % 8) % 8;
    EXPECT_EQ(get(), with_header(header + std::string(spaces, ' '))) << header.size();
  }
}

// An empty tensor takes no place, so it may begin where another one does.
TEST_F(Safetensors, EmptyTensorsMayBeginWhereAnotherDoes) {
  put(with_header("{" + entry("z", "F32", "[0]", "[0,0]") + "," + entry("m", "U8", "[2]", "[0,2]") + "," +
                      entry("b", "F32", "[3,0]", "[2,2]") + "," + entry("a", "U8", "[1]", "[2,3]") + "," +
                      entry("c", "I64", "[0]", "[3,3]") + "}",
                  3));
  const Tensors tensors = read_safetensors(path_).tensors;
  EXPECT_EQ(tensors.size(), 5U);
  EXPECT_EQ(tensors.at("z").shape(), Shape{0});
  EXPECT_EQ(tensors.at("b").shape(), (Shape{3, 0}));
  EXPECT_EQ(tensors.at("m").bytes().size(), 2U);
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
  for (int round = 0; round < 1500; ++round) {
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
  EXPECT_GT(parsed, 50);
  EXPECT_GT(refused, 750);
}

}  // namespace
}  // namespace forgecheck

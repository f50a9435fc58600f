// What the reader refuses, and the messages that say so.
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/io/safetensors_files.h"

namespace forgecheck {
namespace {

class SafetensorsRefusal : public SafetensorsFiles {};

// ---- the file and its length ----

TEST_F(SafetensorsRefusal, RefusesMissingFile) {
  EXPECT_EQ(read_refusal(), "cannot be opened: No such file or directory");
}

TEST_F(SafetensorsRefusal, RefusesDirectory) {
  EXPECT_EQ(refusal([&] { read_safetensors(directory_.path()); }, directory_.path()),
            "cannot be read: Is a directory");
}

TEST_F(SafetensorsRefusal, RefusesPipeWithoutWaiting) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(read_refusal(), "is not a regular file");
}

TEST_F(SafetensorsRefusal, RefusesUnreadableFile) {
  put(with_header("{}"));
  fs::permissions(directory_.path(), fs::perms(0755));  // so that only the file refuses
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

TEST_F(SafetensorsRefusal, RefusesFileWithoutLength) {
  EXPECT_EQ(read_refusal(""), "has 0 bytes, too few for the 8 bytes of header length");
  EXPECT_EQ(read_refusal("1234567"), "has 7 bytes, too few for the 8 bytes of header length");
}

TEST_F(SafetensorsRefusal, RefusesWrongHeaderLength) {
  EXPECT_EQ(read_refusal(file_bytes(0, "{}")), "header length is 0");
  EXPECT_EQ(read_refusal(file_bytes(3, "")), "header length is 3, but the file has only 0 bytes after it");
  EXPECT_EQ(read_refusal(file_bytes(2, "{}")), "(accepted)");
  EXPECT_EQ(read_refusal(file_bytes(3, "{}")), "header length is 3, but the file has only 2 bytes after it");
  EXPECT_EQ(read_refusal(file_bytes(100'000'000, "{}")),
            "header length is 100000000, but the file has only 2 bytes after it");
  EXPECT_EQ(read_refusal(file_bytes(100'000'001, "{}")), "header length is 100000001, more than 100000000");
  EXPECT_EQ(read_refusal(file_bytes(UINT64_MAX, "{}")),
            "header length is 18446744073709551615, more than 100000000");
}

// ---- the header as JSON ----

TEST_F(SafetensorsRefusal, RefusesHeaderThatIsNotAnObject) {
  EXPECT_EQ(read_refusal(with_header(" {}")), "header begins with byte 32, not with \"{\"");
  EXPECT_EQ(read_refusal(with_header("[]")), "header begins with byte 91, not with \"{\"");
}

TEST_F(SafetensorsRefusal, RefusesInvalidJson) {
  for (const std::string header : {"{", "{} x", "{}{}", "{\"a\":}", "{\"\xff\":1}"}) {
    EXPECT_THAT(read_refusal(with_header(header)), testing::StartsWith("header: is not valid JSON: "))
        << header;
  }
}

TEST_F(SafetensorsRefusal, ANumberThatNoDoubleHoldsIsNamedWithItsPlace) {
  EXPECT_EQ(read_refusal(with_header(R"({"a.b":{"shape":[1,1e999]}})")),
            "header: [\"a.b\"].shape[1]: the number 1e999 is too large");
}

TEST_F(SafetensorsRefusal, AGitLfsPointerSaysWhatToDo) {
  EXPECT_EQ(read_refusal("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"),
            "is a Git LFS pointer, not the file itself: run git lfs pull");
}

TEST_F(SafetensorsRefusal, RefusesNulByteInHeader) {
  EXPECT_EQ(read_refusal(with_header(std::string("{}\0x", 4))), "header: has a NUL byte at offset 2");
}

TEST_F(SafetensorsRefusal, RefusesDeepNesting) {
  const std::string message = "header: is nested more than 16 levels deep";
  EXPECT_EQ(read_refusal(with_header("{\"a\":" + std::string(1'000'000, '['))), message);
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_EQ(read_refusal(with_header(objects)), message);
}

TEST_F(SafetensorsRefusal, RefusesDuplicateKeys) {
  const std::string a = entry("a", "U8", "[1]", "[0,1]");
  EXPECT_EQ(read_refusal(with_header("{" + a + "," + a + "}", 1)), "header: a: is given twice");
  EXPECT_EQ(
      read_refusal(with_header(R"({"a":{"shape":[1],"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1)),
      "header: a.shape: is given twice");
  EXPECT_EQ(read_refusal(with_header(R"({"__metadata__":{"k":"1","k":"2"}})")),
            "header: __metadata__.k: is given twice");
}

TEST_F(SafetensorsRefusal, RefusesMetadataThatIsNotText) {
  EXPECT_EQ(read_refusal(with_header(R"({"__metadata__":["x"]})")), "__metadata__ is [\"x\"], not an object");
  EXPECT_EQ(read_refusal(with_header(R"({"__metadata__":{"k":7}})")),
            "__metadata__ key \"k\" is 7, not a string");
}

// ---- one tensor ----

TEST_F(SafetensorsRefusal, RefusesEntryThatIsNotAnObject) {
  EXPECT_EQ(read_refusal(with_header(R"({"a":3})")), "tensor \"a\": is 3, not an object");
}

TEST_F(SafetensorsRefusal, RefusesMissingField) {
  EXPECT_EQ(read_refusal(with_header(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1)),
            "tensor \"a\": dtype is missing");
  EXPECT_EQ(read_refusal(with_header(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1)),
            "tensor \"a\": shape is missing");
  EXPECT_EQ(read_refusal(with_header(R"({"a":{"dtype":"U8","shape":[1]}})", 1)),
            "tensor \"a\": data_offsets is missing");
}

TEST_F(SafetensorsRefusal, RefusesFieldOfTheWrongType) {
  EXPECT_EQ(read_refusal(with_header(R"({"a":{"dtype":1,"shape":[1],"data_offsets":[0,1]}})", 1)),
            "tensor \"a\": dtype is 1, not a string");
  EXPECT_EQ(read_refusal(with_header("{" + entry("a", "U8", "{}", "[0,1]") + "}", 1)),
            "tensor \"a\": shape is {}, not an array");
  EXPECT_EQ(read_refusal(with_header("{" + entry("a", "U8", "[1]", "null") + "}", 1)),
            "tensor \"a\": data_offsets is null, not an array");
}

TEST_F(SafetensorsRefusal, RefusesUnknownDtype) {
  for (const std::string dtype : {"F8_E4M3", "f32", "F32 ", ""}) {
    EXPECT_EQ(read_refusal(with_header("{" + entry("a", dtype, "[1]", "[0,1]") + "}", 1)),
              "tensor \"a\": dtype \"" + dtype + "\" is not one of F64, F32, F16, BF16, I64, I32, U8, BOOL");
  }
}

TEST_F(SafetensorsRefusal, RefusesNumbersThatAreNoSize) {
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

TEST_F(SafetensorsRefusal, RefusesShapeThatOverflows) {
  const std::string big = "4294967296";
  EXPECT_EQ(read_refusal(with_header("{" + entry("a", "U8", "[" + big + "," + big + "]", "[0,0]") + "}")),
            "tensor \"a\": shape is [4294967296,4294967296], more than 2^63 - 1 bytes");
  // 2^61 elements are a count, their 2^64 bytes are not.
  EXPECT_EQ(read_refusal(with_header("{" + entry("a", "F64", "[2305843009213693952]", "[0,0]") + "}")),
            "tensor \"a\": shape is [2305843009213693952], more than 2^63 - 1 bytes");
}

TEST_F(SafetensorsRefusal, RefusesWrongOffsets) {
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

TEST_F(SafetensorsRefusal, RefusesBoolBytesOtherThanZeroAndOne) {
  const std::string head = with_header("{" + entry("mask", "BOOL", "[3]", "[0,3]") + "}");
  EXPECT_EQ(read_refusal(head + std::string("\1\0\1", 3)), "(accepted)");
  EXPECT_EQ(read_refusal(head + std::string("\1\0\xff", 3)),
            "tensor \"mask\": BOOL element 2 is 255, not 0 or 1");
}

// ---- the tensors together ----

TEST_F(SafetensorsRefusal, RefusesOverlappingTensors) {
  const std::string a = entry("a", "U8", "[4]", "[0,4]");
  EXPECT_EQ(read_refusal(with_header("{" + a + "," + entry("b", "U8", "[2]", "[3,5]") + "}", 5)),
            "tensor \"b\": data_offsets is [3,5], which overlaps tensor \"a\" at [0,4]");
  EXPECT_EQ(read_refusal(with_header("{" + a + "," + entry("b", "U8", "[4]", "[0,4]") + "}", 4)),
            "tensor \"b\": data_offsets is [0,4], which overlaps tensor \"a\" at [0,4]");
  EXPECT_EQ(read_refusal(with_header("{" + a + "," + entry("b", "U8", "[0]", "[2,2]") + "}", 4)),
            "tensor \"b\": data_offsets is [2,2], which overlaps tensor \"a\" at [0,4]");
}

TEST_F(SafetensorsRefusal, RefusesHoles) {
  EXPECT_EQ(read_refusal(with_header("{" + entry("a", "U8", "[3]", "[1,4]") + "}", 4)),
            "tensor \"a\": data_offsets is [1,4], which leaves a gap: no tensor covers the bytes from 0");
  EXPECT_EQ(read_refusal(with_header(
                "{" + entry("a", "U8", "[1]", "[0,1]") + "," + entry("b", "U8", "[1]", "[3,4]") + "}", 4)),
            "tensor \"b\": data_offsets is [3,4], which leaves a gap: no tensor covers the bytes from 1");
}

TEST_F(SafetensorsRefusal, RefusesTrailingBytes) {
  EXPECT_EQ(read_refusal(with_header("{" + entry("a", "U8", "[3]", "[0,3]") + "}", 4)),
            "the tensors end at byte 3 of the data, which has 4 bytes");
  EXPECT_EQ(read_refusal(with_header("{}", 1)), "the tensors end at byte 0 of the data, which has 1 bytes");
}

TEST_F(SafetensorsRefusal, LongNamesAreShortenedInMessages) {
  const std::string text = read_refusal(with_header("{\"" + std::string(100'000, 'n') + "\":3}"));
  EXPECT_LT(text.size(), 200U);
  EXPECT_NE(text.find("n...: is 3, not an object"), std::string::npos) << text;
}

}  // namespace
}  // namespace forgecheck

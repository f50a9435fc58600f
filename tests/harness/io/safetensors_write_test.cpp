// What the writer refuses, and what a failed or killed write leaves behind.
#include <sys/resource.h>
#include <csignal>

#include "tests/harness/io/safetensors_files.h"

namespace forgecheck {
namespace {

class SafetensorsWriting : public SafetensorsFiles {};

TEST_F(SafetensorsWriting, RefusesToWriteWhatCannotBeReadBack) {
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

TEST_F(SafetensorsWriting, RefusesToWriteWhereThereIsNoDirectory) {
  path_ = directory_.path() / "missing" / "x.safetensors";
  EXPECT_EQ(write_refusal({}, {}), "cannot be created: No such file or directory");
}

TEST_F(SafetensorsWriting, RefusesToReplaceDirectoryAndCleansUp) {
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

TEST_F(SafetensorsWriting, FailedWriteKeepsTheOldFile) {
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

TEST_F(SafetensorsWriting, KilledWriteKeepsTheOldFile) {
  write_safetensors(path_, every_kind(), {});
  EXPECT_EXIT(write_past_limit(path_), testing::KilledBySignal(SIGXFSZ), "");
  expect_equal(read_safetensors(path_).tensors, every_kind());
}

}  // namespace
}  // namespace forgecheck

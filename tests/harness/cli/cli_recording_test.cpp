// What the program says of recordings: what they hold, and which file is wrong.
#include "harness/backend/backend.h"
#include "harness/io/safetensors.h"
#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Recording : public ProgramTest {
 protected:
  /// A copy of a golden, its tensors and metadata changed.
  template <class Change>
  void write_changed(const std::string& name, const Change& change) const {
    SafetensorsFile file = read_safetensors(golden_path("kempnerforge/dense/mha.safetensors"));
    change(file);
    std::filesystem::create_directories(at(name).parent_path());
    write_safetensors(at(name), file.tensors, file.metadata);
  }
  static void put_bad_token(SafetensorsFile& file) {
    Tensor<std::int64_t> tokens = file.tensors.at("input.tokens").to_int64();
    tokens[0] = 108;
    file.tensors.insert_or_assign("input.tokens", Array::from(tokens));
  }
};

TEST_F(Recording, ShowAndListNameTheSizesOfTheRecordedInputs) {
  write_changed("store/one.safetensors", [](SafetensorsFile& file) {
    ASSERT_EQ(file.tensors.at("input.tokens").shape(), (Shape{2, 9}));
  });
  const std::string sizes = "/batch=2,text_len=9/seed=";
  EXPECT_THAT(run({"golden", "list", "--golden", "store"}).out, HasSubstr(sizes));
  EXPECT_THAT(run({"golden", "show", "one", "--golden", "store"}).out, HasSubstr(sizes));
  EXPECT_THAT(run({"verify", "--golden", "store", "--backend", "golden", "--json", "r.json"}).out,
              HasSubstr("1 match"));
  EXPECT_THAT(file_text(at("r.json")), HasSubstr(sizes));
}

TEST_F(Recording, ShowTakesAPath) {
  write_changed("elsewhere/mine.safetensors", [](SafetensorsFile&) {});
  const Outcome outcome = run({"golden", "show", "elsewhere/mine.safetensors"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(testing::StartsWith("elsewhere/mine.safetensors\n"), HasSubstr("logits")));
  expect_refused({"golden", "show", "absent.safetensors"}, {"absent.safetensors: cannot be opened"});
}

TEST_F(Recording, ABadInputIsNamedWithItsFile) {
  write_changed("store/bad.safetensors", put_bad_token);
  const std::string message = "bad.safetensors: [embedding] tokens[0] = 108 is outside 0 .. 60";
  expect_refused({"run", "store/bad.safetensors"}, {message});
  for (const BackendStatus& backend : list_backends()) {
    if (!backend.name.starts_with("gpu:") || !backend.unavailable.empty()) continue;
    expect_refused({"run", "store/bad.safetensors", "--backend", backend.name},
                   {"store/bad.safetensors: ", "108"});
  }
  EXPECT_THAT(run({"bisect", "store/bad.safetensors", "--backend", "cpu:openblas"}).err, HasSubstr(message));
  expect_refused({"compare", "store/bad.safetensors", golden_path("kempnerforge/dense/mha.safetensors")},
                 {message});
  expect_refused({"calibrate", "--runs", "0", "--traces", "store"}, {message});
  const Outcome outcome = run({"verify", "--golden", "store", "--backend", "golden"});
  EXPECT_NE(outcome.status, 0);
  EXPECT_THAT(outcome.out + outcome.err, HasSubstr(message));
}

TEST_F(Recording, AnUnknownKeyOfTheMetadataIsNamedWithTheNearestKnownOne) {
  write_changed("typo.safetensors", [](SafetensorsFile& file) {
    std::string& text = file.metadata.at("forgecheck");
    text.insert(text.rfind('}'), R"(, "wieghts": "seeded")");
  });
  expect_refused({"run", "typo.safetensors"},
                 {"typo.safetensors: metadata forgecheck: wieghts: unknown field, did you mean weights?"});
}

TEST_F(Recording, AGitLfsPointerSaysWhatToDo) {
  write("pointer.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n");
  expect_refused({"run", "pointer.safetensors"},
                 {"pointer.safetensors: is a Git LFS pointer, not the file itself: run git lfs pull"});
}

TEST_F(Recording, AnUnknownArchitectureIsNamedWithAllThereAre) {
  expect_refused({"run", "foo[dim=64]"},
                 {"\"foo\"", "dense, moe, joint_decoder, cross_attention, mot, moma"});
}

TEST_F(Recording, ANumberPastADoubleInAReportIsNamedWithItsPlace) {
  write("r.json", R"({"schema": 1, "tool": {"name": "forgecheck", "version": "1"}, "command": [], "results": [
      {"used": 1e999}], "summary": {}})");
  expect_refused({"report", "merge", "r.json"}, {"r.json: results[0].used: the number 1e999 is too large"});
}

TEST_F(Recording, ALinkThatLeadsNowhereIsNamed) {
  write_changed("store/one.safetensors", [](SafetensorsFile&) {});
  std::filesystem::create_symlink("gone", at("store/dangling.safetensors"));
  const Outcome dangling = run({"verify", "--golden", "store", "--backend", "golden"});
  EXPECT_NE(dangling.status, 0);
  EXPECT_THAT(dangling.out + dangling.err, HasSubstr("dangling.safetensors: cannot be opened: No such file"));
  std::filesystem::remove(at("store/dangling.safetensors"));

  std::filesystem::create_symlink("loop.safetensors", at("store/loop.safetensors"));
  const Outcome loop = run({"verify", "--golden", "store", "--backend", "golden"});
  EXPECT_NE(loop.status, 0);
  EXPECT_THAT(loop.out + loop.err, AllOf(HasSubstr("loop.safetensors: cannot be opened: Too many levels"),
                                         Not(HasSubstr("internal"))));
  expect_refused({"run", "store/loop.safetensors"}, {"loop.safetensors: cannot be opened"});
  expect_refused({"golden", "list", "--golden", "store/loop.safetensors"}, {"loop.safetensors"});
}

}  // namespace
}  // namespace forgecheck

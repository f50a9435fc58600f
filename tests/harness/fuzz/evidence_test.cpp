// docs/calibration.md, which `forgecheck calibrate` writes, is the evidence for the constants of tolerance.h:
// it was made with them, no right implementation is past a bound, and what it says comes out again. So a
// constant that is changed without measuring fails here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "harness/backend/backend.h"
#include "harness/fuzz/calibration.h"
#include "harness/report/text.h"
#include "harness/verdict/tolerance.h"
#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using Cells = std::vector<std::string>;

/// The rows of every table below the heading, without the heads of the tables.
std::vector<Cells> rows_below(const std::string& heading) {
  std::ifstream file(std::string(FORGECHECK_SOURCE_DIR) + "/docs/calibration.md");
  std::vector<Cells> rows;
  bool below = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) below = line == "## " + heading;
    if (!below || !line.starts_with("| ")) continue;
    Cells cells;
    const std::regex cell(R"(\| ([^|]*) (?=\|))");
    for (std::sregex_iterator at(line.begin(), line.end(), cell), end; at != end; ++at) {
      cells.push_back((*at)[1]);
    }
    rows.push_back(cells);
  }
  if (!rows.empty()) rows.erase(rows.begin());
  return rows;
}

std::string text_below(const std::string& heading) {
  std::ifstream file(std::string(FORGECHECK_SOURCE_DIR) + "/docs/calibration.md");
  std::string text;
  bool below = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) below = line == "## " + heading;
    if (below) text += line + "\n";
  }
  return text;
}

TEST(Evidence, WasMadeWithTheConstantsOfTheTolerances) {
  for (const Dtype type : {Dtype::f32, Dtype::bf16}) {
    const std::string kappa_text = "kappa = " + std::to_string(static_cast<int>(kappa(type))) + ". Used:";
    EXPECT_THAT(text_below(std::string(torch_name(type))), testing::HasSubstr(kappa_text));
  }
}

TEST(Evidence, NoRightImplementationIsPastABound) {
  for (const std::string type : {"float32", "bfloat16"}) {
    const auto rows = rows_below(type);
    EXPECT_GE(rows.size(), 30U) << type;
    for (const Cells& row : rows) EXPECT_LE(std::stod(row.at(2)), 1.0) << type << " " << row.at(0);
  }
}

// Twice as much would do as well: the bounds are not far from what right implementations need.
TEST(Evidence, RightImplementationsUseHalfOfTheToleranceSomewhere) {
  for (const std::string type : {"float32", "bfloat16"}) {
    double largest = 0;
    for (const Cells& row : rows_below(type)) largest = std::max(largest, std::stod(row.at(2)));
    EXPECT_GE(largest, 0.5) << type;
  }
}

/// "- 0.62: float32 layers.1.attention of reference on CASE"
TEST(Evidence, TheLargestSharesComeOutAgain) {
  const std::string text = text_below("The largest shares");
  const std::regex line(R"(- (\S+): (\S+) (\S+) of (\S+) on (\S+)\n)");
  int float32 = 0, bfloat16 = 0;
  for (std::sregex_iterator at(text.begin(), text.end(), line), end; at != end; ++at) {
    const std::string share = (*at)[1], type = (*at)[2], tap = (*at)[3], candidate = (*at)[4],
                      name = (*at)[5];
    const Problem problem = small_problem(name);
    const Dtype dtype = problem.definition.dtype;
    EXPECT_EQ(torch_name(dtype), type);
    const auto backend = make_backend(candidate);
    const Judgement judgement =
        judge(problem, backend->run(problem, {}), dtype, backend->is_plain_reference());
    const auto found = std::ranges::find(judgement.taps, tap, &TapResult::name);
    ASSERT_NE(found, judgement.taps.end()) << name;
    EXPECT_EQ(short_number(found->used, 2), share) << type << " " << tap << " of " << name;
    ++(dtype == Dtype::f32 ? float32 : bfloat16);
  }
  EXPECT_GE(float32, 3);
  EXPECT_GE(bfloat16, 3);
}

/// The cell of the table at a tap.
std::string cell(const std::string& type, const std::string& tap, std::size_t column) {
  for (const Cells& row : rows_below(type)) {
    if (row.at(0) == tap) return row.at(column);
  }
  return "no row " + tap;
}

/// Of a tap that is rounded once most implementations have the baseline's very values. They use 1 / kappa of the
/// bound on the whole, if that is made of the baseline's error and not of something larger.
TEST(Evidence, TheBaselinesOwnValuesUseOneByKappa) {
  const Calibration calibration = calibrate({.runs = 3, .seed = 0, .samples = 0, .traces = {}}, [](auto&) {});
  for (const Dtype type : {Dtype::f32, Dtype::bf16}) {
    const std::string name(torch_name(type)), share = short_number(1 / kappa(type), 2);
    for (const std::string tap : {"attention_norm", "block", "mlp.hidden", "mlp_norm", "norm"}) {
      EXPECT_EQ(cell(name, tap, 2), share) << name << " " << tap;
      EXPECT_EQ(short_number(calibration.usage.at({type, tap}).largest, 2), share) << name << " " << tap;
    }
  }
}

/// A row of the embedding that is all 1 but for a small element, whose own rounding is less than what a row
/// may always be off: kOutlier kappa kFloor units of the sums. That is 2^-19 of the row in float32, and half
/// as much in bfloat16; the next step of sqrt(2) is caught.
TEST(Evidence, OfACopyTheFirstStepBeyondTheFloorIsCaught) {
  for (const auto& [type, floor] : {std::pair("float32", 0x1p-19), {"bfloat16", 0x1p-20}}) {
    Problem problem = small_problem("dense[" + kSmall + "]/batch=1,text_len=3/seed=1/" + type);
    Tensor<float> embedding({31, 16}, std::vector<float>(31 * 16, 1.0F));
    for (std::int64_t r = 0; r < 31; ++r) embedding.row(r)[0] = 0x1p-14F;
    problem.parameters.insert_or_assign("token_embedding.embedding.weight", Array::from(embedding));
    const Dtype dtype = problem.definition.dtype;
    const Trace trace = run_permuted(problem, dtype);
    const double smallest = smallest_caught(problem, trace, "token_embedding", 16, dtype);
    EXPECT_EQ(smallest, floor * std::sqrt(2.0)) << type;
    if (dtype == Dtype::f32) EXPECT_EQ(cell(type, "token_embedding", 4), short_number(smallest, 2));
  }
}

TEST(Evidence, NoRecordingOfAnotherImplementationIsAMismatch) {
  std::int64_t traces = 0;
  for (const Cells& row : rows_below("Recordings of other implementations")) {
    traces += std::stoll(row.at(1)) + std::stoll(row.at(2));
    EXPECT_EQ(row.at(3), "0") << row.at(0);
    EXPECT_LE(std::stod(row.at(5)), 1.0) << row.at(0);
  }
  EXPECT_GE(traces, 20000);
}

}  // namespace
}  // namespace forgecheck

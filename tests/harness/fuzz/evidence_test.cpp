// docs/calibration.md, which `forgecheck calibrate` writes, is the evidence for the constants of tolerance.h:
// it was made with them, and no right implementation is past a bound.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "harness/verdict/tolerance.h"

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

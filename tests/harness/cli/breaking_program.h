// A fixture for programs as backends that do something wrong in the second of three cases.
#pragma once

#include <nlohmann/json.hpp>

#include "tests/harness/cli/program.h"

namespace forgecheck {

class BreakingProgram : public ProgramTest {
 protected:
  /// `case_line` ends in "seed=": recorded as a, b and c with the seeds 1, 2 and 3.
  explicit BreakingProgram(std::string case_line) : case_line_(std::move(case_line)) {}

  void SetUp() override {
    write("cases.txt", "a " + case_line_ + "1\nb " + case_line_ + "2\nc " + case_line_ + "3\n");
    ASSERT_EQ(
        run({"golden", "record", "--cases", "cases.txt", "--out", "store", "--backend", "reference"}).status,
        0);
  }

  /// The verdicts of a, b and c on the backend, and the message of b's.
  std::vector<std::string> verdicts_of(const std::string& backend) const {
    const Outcome outcome = run({"verify", "--golden", "store", "--backend", backend, "--worker-seconds", "6",
                                 "--worker-memory", "0.5", "--json", "report.json"});
    EXPECT_EQ(outcome.err, "");
    const nlohmann::json report = nlohmann::json::parse(file_text(at("report.json")));
    std::vector<std::string> found;
    std::string message;
    for (const nlohmann::json& result : report["results"]) {
      if (result["candidate"] == "golden") continue;
      found.push_back(result["verdict"]);
      if (result["file"] == "b.safetensors") message = result["message"];
    }
    EXPECT_EQ(outcome.status, found == std::vector<std::string>(3, "match") ? 0 : 1) << outcome.out;
    found.push_back(message);
    return found;
  }

  std::string case_line_;
};

}  // namespace forgecheck

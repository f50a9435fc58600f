// A fixture for tests of what judging commands write.
#pragma once

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "harness/io/safetensors.h"
#include "tests/harness/cli/program.h"

namespace forgecheck {

class ReportingProgram : public ProgramTest {
 protected:
  void SetUp() override { unsetenv("GITHUB_ACTIONS"); }
  void TearDown() override { unsetenv("GITHUB_ACTIONS"); }

  /// Two traces without a case that differ in one value.
  void write_traces() const {
    const auto trace = [&](const std::string& name, float last) {
      write_safetensors(at(name), {{"logits", Array::from(Tensor<float>({3}, {1.0F, 2.0F, last}))}}, {});
    };
    trace("a.safetensors", 3.0F);
    trace("same.safetensors", 3.0F);
    trace("it's b.safetensors", 3.5F);
  }
  /// Writes the report of a comparison with `other`.
  void compare(const std::string& other, const std::string& report) const {
    const Outcome outcome = run({"compare", "a.safetensors", other, "--json", report});
    ASSERT_NE(outcome.status, 2) << outcome.err;
  }
  nlohmann::json report(const std::string& name) const { return nlohmann::json::parse(file_text(at(name))); }
};

}  // namespace forgecheck

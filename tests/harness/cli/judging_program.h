// What the tests of the judging commands share: right and wrong traces, and the report.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>

#include "harness/io/safetensors.h"
#include "tests/harness/cli/program.h"

namespace forgecheck {

using nlohmann::json;

inline const std::string kTampered = "layers.1.mlp";

class JudgingProgram : public ProgramTest {
 protected:
  /// A copy of a golden, in which one float of a tap is off by 1 % of its row's root mean square.
  void write_tampered(const std::string& name) const {
    SafetensorsFile file = read_safetensors(golden_path("kempnerforge/dense/mha.safetensors"));
    Array& tap = file.tensors.at("expected." + kTampered);
    Tensor<float> values = tap.to<float>();
    const std::int64_t width = values.shape.back();
    const std::int64_t row = 3 * width;
    double squares = 0;
    for (std::int64_t i = 0; i < width; ++i) squares += std::pow(static_cast<double>(values[row + i]), 2);
    values[row + 5] += static_cast<float>(0.01 * std::sqrt(squares / static_cast<double>(width)));
    tap = Array::from(values);
    std::filesystem::create_directories(at(name).parent_path());
    write_safetensors(at(name), file.tensors, file.metadata);
  }
  void copy_golden(const std::string& name) const {
    std::filesystem::create_directories(at(name).parent_path());
    std::filesystem::copy_file(golden_path("kempnerforge/dense/mha.safetensors"), at(name));
  }
  /// A copy of a golden, in which a tap has another shape; returns that shape and the right one.
  std::pair<std::string, std::string> write_reshaped(const std::string& name) const {
    SafetensorsFile file = read_safetensors(golden_path("kempnerforge/dense/mha.safetensors"));
    Array& tap = file.tensors.at("expected." + kTampered);
    const Shape right = tap.shape();
    Shape shape(right.begin() + 1, right.end());
    shape[0] *= right[0];
    tap = Array::from(tap.to<float>().reshaped(shape));
    std::filesystem::create_directories(at(name).parent_path());
    write_safetensors(at(name), file.tensors, file.metadata);
    return {to_string(shape), to_string(right)};
  }
  json report(const std::string& name) const { return json::parse(file_text(at(name))); }
};

}  // namespace forgecheck

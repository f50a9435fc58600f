// Results to report.
#pragma once

#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "harness/report/report.h"
#include "reference/numbers.h"
#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {

inline Result result_with(Verdict verdict) {
  Result result;
  result.case_line = "dense/batch=2,text_len=8/seed=0";
  result.file = "kempnerforge/dense/mha.safetensors";
  result.candidate = "cpu:openblas";
  result.judgement.verdict = verdict;
  result.repeat = "forgecheck verify --filter kempnerforge/dense/mha";
  result.seconds = 0.25;
  return result;
}

/// A mismatch with everything that a report can say.
inline Result full_result() {
  Result result = result_with(Verdict::mismatch);
  result.dtype = "float32";
  result.producer = "kempnerforge";
  Judgement& judgement = result.judgement;
  judgement.used = kInfinity;
  judgement.message = "layers.0.mlp is nan";
  judgement.notes = {"image_mask is true everywhere: the trace does not test it"};
  judgement.taps = {{"norm", Verdict::match, 1e-7, 1e-6, 0.1, "", 0.0, 0.0},
                    {"layers.0.mlp", Verdict::mismatch, kInfinity, 2e-7, kInfinity, "is nan", 0.5, 3e-8}};
  judgement.undecided = {{"layers.0.mlp.router.indices", 4, {0, 3}, {0, 2}, 1e-9, 1e-7}};
  FirstDivergence& first = judgement.first_divergence.emplace();
  first.tap = "layers.0.mlp";
  first.after = "layers.0.mlp_norm";
  first.between = {"layers.0.mlp.gate_proj", "layers.0.mlp.hidden"};
  first.local_error = kInfinity;
  first.inherited_error = -kInfinity;
  first.tolerance = std::numeric_limits<double>::quiet_NaN();
  first.operation = {"down(silu(gate(x)) * up(x))", "reference/ops/mlp.cpp", "kempnerforge/model/mlp.py"};
  first.worst = {{0, 3, 5}, 1.0 / 3, -0.1};
  first.hint = "a constant factor of 1.41";
  first.note = "a run of this case takes long: not every known mistake was tried";
  first.histogram = {1, 20, 400, 30, 2, 0, 1};
  first.map = {2, 3, 4, 16, {0.0, 0.1, 1.0 / 3, 1e300, kInfinity, 5e-324}};
  return result;
}

/// What read_json_report makes of the text.
inline Report read_back(const std::string& text) {
  const TemporaryDirectory directory;
  return read_json_report(directory.write("r.json", text));
}

/// A match with these notes.
inline Result noted_result(std::vector<std::string> notes) {
  Result result = result_with(Verdict::match);
  result.judgement.notes = std::move(notes);
  return result;
}

/// What `write` makes of a report, as text.
template <class Write>
std::string written(Write write, const Report& report) {
  const TemporaryDirectory directory;
  const std::filesystem::path path = directory.path() / "report";
  write(path, report);
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The report as write_json_report writes it.
inline nlohmann::json json_of(const Report& report) {
  return nlohmann::json::parse(written(write_json_report, report));
}

}  // namespace forgecheck

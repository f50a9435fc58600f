// The evidence for the tolerances: right implementations on random models, and how wrong a value must be to
// be noticed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "harness/backend/problem.h"
#include "harness/verdict/verdict.h"
#include "reference/trace.h"

namespace forgecheck {

struct CalibrationOptions {
  std::int64_t runs = 2500;   // random cases; each is compared 8 times: 2 types, 4 right implementations
  std::uint64_t seed = 0;     // of the first case; the others follow
  std::int64_t samples = 20;  // perturbed values for each kind of tap and type; 0: no sensitivity
  std::vector<std::filesystem::path>
      traces;  // folders of recordings of other implementations, all of them right
};

/// How much of their tolerance the taps of one kind and type used.
struct Usage {
  std::int64_t taps = 0;
  double largest = 0.0;
  std::string worst;  // the candidate, tap and case of the largest
};

/// The smallest changes of one value, relative to the root mean square of its row, that were a mismatch at
/// that tap; of each sample.
using Sensitivity = std::vector<double>;

/// The recordings of one folder, producer and type.
struct Recordings {
  std::map<Verdict, std::int64_t> verdicts;
  double largest = 0.0;  // share of a tolerance
  std::string worst;     // the recording of the largest
};

struct Calibration {
  CalibrationOptions options;
  std::int64_t comparisons = 0;
  std::map<Dtype, std::int64_t> undecided;  // comparisons
  /// By "folder: producer, type".
  std::map<std::string, Recordings> recordings;
  std::vector<std::string> failures;  // "candidate on case: message" of every comparison that failed
  std::map<std::pair<Dtype, std::string>, Usage> usage;
  std::map<std::pair<Dtype, std::string>, Sensitivity> sensitivity;
};

/// The smallest change of element `at` of the trace's tap `name` that is a mismatch at that tap in both
/// directions, by powers of sqrt(2) of its row's root mean square from 2^-24 to 2^6; infinite where none is.
double smallest_caught(const Problem& problem, const Trace& trace, const std::string& name, std::int64_t at,
                       Dtype type);

/// Judges the plain reference, the permuted one, OpenBLAS and oneDNN on random_case(seed) and the cases after
/// it, in float32 and bfloat16. Then finds the smallest changes of OpenBLAS's traces that are caught.
/// Recordings are judged as they are; one that fails is a failure, unless the trace is vacuous. `progress`
/// gets what is done.
Calibration calibrate(const CalibrationOptions& options,
                      const std::function<void(const std::string&)>& progress);

/// The evidence as Markdown: the same bytes for the same options and machine arithmetic.
void write_calibration(std::ostream& out, const Calibration& calibration);

}  // namespace forgecheck

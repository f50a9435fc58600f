// A backend: anything that runs a problem and returns a trace.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gpu/runtime/kernel_time.h"
#include "harness/backend/child_process.h"
#include "harness/backend/problem.h"
#include "reference/trace.h"

namespace forgecheck {

/// Which taps are asked for; an empty function asks for all.
using TapFilter = std::function<bool(std::string_view)>;

/// How long runs of a case took.
struct RunTimes {
  std::vector<double> seconds;
  bool with_loading = false;                  // each run made or loaded its weights too
  std::vector<gpu::KernelTime> kernels = {};  // of one more run, the longest first; empty where none is known
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;
  /// Why it cannot run this case, or an empty string.
  virtual std::string refusal(const Case& definition) const = 0;
  /// The type that it computes this case in.
  virtual Dtype precision(const Case& definition) const = 0;
  /// Whether it is the very computation that serves as the baseline of its type, which then must be another.
  virtual bool is_plain_reference() const { return false; }
  /// Throws BackendError where the run fails, ConfigError or ShapeError where it refuses the case.
  virtual Trace run(const Problem& problem, const TapFilter& wants) = 0;
  /// Times `runs` runs that keep the outputs alone, after one that does not count; weights are loaded before where the
  /// backend can. Throws as run().
  virtual RunTimes time(const Problem& problem, int runs);
};

/// One row of `forgecheck backends`.
struct BackendStatus {
  std::string name;
  std::string description;
  std::string unavailable;  // why it is unavailable, or empty
};

/// Every backend that the program knows.
std::vector<BackendStatus> list_backends();

/// The backends that `verify` runs without being asked: all that are available. With
/// FORGECHECK_REQUIRE_GPU=1 in the environment "gpu:cuda" is one of them even where it is unavailable.
std::vector<std::string> default_backends();

/// What a backend is made with.
struct BackendOptions {
  std::int64_t gpu_runs = 1;  // how often a GPU backend runs each case, see make_gpu_backend()
  ChildLimits worker = {};    // what a program may take for a case, see make_exec_backend()
};

/// "reference" (the case's dtype), "reference:f64", "cpu:permuted", "cpu:openblas", "cpu:onednn", "gpu:cuda",
/// "gpu:simt", "exec:COMMAND" or "plugin:PATH.so".
/// Throws ConfigError on an unknown name (with those there are), BackendUnavailable where it is unavailable.
std::unique_ptr<Backend> make_backend(const std::string& name, const BackendOptions& options = {});

}  // namespace forgecheck

#include "harness/backend/backend.h"

#include <cstdlib>

#include "harness/backend/exec_backend.h"
#include "harness/backend/gpu_backend.h"
#include "harness/backend/plugin_host.h"
#include "harness/backend/reference_run.h"
#include "harness/backend/run_inputs.h"
#include "harness/backend/timed.h"
#include "harness/tap/outputs.h"
#include "reference/error.h"
#include "reference/linalg/matmul.h"

namespace forgecheck {

namespace {

/// The reference in one arithmetic, in the case's dtype or always in float64.
class ReferenceBackend : public Backend {
 public:
  ReferenceBackend(std::string name, const Arithmetic& arithmetic, bool always_double)
      : name_(std::move(name)), arithmetic_(arithmetic), always_double_(always_double) {}

  std::string name() const override { return name_; }
  std::string refusal(const Case& definition) const override {
    if (std::string reason = unsupported_run(definition.run); !reason.empty()) return reason;
    return std::string(linalg::unavailable_reason(arithmetic_.library, precision(definition) == Dtype::f64));
  }
  Dtype precision(const Case& definition) const override {
    return always_double_ ? Dtype::f64 : definition.dtype;
  }
  bool is_plain_reference() const override { return arithmetic_ == kPlain; }
  Trace run(const Problem& problem, const TapFilter& wants) override {
    Tracer tracer(wants);
    run_reference(problem, precision(problem.definition), arithmetic_, tracer);
    return tracer.take();
  }
  RunTimes time(const Problem& problem, int runs) override {
    return {time_reference(problem, precision(problem.definition), arithmetic_, runs), false};
  }

 private:
  std::string name_;
  Arithmetic arithmetic_;
  bool always_double_;
};

struct Known {
  const char* name;
  const char* description;
  std::unique_ptr<Backend> (*make)(const std::string& name, std::int64_t gpu_runs);
  std::string (*unavailable)();  // why it is unavailable in this build or on this machine, or empty
};

template <Arithmetic arithmetic, bool always_double = false>
std::unique_ptr<Backend> make_reference(const std::string& name, std::int64_t) {
  return std::make_unique<ReferenceBackend>(name, arithmetic, always_double);
}

std::string always_there() {
  return "";
}

constexpr Known kKnown[] = {
    {"reference", "plain C++ reference, in the case's dtype (float32 or bfloat16)", make_reference<kPlain>,
     always_there},
    {"reference:f64", "plain C++ reference in float64: the oracle", make_reference<kPlain, true>,
     always_there},
    {"cpu:permuted", "reference with every matrix product summed in another order", make_reference<kPermuted>,
     always_there},
    {"cpu:openblas", "reference with OpenBLAS matrix products",
     make_reference<Arithmetic{.library = linalg::Library::openblas}>, always_there},
    {"cpu:onednn", "reference with oneDNN matrix products and SiLU",
     make_reference<Arithmetic{.library = linalg::Library::onednn}>, always_there},
    {"gpu:cuda", "CUDA kernels on a GPU", make_gpu_backend, cuda_unavailable},
    {"gpu:simt", "the same kernels on an emulator", make_gpu_backend, simt_unavailable},
};

}  // namespace

RunTimes Backend::time(const Problem& problem, int runs) {
  return {timed(runs, [&] { run(problem, is_output); }), true};
}

std::vector<BackendStatus> list_backends() {
  std::vector<BackendStatus> rows;
  for (const Known& known : kKnown) rows.push_back({known.name, known.description, known.unavailable()});
  return rows;
}

std::vector<std::string> default_backends() {
  std::vector<std::string> names{"reference", "cpu:openblas", "cpu:onednn"};
  const char* require_gpu = std::getenv("FORGECHECK_REQUIRE_GPU");
  const bool required = require_gpu != nullptr && std::string_view(require_gpu) == "1";
  if (required || cuda_unavailable().empty()) names.emplace_back("gpu:cuda");
  if (simt_unavailable().empty()) names.emplace_back("gpu:simt");
  return names;
}

std::unique_ptr<Backend> make_backend(const std::string& name, const BackendOptions& options) {
  if (name.starts_with("exec:")) return make_exec_backend(name, options.worker);
  if (name.starts_with("plugin:")) return make_plugin_backend(name, options.worker);
  std::string names;
  for (const Known& known : kKnown) {
    const std::string unavailable = known.unavailable();
    if (name == known.name) {
      if (unavailable.empty()) return known.make(name, options.gpu_runs);
      throw BackendUnavailable("backend " + name + " is unavailable: " + unavailable);
    }
    if (unavailable.empty()) names += (names.empty() ? "" : ", ") + std::string(known.name);
  }
  throw ConfigError("backend \"" + name + "\": unknown (there are: " + names +
                    ", exec:COMMAND, plugin:PATH.so)");
}

}  // namespace forgecheck

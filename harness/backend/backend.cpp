#include "harness/backend/backend.h"

#include "harness/backend/reference_run.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

/// The reference with one kind of matrix product, in the case's dtype or always in float64.
class ReferenceBackend : public Backend {
 public:
  ReferenceBackend(std::string name, linalg::Kind kind, bool always_double)
      : name_(std::move(name)), kind_(kind), always_double_(always_double) {}

  std::string name() const override { return name_; }
  std::string refusal(const Case& definition) const override {
    if (definition.run == RunKind::gradients) return "gradients are not supported yet";
    return std::string(linalg::unavailable_reason(kind_, precision(definition) == Dtype::f64));
  }
  Dtype precision(const Case& definition) const override {
    return always_double_ ? Dtype::f64 : definition.dtype;
  }
  bool is_plain_reference() const override { return kind_ == linalg::Kind::plain; }
  Trace run(const Problem& problem, const TapFilter& wants) override {
    Tracer tracer(wants);
    run_reference(problem, precision(problem.definition), kind_, tracer);
    return tracer.take();
  }

 private:
  std::string name_;
  linalg::Kind kind_;
  bool always_double_;
};

constexpr const char* kNoGpu = "this build has no GPU backend";

struct Known {
  const char* name;
  linalg::Kind kind;
  bool always_double;
  const char* description;
  const char* unavailable = "";  // why this build has it not
};

constexpr Known kKnown[] = {
    {"reference", linalg::Kind::plain, false,
     "plain C++ reference, in the case's dtype (float32 or bfloat16)"},
    {"reference:f64", linalg::Kind::plain, true, "plain C++ reference in float64: the oracle"},
    {"cpu:permuted", linalg::Kind::permuted, false,
     "reference with every matrix product summed in another order"},
    {"cpu:openblas", linalg::Kind::openblas, false, "reference with OpenBLAS matrix products"},
    {"cpu:onednn", linalg::Kind::onednn, false, "reference with oneDNN matrix products"},
    {"gpu:cuda", linalg::Kind::plain, false, "CUDA kernels on a GPU", kNoGpu},
    {"gpu:simt", linalg::Kind::plain, false, "the same kernels on an emulator", kNoGpu},
};

}  // namespace

std::vector<BackendStatus> list_backends() {
  std::vector<BackendStatus> rows;
  for (const Known& known : kKnown) rows.push_back({known.name, known.description, known.unavailable});
  return rows;
}

std::vector<std::string> default_backends() {
  return {"reference", "cpu:openblas", "cpu:onednn"};
}

std::unique_ptr<Backend> make_backend(const std::string& name) {
  std::string names;
  for (const Known& known : kKnown) {
    const std::string unavailable = known.unavailable;
    if (name == known.name && !unavailable.empty()) {
      throw BackendUnavailable("backend " + name + " is not available: " + unavailable);
    }
    if (name == known.name) return std::make_unique<ReferenceBackend>(name, known.kind, known.always_double);
    if (!unavailable.empty()) continue;
    names += (names.empty() ? "" : ", ") + std::string(known.name);
  }
  throw ConfigError("backend \"" + name + "\": unknown (there are: " + names + ")");
}

}  // namespace forgecheck

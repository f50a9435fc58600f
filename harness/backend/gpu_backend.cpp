#include "harness/backend/gpu_backend.h"

#include "gpu/models/generate.h"
#include "gpu/models/objective.h"
#include "gpu/models/transformer.h"
#include "harness/backend/repeated_runs.h"
#include "harness/backend/run_inputs.h"
#include "reference/error.h"
#include "reference/ops/sampling.h"

namespace forgecheck {

namespace {

/// Tokens are drawn on the host, from the device's logits.
gpu::DrawToken token_draws(const Case& definition) {
  return [sampling = definition.generate.sampling,
          uniform = sampling_draws(definition.seed)](std::span<const float> logits) {
    return draw(sampling_probabilities(logits, sampling), uniform());
  };
}

template <class T>
void run_forward(gpu::Device& device, const Problem& problem, const Inputs& inputs, gpu::Recorder& recorder) {
  const Case& definition = problem.definition;
  const Architecture& architecture = definition.architecture;
  const ForwardOptions options = forward_options(definition);
  const gpu::DeviceWeights<T> weights(device, problem.parameters);
  gpu::forward(device, architecture, weights, inputs, options, recorder);
  if (definition.stages > 0) {
    // Training has changed the routers' state: the stages begin with weights of their own.
    const gpu::DeviceWeights<T> fresh(device, problem.parameters);
    recorder.tap("logits.staged",
                 gpu::forward_staged(device, architecture, fresh, inputs, options, definition.stages));
  }
  if (definition.greedy_from > 0) {
    gpu::generate(device, architecture, weights, greedy_prompt(inputs, definition.greedy_from),
                  greedy_options(definition), nullptr, recorder,
                  "greedy_from_" + std::to_string(definition.greedy_from));
  }
}

template <class T>
void run_loss(gpu::Device& device, const Problem& problem, const Inputs& inputs, gpu::Recorder& recorder) {
  const Case& definition = problem.definition;
  const Array& labels = required(inputs.labels, "labels");
  const gpu::DeviceWeights<T> weights(device, problem.parameters);
  const gpu::ForwardResult<T> result =
      gpu::forward(device, definition.architecture, weights, inputs, forward_options(definition), recorder);
  gpu::objective(device, definition.architecture.model, result, labels, definition.loss, recorder);
}

template <class T>
void run_in(gpu::Device& device, const Problem& problem, gpu::Recorder& recorder) {
  const Case& definition = problem.definition;
  const Inputs inputs = stored_inputs(problem);
  switch (definition.run) {
    case RunKind::forward:
      return run_forward<T>(device, problem, inputs, recorder);
    case RunKind::loss:
      return run_loss<T>(device, problem, inputs, recorder);
    case RunKind::decode:
      gpu::decode(device, definition.architecture, gpu::DeviceWeights<T>(device, problem.parameters),
                  required(inputs.tokens, "tokens").to_int64(), definition.chunks,
                  forward_options(definition), recorder);
      return;
    case RunKind::generate:
      validate(definition.generate.sampling);
      gpu::generate(device, definition.architecture, gpu::DeviceWeights<T>(device, problem.parameters),
                    required(inputs.tokens, "tokens").to_int64(), definition.generate,
                    token_draws(definition), recorder, "tokens");
      return;
    case RunKind::gradients:
      throw ConfigError("case.run = gradients: not supported yet");
  }
  throw_not_an_enumerator("case.run", definition.run);
}

void run_case(gpu::Device& device, const Problem& problem, gpu::Recorder& recorder) {
  const Dtype dtype = problem.definition.dtype;
  switch (dtype) {
    case Dtype::f32:
      return run_in<float>(device, problem, recorder);
    case Dtype::bf16:
      return run_in<gpu::bf16>(device, problem, recorder);
    case Dtype::f64:
    case Dtype::f16:
    case Dtype::i64:
    case Dtype::i32:
    case Dtype::u8:
    case Dtype::boolean:
      break;
  }
  throw ConfigError("case.dtype = " + std::string(torch_name(dtype)) + ": must be float32 or bfloat16");
}

class GpuBackend : public Backend {
 public:
  GpuBackend(std::string name, std::int64_t runs) : name_(std::move(name)), runs_(runs) {}

  std::string name() const override { return name_; }
  std::string refusal(const Case& definition) const override { return unsupported_run(definition.run); }
  Dtype precision(const Case& definition) const override { return definition.dtype; }

  Trace run(const Problem& problem, const TapFilter& wants) override {
    return run_repeatedly(runs_, [&] { return run_once(problem, wants); });
  }

 private:
  Trace run_once(const Problem& problem, const TapFilter& wants) {
    try {
      if (device_ == nullptr) device_ = std::make_unique<gpu::Device>();
      gpu::Recorder recorder(*device_, wants);
      run_case(*device_, problem, recorder);
      return recorder.finish();
    } catch (const CudaError&) {
      // After an error of a kernel every call fails; the next case gets a fresh device.
      device_.reset();
      cudaDeviceReset();
      throw;
    }
  }

  std::string name_;
  std::int64_t runs_;
  std::unique_ptr<gpu::Device> device_;
};

}  // namespace

#ifdef FORGECHECK_CUDA_BUILD
std::string cuda_unavailable() {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess) return std::string("no device can be used: ") + cudaGetErrorString(status);
  return devices > 0 ? "" : "this machine has no CUDA device";
}
std::string simt_unavailable() {
  return "this build has the kernels for a device (FORGECHECK_GPU=cuda), not for the emulator";
}
#else
std::string cuda_unavailable() {
  return "this build has the kernels for the emulator (FORGECHECK_GPU=simt), not for a device";
}
std::string simt_unavailable() {
  return "";
}
#endif

std::unique_ptr<Backend> make_gpu_backend(const std::string& name, std::int64_t runs) {
  return std::make_unique<GpuBackend>(name, runs);
}

}  // namespace forgecheck

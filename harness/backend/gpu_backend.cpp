#include "harness/backend/gpu_backend.h"

#include "gpu/models/generate.h"
#include "gpu/models/objective.h"
#include "gpu/models/transformer.h"
#include "gpu/runtime/kernel_clock.h"
#include "harness/backend/repeated_runs.h"
#include "harness/backend/run_inputs.h"
#include "harness/backend/timed.h"
#include "harness/tap/outputs.h"
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
void run_forward(gpu::Device& device, const Problem& problem, const gpu::DeviceWeights<T>& weights,
                 const Inputs& inputs, gpu::Recorder& recorder) {
  const Case& definition = problem.definition;
  const Architecture& architecture = definition.architecture;
  const ForwardOptions options = forward_options(definition);
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
void run_loss(gpu::Device& device, const Problem& problem, const gpu::DeviceWeights<T>& weights,
              const Inputs& inputs, gpu::Recorder& recorder) {
  const Case& definition = problem.definition;
  const Array& labels = required(inputs.labels, "labels");
  const gpu::ForwardResult<T> result =
      gpu::forward(device, definition.architecture, weights, inputs, forward_options(definition), recorder);
  gpu::objective(device, definition.architecture.model, result, labels, definition.loss, recorder);
}

template <class T>
void run_with(gpu::Device& device, const Problem& problem, const gpu::DeviceWeights<T>& weights,
              gpu::Recorder& recorder) {
  const Case& definition = problem.definition;
  const Inputs inputs = stored_inputs(problem);
  switch (definition.run) {
    case RunKind::forward:
      return run_forward<T>(device, problem, weights, inputs, recorder);
    case RunKind::loss:
      return run_loss<T>(device, problem, weights, inputs, recorder);
    case RunKind::decode:
      gpu::decode(device, definition.architecture, weights, required(inputs.tokens, "tokens").to_int64(),
                  definition.chunks, forward_options(definition), recorder);
      return;
    case RunKind::generate:
      validate(definition.generate.sampling);
      gpu::generate(device, definition.architecture, weights, required(inputs.tokens, "tokens").to_int64(),
                    definition.generate, token_draws(definition), recorder, "tokens");
      return;
    case RunKind::gradients:
      throw ConfigError("case.run = gradients: not supported yet");
  }
  throw_not_an_enumerator("case.run", definition.run);
}

template <class T>
Trace run_once(gpu::Device& device, const Problem& problem, const gpu::DeviceWeights<T>& weights,
               const TapFilter& wants) {
  gpu::Recorder recorder(device, wants);
  run_with<T>(device, problem, weights, recorder);
  return recorder.finish();
}

/// On weights that are on the device; then once more by kernel, which costs time of its own.
template <class T>
RunTimes time_runs(gpu::Device& device, const Problem& problem, int runs) {
  const gpu::DeviceWeights<T> weights(device, problem.parameters);
  const auto once = [&] { run_once<T>(device, problem, weights, is_output); };
  RunTimes times{timed(runs, once)};
  gpu::KernelClock clock(device);
  once();
  times.kernels = clock.times();
  return times;
}

/// Calls `function` with a number of the type in which the device computes.
template <class Function>
auto in_device_type(Dtype dtype, const Function& function) {
  switch (dtype) {
    case Dtype::f32:
      return function(float());
    case Dtype::bf16:
      return function(gpu::bf16());
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

/// Calls `function` with the device, made where there is none, and a number of the case's type.
template <class Function>
auto on_device(std::unique_ptr<gpu::Device>& device, const Problem& problem, const Function& function) {
  try {
    if (device == nullptr) device = std::make_unique<gpu::Device>();
    return in_device_type(problem.definition.dtype,
                          [&]<class T>(T number) { return function(*device, number); });
  } catch (const CudaError&) {
    // After an error of a kernel every call fails; the next case gets a fresh device.
    device.reset();
    cudaDeviceReset();
    throw;
  }
}

class GpuBackend : public Backend {
 public:
  GpuBackend(std::string name, std::int64_t runs) : name_(std::move(name)), runs_(runs) {}

  std::string name() const override { return name_; }
  std::string refusal(const Case& definition) const override { return unsupported_run(definition.run); }
  Dtype precision(const Case& definition) const override { return definition.dtype; }

  Trace run(const Problem& problem, const TapFilter& wants) override {
    return run_repeatedly(runs_, [&] {
      return on_device(device_, problem, [&]<class T>(gpu::Device& device, T) {
        return run_once<T>(device, problem, gpu::DeviceWeights<T>(device, problem.parameters), wants);
      });
    });
  }
  RunTimes time(const Problem& problem, int runs) override {
    return on_device(device_, problem,
                     [&]<class T>(gpu::Device& device, T) { return time_runs<T>(device, problem, runs); });
  }

 private:
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

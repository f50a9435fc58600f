#include "harness/backend/gpu_backend.h"

#include <algorithm>

#include "gpu/models/generate.h"
#include "gpu/models/objective.h"
#include "gpu/models/transformer.h"
#include "harness/backend/run_inputs.h"
#include "reference/error.h"
#include "reference/ops/sampling.h"

namespace forgecheck {

namespace {

gpu::ForwardOptions forward_options(const Case& definition) {
  gpu::ForwardOptions options;
  options.training = definition.train;
  const MoeStep step = definition.moe_step.value_or(MoeStep{});
  options.moe_step = step.step;
  options.moe_max_steps = step.max_steps;
  options.mot_moe_totals = definition.mot_moe_totals;
  return options;
}

/// Greedy on the device; sampled tokens are drawn on the host, from the device's logits.
gpu::GenerateOptions generate_options(const Case& definition) {
  const SamplingOptions sampling = definition.generate.sampling;
  validate(sampling);
  gpu::GenerateOptions options;
  options.max_new_tokens = definition.generate.max_new_tokens;
  options.eos_token_id = definition.generate.eos_token_id;
  if (sampling.temperature > 0) {
    options.choose = [sampling, uniform = sampling_draws(definition.seed)](std::span<const float> logits) {
      return draw(sampling_probabilities(logits, sampling), uniform());
    };
  }
  return options;
}

template <class T>
void run_forward(gpu::Device& device, const Problem& problem, const Inputs& inputs, gpu::Recorder& recorder) {
  const Case& definition = problem.definition;
  const Architecture& architecture = definition.architecture;
  const gpu::ForwardOptions options = forward_options(definition);
  const gpu::DeviceWeights<T> weights(device, problem.parameters);
  gpu::forward(device, architecture, weights, inputs, options, recorder);
  if (definition.stages > 0) {
    // Training has changed the routers' state: the stages begin with weights of their own.
    const gpu::DeviceWeights<T> fresh(device, problem.parameters);
    recorder.tap("logits.staged",
                 gpu::forward_staged(device, architecture, fresh, inputs, options, definition.stages));
  }
  if (definition.greedy_from > 0) {
    gpu::GenerateOptions greedy;
    greedy.max_new_tokens = definition.greedy_new_tokens;
    gpu::generate(device, architecture, weights, greedy_prompt(inputs, definition.greedy_from), greedy,
                  recorder, "greedy_from_" + std::to_string(definition.greedy_from));
  }
}

template <class T>
void run_loss(gpu::Device& device, const Problem& problem, const Inputs& inputs, gpu::Recorder& recorder) {
  const Case& definition = problem.definition;
  const Array& labels = required(inputs.labels, "labels");
  const gpu::DeviceWeights<T> weights(device, problem.parameters);
  const gpu::ForwardResult<T> result =
      gpu::forward(device, definition.architecture, weights, inputs, forward_options(definition), recorder);
  gpu::LossOptions options;
  if (definition.loss.kind == LossKind::chunked_cross_entropy)
    options.chunk_size = definition.loss.chunk_size;
  options.z_loss_weight = definition.loss.z_loss_weight;
  gpu::objective(device, definition.architecture.model, result, labels, options, recorder);
}

template <class T>
void run_in(gpu::Device& device, const Problem& problem, gpu::Recorder& recorder) {
  const Case& definition = problem.definition;
  const Inputs inputs = stored_inputs(problem);
  if (definition.run == RunKind::forward) return run_forward<T>(device, problem, inputs, recorder);
  if (definition.run == RunKind::loss) return run_loss<T>(device, problem, inputs, recorder);
  if (definition.run == RunKind::gradients) throw ConfigError("case.run = gradients: not supported yet");
  const Tensor<std::int64_t> tokens = required(inputs.tokens, "tokens").to_int64();
  const gpu::DeviceWeights<T> weights(device, problem.parameters);
  if (definition.run == RunKind::decode) {
    gpu::decode(device, definition.architecture, weights, tokens, definition.chunks,
                forward_options(definition), recorder);
  } else {
    gpu::generate(device, definition.architecture, weights, tokens, generate_options(definition), recorder,
                  "tokens");
  }
}

/// The emulator's schedules; a device has its own. The first is back at the end.
class Schedules {
 public:
#ifdef FORGECHECK_CUDA_BUILD
  void take(std::int64_t) const {}
#else
  ~Schedules() {
    simt::set_seed(first_);
  }
  Schedules() = default;
  Schedules(const Schedules&) = delete;
  Schedules& operator=(const Schedules&) = delete;
  void take(std::int64_t i) const {
    simt::set_seed(first_ + static_cast<std::uint64_t>(i));
  }

 private:
  std::uint64_t first_ = simt::seed();
#endif
};

void require_same_bits(const Trace& first, const Trace& again, std::int64_t run) {
  for (const auto& [name, value] : first.entries()) {
    const Array& other = again.at(name);
    if (value.shape() == other.shape() && std::ranges::equal(value.bytes(), other.bytes())) continue;
    throw BackendError(name + " is not the same in run 0 and run " + std::to_string(run) +
                       ": it depends on the order in which threads happen to run");
  }
}

class GpuBackend : public Backend {
 public:
  GpuBackend(std::string name, std::int64_t runs) : name_(std::move(name)), runs_(runs) {}

  std::string name() const override { return name_; }
  std::string refusal(const Case& definition) const override {
    return definition.run == RunKind::gradients ? "gradients are not supported yet" : "";
  }
  Dtype precision(const Case& definition) const override { return definition.dtype; }

  Trace run(const Problem& problem, const TapFilter& wants) override {
    const Schedules schedules;
    Trace first = run_once(problem, wants);
    for (std::int64_t i = 1; i < runs_; ++i) {
      schedules.take(i);
      require_same_bits(first, run_once(problem, wants), i);
    }
    return first;
  }

 private:
  Trace run_once(const Problem& problem, const TapFilter& wants) {
    try {
      if (device_ == nullptr) device_ = std::make_unique<gpu::Device>();
      gpu::Recorder recorder(*device_, wants);
      if (precision(problem.definition) == Dtype::f32) {
        run_in<float>(*device_, problem, recorder);
      } else {
        run_in<gpu::bf16>(*device_, problem, recorder);
      }
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

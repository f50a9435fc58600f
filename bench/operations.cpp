// Single operations of the reference, by library, type and size: what a model's time is made of. Google Benchmark's own
// options choose and print:
//   build/dev/bench/operations --benchmark_filter=linear --benchmark_repetitions=5
#include <benchmark/benchmark.h>

#include <random>
#include <string>

#include "reference/dtype.h"
#include "reference/ops/activation.h"
#include "reference/ops/attention.h"
#include "reference/ops/linear.h"
#include "reference/ops/norm.h"

namespace forgecheck {
namespace {

/// Normal values, rounded to T.
template <class T>
Tensor<T> normal_tensor(Shape shape) {
  std::mt19937_64 engine(1);
  std::normal_distribution<float> normal;
  Tensor<T> tensor(std::move(shape));
  for (T& value : tensor.data) value = T(normal(engine));
  return tensor;
}

/// Additions and multiplications in a second.
void count_operations(benchmark::State& state, double each) {
  state.counters["operations"] =
      benchmark::Counter(each, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::kIs1000);
}

/// Arguments: rows, inputs, outputs.
template <class T, linalg::Library library>
void time_linear(benchmark::State& state) {
  const std::int64_t rows = state.range(0), in = state.range(1), out = state.range(2);
  const auto x = normal_tensor<T>({rows, in}), weight = normal_tensor<T>({out, in});
  for (auto _ : state) benchmark::DoNotOptimize(linear(x, weight, {.library = library}));
  count_operations(state, 2.0 * static_cast<double>(rows * in * out));
}

/// Causal; arguments: tokens, heads, key-value heads, head_dim.
template <class T>
void time_attention(benchmark::State& state) {
  const std::int64_t tokens = state.range(0), heads = state.range(1), kv_heads = state.range(2),
                     dim = state.range(3);
  const auto q = normal_tensor<T>({1, tokens, heads, dim});
  const auto k = normal_tensor<T>({1, tokens, kv_heads, dim}),
             v = normal_tensor<T>({1, tokens, kv_heads, dim});
  const AttentionMask mask = causal_mask(1, tokens, tokens, 0, nullptr, nullptr);
  for (auto _ : state) benchmark::DoNotOptimize(attention(q, k, v, mask));
  // Half of the keys, with q and with v.
  count_operations(state, 2.0 * static_cast<double>(heads * tokens * tokens * dim));
}

/// Arguments: rows, width.
template <class T>
void time_rms_norm(benchmark::State& state) {
  const auto x = normal_tensor<T>({state.range(0), state.range(1)}),
             weight = normal_tensor<T>({state.range(1)});
  for (auto _ : state) benchmark::DoNotOptimize(rms_norm(x, weight, 1e-5));
  state.SetItemsProcessed(state.iterations() * x.size());
}

/// Arguments: rows, width.
template <class T, linalg::Library library>
void time_swiglu(benchmark::State& state) {
  const Shape shape{state.range(0), state.range(1)};
  const auto gate = normal_tensor<T>(shape), up = normal_tensor<T>(shape);
  for (auto _ : state) benchmark::DoNotOptimize(swiglu(gate, up, {.library = library}));
  state.SetItemsProcessed(state.iterations() * gate.size());
}

template <class T>
void register_type(const std::string& type) {
  const auto named = [&](const std::string& operation, auto function, const std::string& library = "") {
    return benchmark::RegisterBenchmark(
               (operation + (library.empty() ? "" : "/" + library) + "/" + type).c_str(), function)
        ->Unit(benchmark::kMicrosecond)
        ->UseRealTime();
  };
  const auto by_library = [&]<linalg::Library library>(const std::string& name) {
    named("linear", time_linear<T, library>, name)
        ->Args({1, 768, 2048})
        ->Args({18, 32, 128})
        ->Args({256, 768, 2048})
        ->Args({64, 4096, 4096});
  };
  named("swiglu", time_swiglu<T, linalg::Library::plain>, "plain")->Args({256, 2048})->Args({64, 14336});
  named("swiglu", time_swiglu<T, linalg::Library::onednn>, "onednn")->Args({256, 2048})->Args({64, 14336});
  by_library.template operator()<linalg::Library::plain>("plain");
  by_library.template operator()<linalg::Library::openblas>("openblas");
  by_library.template operator()<linalg::Library::onednn>("onednn");
  named("attention", time_attention<T>)->Args({256, 12, 4, 64})->Args({1024, 12, 4, 64});
  named("rms_norm", time_rms_norm<T>)->Args({256, 768})->Args({64, 4096});
}

}  // namespace
}  // namespace forgecheck

int main(int argc, char** argv) {
  forgecheck::register_type<float>("float32");
  forgecheck::register_type<forgecheck::Bfloat16>("bfloat16");
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

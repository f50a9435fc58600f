// A kernel that forgets a __syncthreads, and how the emulator shows it: the result changes with the seed, and
// in the checking mode the first run is stopped with a report. Exit status 1 when a mistake was found.
#include <cuda_runtime.h>

#include <cstdio>
#include <set>
#include <string>
#include <vector>

/// Adds to each value its right neighbour, `rounds` times, in shared memory.
template <bool with_barrier>
__global__ void smooth(float* values, int rounds) {
  float* row = simt::shared_memory<float>();
  const unsigned i = threadIdx.x;
  row[i] = values[i];
  __syncthreads();
  for (int round = 0; round < rounds; ++round) {
    const float sum = row[i] + row[(i + 1) % blockDim.x];
    if (with_barrier) {
      __syncthreads();  // all threads have read before any of them writes
    }
    row[i] = sum;
    __syncthreads();
  }
  values[i] = row[i];
}

/// True when every seed gives the same values and nothing is reported.
template <bool with_barrier>
bool repeatable(const char* name) {
  constexpr unsigned count = 64;
  constexpr std::size_t bytes = count * sizeof(float);
  std::vector<float> values(count);
  for (unsigned i = 0; i < count; ++i) {
    values[i] = static_cast<float>(i);
  }
  std::set<std::string> results;
  for (unsigned seed = 0; seed < 8; ++seed) {
    simt::set_seed(seed);
    float* on_device = nullptr;
    std::vector<float> result(count);
    cudaMalloc(&on_device, bytes);
    cudaMemcpy(on_device, values.data(), bytes, cudaMemcpyHostToDevice);
    simt::launch(smooth<with_barrier>, 1, count, bytes, nullptr, on_device, 3);
    const cudaError_t error = cudaMemcpy(result.data(), on_device, bytes, cudaMemcpyDeviceToHost);
    if (error != cudaSuccess) {
      std::printf("%s: %s\n", name, cudaGetErrorString(error));
      cudaDeviceReset();
      return false;
    }
    cudaFree(on_device);
    results.emplace(reinterpret_cast<const char*>(result.data()), bytes);
  }
  std::printf("%s: %zu different results under 8 seeds\n", name, results.size());
  return results.size() == 1;
}

int main() {
  const bool right = repeatable<true>("with the barrier");
  const bool wrong = repeatable<false>("without the barrier");
  return right && wrong ? 0 : 1;
}

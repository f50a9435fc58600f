#!/usr/bin/env bash
# Compiles the CUDA backend, warnings as errors, for the architectures named (90-real), and nothing else. Without nvcc
# it says so and succeeds.
set -euo pipefail
cd "$(dirname "$0")/.."

PATH=$PATH:/usr/local/cuda/bin
if ! command -v nvcc > /dev/null; then
  echo "build_kernels: no nvcc on this machine: kernels not compiled"
  exit 0
fi
echo "build_kernels: preset cuda, architecture $1"
# The library is not linked here, so those that it needs are not built.
cmake --preset cuda -DCMAKE_CUDA_ARCHITECTURES="$1" -DCMAKE_OPTIMIZE_DEPENDENCIES=ON > /dev/null
cmake --build --preset cuda --target forgecheck_gpu

#!/usr/bin/env bash
# Builds the GPU tests and runs the table of GPU mistakes (tests/gpu/mutants): each wrong kernel or host code must make
# the test that it names fail. Arguments go to scripts/gpu_mutants.py: [--jobs N] [--shard i/n] [FILTER].
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh
echo "gpu_mutants: build (preset dev)"
cmake --preset dev > /dev/null
cmake --build --preset dev --target test_gpu
echo "gpu_mutants: $*"
exec python3 scripts/gpu_mutants.py "$@"

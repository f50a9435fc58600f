#!/usr/bin/env bash
# Runs in full what continuous integration (.ci/run) runs in part: every test, every mutant, clang-tidy on every file,
# all tests under the sanitizers, the checking emulator, all GPU architectures; and what takes too long for it: mutants
# drawn at random, the main job with 16 runs of each case on the emulated GPU, the self-contained wheel, fuzzing,
# and the tolerances on fresh random models.
set -euo pipefail
cd "$(dirname "$0")/.."

step() {
  echo "nightly: $* ($((SECONDS / 60)) minutes so far)"
  "$@"
}

# Mutants of every folder, others every night. More survivors than that are no chance (docs/evidence.md).
random_mutants() {
  local folder
  for folder in harness/verdict reference/ops gpu/ops; do
    python3 scripts/mutate_random.py --folder "$folder" --runs 100 --seed "$(date +%Y%m%d)" --limit 10
  done
  for folder in harness/{backend,bench,case,cli,fuzz,golden,hint,io,report,tap} reference/{linalg,models} gpu/{models,runtime,simt}; do
    python3 scripts/mutate_random.py --folder "$folder" --runs 25 --seed "$(date +%Y%m%d)" --limit 20
  done
}

export FORGECHECK_EVERY_TAP=1
step scripts/test.sh
step scripts/mutants.sh
step random_mutants
step scripts/lint.sh
step scripts/test.sh asan-ubsan
step scripts/test.sh simt-check
step scripts/verify.sh
step scripts/same_bytes.sh build/dev/forgecheck build/release/forgecheck
step scripts/build_wheel.sh
step build/release/forgecheck fuzz --backend cpu:openblas --backend cpu:onednn --time 10m --seed "$(date +%Y%m%d)" --corpus build/found
step build/release/forgecheck fuzz --between cpu:openblas cpu:onednn --time 2m --seed "$(date +%Y%m%d)" --corpus build/found
step build/release/forgecheck fuzz --backend cpu:openblas --metamorphic --time 2m --seed "$(date +%Y%m%d)" --corpus build/found
step build/release/forgecheck fuzz --backend gpu:simt --time 5m --seed "$(date +%Y%m%d)" --corpus build/found
step python3 scripts/fuzz_mutants.py
if command -v clang++ > /dev/null; then
  step scripts/fuzz_parsers.sh
else
  echo "nightly: no clang++ on this machine: the parsers are not fuzzed"
fi
step build/release/forgecheck calibrate --runs 500 --samples 2 --seed "$(date +%Y%m%d)"
PATH=$PATH:/usr/local/cuda/bin
if command -v nvcc > /dev/null; then
  # What differs from the other builds: the kernels, and everything that links to them.
  cmake --preset cuda -DCMAKE_OPTIMIZE_DEPENDENCIES=OFF > /dev/null
  step cmake --build --preset cuda --target forgecheck test_gpu
  step ctest --preset cuda -L 'gpu|scripts'
else
  echo "nightly: no nvcc on this machine: the preset cuda is not built"
fi
echo "nightly: all passed, after $((SECONDS / 60)) minutes"

#!/usr/bin/env bash
# Checks the format of every source file, and a short list of clang-tidy's checks (.clang-tidy). Needs the
# configured preset dev.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t sources < <(git ls-files '*.h' '*.cpp' '*.cu' '*.cuh')
echo "lint: clang-format on ${#sources[@]} files"
clang-format --dry-run --Werror "${sources[@]}"

mapfile -t units < <(git ls-files 'reference/*.cpp' 'harness/*.cpp' 'gpu/*.cpp')
echo "lint: clang-tidy on ${#units[@]} files"
printf '%s\n' "${units[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p build/dev 2> /dev/null
echo "lint: nothing to complain about"

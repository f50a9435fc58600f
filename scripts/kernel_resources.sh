#!/usr/bin/env bash
# Compiles the kernels for devices (preset cuda) and writes docs/kernels.md, the table of their resources. With
# --check nothing is written: fails where the table is out of date, or a kernel spills registers or uses local memory
# without a reason in it.
set -euo pipefail
cd "$(dirname "$0")/.."

cmake --preset cuda > /dev/null
cmake --build --preset cuda --target forgecheck_gpu
exec python3 scripts/kernel_resources.py "$@"

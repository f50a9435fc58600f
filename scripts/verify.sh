#!/usr/bin/env bash
# The main job: installs what is missing, builds the program, and judges every recorded trace and every backend
# of this machine, the emulated GPU under 16 schedules. Arguments go to `forgecheck verify`.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh
echo "verify: build (preset release)"
cmake --preset release > /dev/null
cmake --build --preset release
echo "verify: forgecheck verify $*"
build/release/forgecheck verify --gpu-runs 16 "$@"

#!/usr/bin/env bash
# The main job: installs what is missing, builds the program, and checks every recorded trace and every available
# backend against the oracle, the emulated GPU under 16 schedules. In the repository's own goldens a note is a failure.
# Arguments go to `forgecheck verify`.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh
echo "verify: build (preset release)"
cmake --preset release > /dev/null
cmake --build --preset release
arguments=(--gpu-runs 16)
[[ " $*" == *" --golden"* ]] || arguments+=(--strict)
arguments+=("$@")
echo "verify: forgecheck verify ${arguments[*]}"
build/release/forgecheck verify "${arguments[@]}"

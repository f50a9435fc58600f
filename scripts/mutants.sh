#!/usr/bin/env bash
# Builds the program and runs the mutation table (tests/mutants): every deliberately wrong implementation must be
# caught, and its place named. Arguments go to scripts/mutants.py: [--jobs N] [--shard i/n] [FILTER].
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh
echo "mutants: build (preset dev)"
cmake --preset dev > /dev/null
cmake --build --preset dev --target forgecheck
echo "mutants: $*"
exec python3 scripts/mutants.py "$@"

#!/usr/bin/env bash
# Builds everything and runs the mutants (tests/mutants): every deliberately wrong line must be caught. Arguments go to
# scripts/mutants.py: [--jobs N] [--shard i/n] [FILTER].
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh
echo "mutants: build (preset dev)"
cmake --preset dev > /dev/null
cmake --build --preset dev
echo "mutants: $*"
exec python3 scripts/mutants.py "$@"

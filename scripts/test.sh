#!/usr/bin/env bash
# Installs what is missing, builds everything and runs all tests. The preset is the first argument (default:
# dev); more arguments go to ctest.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=${1:-dev}
[ $# -gt 0 ] && shift
scripts/install.sh
echo "test: build (preset $preset)"
cmake --preset "$preset" > /dev/null
cmake --build --preset "$preset"
echo "test: ctest (preset $preset) $*"
ctest --preset "$preset" "$@"

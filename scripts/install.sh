#!/usr/bin/env bash
# Installs the Debian packages that forgecheck needs to build, if any is missing.
set -euo pipefail

packages=(
  g++ cmake ninja-build
  libopenblas-dev libdnnl-dev ocl-icd-opencl-dev opencl-headers  # oneDNN's CMake package looks for OpenCL
  libcli11-dev libfmt-dev libtomlplusplus-dev nlohmann-json3-dev libpugixml-dev libssl-dev
  libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev
  libboost-context-dev
  clang-format clang-tidy
  python3 mold  # the mutants
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "install: all packages are installed"
  exit 0
fi

echo "install: ${missing[*]}"
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -q
"${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"

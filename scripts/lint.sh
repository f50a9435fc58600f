#!/usr/bin/env bash
# Checks the format of every source file, and a short list of clang-tidy's checks (.clang-tidy) on the sources of the
# libraries and the program.
#
#   scripts/lint.sh [--changed [BASE]]
#
# --changed: clang-tidy only on sources that differ from the commit BASE, and for a changed header on one source that
# includes it. Without BASE: from the merge base with origin/main or main, on main itself from the commit before. At most
# a sixteenth of all sources; where more have changed, or no base is known, another sixteenth every day.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t sources < <(git ls-files '*.h' '*.cpp' '*.cu' '*.cuh')
echo "lint: clang-format on ${#sources[@]} files"
clang-format --dry-run --Werror "${sources[@]}"

mapfile -t units < <(git ls-files 'reference/*.cpp' 'harness/*.cpp' 'gpu/*.cpp')

base_of_changes() {
  local branch base
  for branch in origin/main main; do
    base=$(git merge-base HEAD "$branch" 2> /dev/null) || continue
    [ "$base" != "$(git rev-parse HEAD)" ] || base=$(git rev-parse --verify --quiet HEAD~1) || continue
    echo "$base"
    return
  done
}

# The units to check for a changed file, one per line.
units_for() {
  case $1 in
    *.cpp) echo "$1" ;;
    *.h) grep -lF "#include \"$1\"" "${units[@]}" | head -n 1 || true ;;
  esac
}

if [ "${1:-}" = --changed ]; then
  base=${2:-$(base_of_changes || true)}
  changed=()
  if [ -n "$base" ]; then
    mapfile -t changed < <(
      git diff --name-only "$base" -- reference harness gpu |
        while read -r file; do units_for "$file"; done | sort -u | grep -Fxf <(printf '%s\n' "${units[@]}"))
  fi
  if [ -n "$base" ] && [ "${#changed[@]}" -le $((${#units[@]} / 16)) ]; then
    units=("${changed[@]}")
  else
    mapfile -t units < <(printf '%s\n' "${units[@]}" | awk -v day="$(($(date +%s) / 86400))" 'NR % 16 == day % 16')
  fi
fi

if [ "${#units[@]}" -gt 0 ]; then
  echo "lint: clang-tidy on ${#units[@]} files"
  # A separate build folder, configured but never built, where every file has a command.
  cmake --preset dev -B build/lint -DFORGECHECK_UNITY=OFF > /dev/null
  printf '%s\n' "${units[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p build/lint 2> /dev/null
fi
echo "lint: no findings"

#!/usr/bin/env bash
# Runs every check that needs a GPU with one command, and collects the results in one folder.
#
#   scripts/device_bundle.sh [--results DIR] [--steps "tests verify sanitize golden bench"] [--filter TEXT] [--dry-run]
#       on a machine with a GPU: builds the preset cuda unless prebuilt programs are packed with it, then runs
#         tests     the whole suite with FORGECHECK_REQUIRE_GPU=1; a test of the kernels that is skipped fails
#         verify    forgecheck verify on the device
#         sanitize  the GPU tests under compute-sanitizer: memcheck, racecheck, initcheck, synccheck
#         golden    records the cases of golden/reference on the device and judges the recording
#         bench     forgecheck bench on the device
#   scripts/device_bundle.sh --pack FILE.tar.xz [--with-cublas]
#       on a machine with the dependencies: builds and packs the tree, the programs and the libraries they need, for
#       a machine that has neither. Without --with-cublas cuBLAS is taken from the CUDA toolkit there (0.6 GB less).
#
# --filter: only goldens and GPU tests whose name contains TEXT, and the bench's case of that name. --dry-run: prints what would run.
# --build DIR, --backend NAME: another build than build/cuda and gpu:cuda, such as build/dev and gpu:simt.
# Exit status: 0 all well, 1 a step failed (summary.txt says which), 2 bad usage, 3 it cannot run here.
set -euo pipefail
caller=$PWD
cd "$(dirname "$0")/.."
root=$PWD

results=$root/device-results steps="tests verify sanitize golden bench" filter='' build=$root/build/cuda backend=gpu:cuda
dry_run='' pack='' with_cublas=''
usage() {
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
}
while [ $# -gt 0 ]; do
  case $1 in
    --results | --steps | --filter | --build | --backend | --pack)
      [ $# -ge 2 ] || { echo "device_bundle: $1 needs a value" >&2; exit 2; }
      value=$2
      case $1 in --results | --pack | --build) value=$(cd "$caller" && realpath -ms "$2") ;; esac
      declare "${1#--}=$value"
      shift 2 ;;
    --dry-run) dry_run=yes; shift ;;
    --with-cublas) with_cublas=yes; shift ;;
    --help) usage; exit 0 ;;
    *) echo "device_bundle: $1 is not an option; --help lists them" >&2; exit 2 ;;
  esac
done
for step in $steps; do
  case $step in tests | verify | sanitize | golden | bench) ;; *) echo "device_bundle: --steps: $step is not a step" >&2; exit 2 ;; esac
done

cannot() {
  echo "device_bundle: $1" >&2
  exit 3
}

# Builds the preset cuda, unless its programs were packed.
build_programs() {
  [ "$build" = "$root/build/cuda" ] || return 0
  PATH=$PATH:/usr/local/cuda/bin
  command -v nvcc > /dev/null || cannot "found neither nvcc nor packed programs"
  echo "device_bundle: build (preset cuda)"
  cmake --preset cuda > /dev/null
  cmake --build --preset cuda
}

test_programs() {
  [ ! -d "$build/tests" ] || find "$build/tests" -type f -executable -name 'test_*' | sort
}

# --pack: the tree as it is, the stripped programs, and their shared libraries except the C library and the driver.
pack_tree() {
  build_programs
  local staging
  staging=$(mktemp -d)
  trap "rm -rf '$staging'" EXIT
  local tree=$staging/forgecheck-device program library
  mkdir -p "$tree/lib"
  git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$tree"
  for program in "$build/forgecheck" $(test_programs); do
    mkdir -p "$(dirname "$tree/${program#"$root/"}")"
    strip --strip-debug -o "$tree/${program#"$root/"}" "$program"
    ldd "$program"
  done | awk '$2 == "=>" && $3 ~ "^/" {print $3}' | sort -u |
    grep -vE '/(libc|libm|libdl|librt|libpthread|ld-linux[^/]*)\.so' > "$staging/libraries"
  while read -r library; do
    case $library in
      */libcublas*) [ -z "$with_cublas" ] || cp -L "$library" "$tree/lib" ;;
      *) cp -L "$library" "$tree/lib" ;;
    esac
  done < "$staging/libraries"
  echo "$root" > "$tree/lib/built_at"
  tar -C "$staging" -caf "$pack" forgecheck-device
  echo "device_bundle: $pack, $(du -h "$pack" | cut -f1)"
}

# Packed programs: their libraries are in lib/. The tests look for their data where they were compiled, so that path
# is a link to this folder while they run.
use_packed_programs() {
  local toolkit=/usr/local/cuda/lib64 built_at missing
  export LD_LIBRARY_PATH=$root/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}:$toolkit
  missing=$(ldd "$build/forgecheck" | awk '/not found/ {print $1}' | sort -u | paste -sd' ')
  [ -z "$missing" ] || cannot "missing libraries: $missing (install CUDA 13, or pack --with-cublas)"
  [ -z "$dry_run" ] || return 0
  available
  built_at=$(cat lib/built_at)
  [ "$built_at" -ef "$root" ] && return 0
  [ ! -e "$built_at" ] || cannot "$built_at, where the programs expect this folder, is another folder"
  if ! { mkdir -p "$(dirname "$built_at")" && ln -s "$root" "$built_at"; }; then
    cannot "$built_at, where the programs expect this folder, cannot be made a link to it"
  fi
  trap 'rm -f "'"$built_at"'"' EXIT
}

available() {
  local line
  line=$("$build/forgecheck" backends | grep "^$backend ") || cannot "$build has no backend $backend"
  [[ $line =~ \[unavailable:\ (.*)\]$ ]] || return 0
  cannot "no GPU to run on: ${BASH_REMATCH[1]}"
}

failed=0
# run NAME LOG COMMAND...: one line of the summary.
run() {
  local name=$1 log=$results/$2 status=0
  shift 2
  if [ -n "$dry_run" ]; then
    echo "$name: $*"
    return 0
  fi
  mkdir -p "$(dirname "$log")"
  "$@" > "$log" 2>&1 || status=$?
  # No test of the kernels may be skipped on a device; the other programs have some that are for the emulator alone.
  if [[ $status = 0 && $name =~ ^(tests\ test_gpu|sanitize) ]] && grep -q '^\[  SKIPPED \]' "$log"; then status=skipped; fi
  if [ "$status" = 0 ]; then
    echo "ok      $name" | tee -a "$results/summary.txt"
  else
    failed=1
    echo "FAILED  $name ($status): $log" | tee -a "$results/summary.txt"
  fi
}

run_tests() {
  local program name
  for program in $(test_programs); do
    name=$(basename "$program")
    run "tests $name" "tests/$name.log" "$program" --gtest_output="xml:$results/tests/$name.xml"
  done
}

run_verify() {
  run "verify on $backend" verify.log "$build/forgecheck" verify --golden golden --filter "$filter" --backend "$backend" \
    --json "$results/verify.json" --html "$results/verify.html"
}

run_sanitize() {
  local tool sanitizer
  sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
  for tool in memcheck racecheck initcheck synccheck; do
    # Some tests provoke errors of calls on purpose; those do not count.
    run "sanitize $tool" "sanitize/$tool.log" "$sanitizer" --tool "$tool" --error-exitcode 9 --report-api-errors no \
      "$build/tests/gpu/test_gpu" --gtest_filter="*$filter*"
  done
}

run_golden() {
  run "golden record" golden.log "$build/forgecheck" golden record --cases golden/reference/cases.txt --backend "$backend" \
    --out "$results/golden/device" --filter "$filter"
  run "golden verify" golden_verify.log "$build/forgecheck" verify --golden "$results/golden/device" --backend golden \
    --json "$results/golden_verify.json"
}

run_bench() {
  run "bench on $backend" bench.log "$build/forgecheck" bench ${filter:+"$filter"} --backend "$backend" --no-judging \
    --json "$results/bench.json"
}

if [ -n "$pack" ]; then
  pack_tree
  exit 0
fi
if [ -f lib/built_at ]; then
  use_packed_programs
elif [ -z "$dry_run" ]; then
  build_programs
  available
fi
export FORGECHECK_REQUIRE_GPU=1
if [ -z "$dry_run" ]; then
  mkdir -p "$results"
  : > "$results/summary.txt"
  { uname -a; nvidia-smi || true; "$build/forgecheck" backends; } > "$results/machine.txt" 2>&1
fi
for step in $steps; do "run_$step"; done
[ -n "$dry_run" ] || echo "device_bundle: results in $results"
exit "$failed"

#!/usr/bin/env bash
# Records the same random cases with every program that is named (the dev and the release build, say), with one thread and
# with two, and fails where a file is not the same to the byte. cpu:openblas and cpu:onednn are left out: these libraries sum in
# another order with another number of threads.
#
#   scripts/same_bytes.sh PROGRAM...
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: scripts/same_bytes.sh PROGRAM..." >&2; exit 2; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
first='' compared=0
for program in "$@"; do
  for threads in 1 2; do
    compared=$((compared + 1))
    recorded=$folder/$compared
    for backend in reference:f64 reference cpu:permuted gpu:simt; do
      for dtype in float32 bfloat16; do
        OMP_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads "$program" golden record --random 20 --seed 40 --dtype $dtype \
          --backend "$backend" --out "$recorded/$backend/$dtype" > "$folder/log" 2>&1 ||
          { cat "$folder/log" >&2; exit 1; }
      done
    done
    [ -n "$first" ] || first=$recorded
    diff -rq "$first" "$recorded" || { echo "same_bytes: $program with $threads threads records other bytes" >&2; exit 1; }
  done
done
echo "same_bytes: $(find "$first" -name '*.safetensors' | wc -l) files, $compared times the same bytes"

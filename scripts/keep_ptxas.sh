#!/usr/bin/env bash
# Compiler launcher for nvcc with -Xptxas=-v: runs the command and writes what ptxas says about the kernels to
# OBJECT.resources, for scripts/kernel_resources.sh. Everything else is passed on.
set -euo pipefail

object=
previous=
for argument in "$@"; do
  [ "$previous" = -o ] && object=$argument
  previous=$argument
done

status=0
said=$("$@" 2>&1) || status=$?
account='^(ptxas info|    Function properties|    [0-9]+ bytes stack frame)'
grep -vE "$account" <<< "$said" | sed '/^$/d' >&2 || true
grep -E "$account" <<< "$said" > "$object.resources" || true
exit "$status"

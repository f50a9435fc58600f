#!/usr/bin/env python3
"""Counts what torch.testing.assert_close, with its defaults, says of traces whose verdict is known.

    scripts/assert_close.py --right FOLDER [--build build/dev] [--jobs N]

Wrong traces are those of the mutants of tests/mutants/by_trace; right ones are recordings of another implementation
(scripts/record_kempnerforge.py). As in a usual test, assert_close compares their outputs (logits, losses, tokens) with
those of the plain reference in the same type; forgecheck judges the whole trace. Prints a table in Markdown. Needs PyTorch
and safetensors, and a finished build.
"""

import argparse
import os
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from safetensors.torch import load_file

import mutants_by_trace as by_trace
from mutation import ROOT, Build, TableError

OUTPUTS = ("expected.logits", "expected.loss.total", "expected.tokens")


def is_close(candidate, expected):
    """Whether assert_close accepts every output that the honest trace has."""
    outputs = [name for name in OUTPUTS if name in expected]
    try:
        for name in outputs:
            torch.testing.assert_close(candidate[name], expected[name], equal_nan=True)
    except (AssertionError, KeyError):
        return False
    return bool(outputs)


def type_of(case):
    return "bfloat16" if "/bfloat16" in case else "float32"


def counted(results, candidates, expected):
    """Counts (type, kind): all, forgecheck's matches, and what assert_close accepts. `results`: of the report."""
    counts = Counter()
    for result in results:
        kind = type_of(result["case"])
        counts[kind, "all"] += 1
        counts[kind, "match"] += result["verdict"] in ("match", "undecided")
        counts[kind, "close"] += is_close(load_file(candidates / result["file"]), load_file(expected / result["file"]))
    return counts


def wrong(build, jobs):
    def of_mutant(mutant):
        with tempfile.TemporaryDirectory(prefix="assert-close-") as name:
            folder, honest = Path(name) / "mutant", Path(name) / "honest"
            folder.mkdir(), honest.mkdir()
            program = build.link(mutant, "forgecheck", folder)
            if by_trace.record(program, mutant.cases, folder).returncode != 0:
                return Counter()  # it refuses the case itself
            by_trace.record(build.folder / "forgecheck", mutant.cases, honest)
            results = by_trace.judge(build.folder / "forgecheck", folder)
            return counted(results, folder / "traces", honest / "traces")

    with ThreadPoolExecutor(jobs) as pool:
        return sum(pool.map(of_mutant, by_trace.read_table()), Counter())


def right(build, recordings):
    with tempfile.TemporaryDirectory(prefix="assert-close-") as name:
        folder, program = Path(name), build.folder / "forgecheck"
        results = [r for r in by_trace.judge(program, folder, recordings) if r["verdict"] != "unsupported"]
        cases = {r["file"].removesuffix(".safetensors"): r["case"] for r in results}
        recorded = by_trace.record(program, cases, folder)
        if recorded.returncode != 0:
            raise TableError(f"the reference cannot record the cases: {recorded.stderr}")
        return counted(results, recordings, folder / "traces")


def show(what, counts):
    for kind in ("float32", "bfloat16"):
        if counts[kind, "all"]:
            print(f"| {what}, {kind} | {counts[kind, 'all']} | {counts[kind, 'match']} | {counts[kind, 'close']} |")


def main():
    parser = argparse.ArgumentParser(description="What assert_close says of traces whose verdict is known.")
    parser.add_argument("--right", type=Path, required=True, help="a folder of right recordings")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "dev", help="a finished build")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    try:
        build = Build(options.build.resolve())
        print("| traces | number | forgecheck accepts | assert_close accepts |\n|---|---|---|---|")
        show("right", right(build, options.right.resolve()))
        show("wrong", wrong(build, options.jobs))
        return 0
    except TableError as error:
        print(f"assert_close: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

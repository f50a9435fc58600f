#!/usr/bin/env python3
"""Runs the table of GPU mistakes: deliberately wrong kernels and host code, each caught by a test on the emulator.

tests/gpu/mutants/*.toml hold the table, one file per area, with any number of `[[mutant]]`:

    name      unique, for the mistake
    mistake   one sentence
    file      a .cu, .cuh, .cpp or .h of gpu/runtime, gpu/ops or gpu/models
    old, new  the replacement; `old` occurs exactly once in the file
    test      the test that fails, as test_gpu names it (* for any text)

For each mutant the tests are linked with the one changed translation unit (scripts/mutation.py), and the named tests
run: at least one must fail.
"""

import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from mutation import ROOT, TableError, outcomes, require_replacement, require_unique, run_program

TABLE = ROOT / "tests" / "gpu" / "mutants"
PROGRAM = "tests/gpu/test_gpu"
MIN_MUTANTS = 40
TIME_LIMIT = 120  # seconds; tests that run longer hang


@dataclass
class Mutant:
    name: str
    mistake: str
    file: str
    old: str
    new: str
    test: str


def read_table():
    """All mutants in the order of the files; raises TableError for the first thing that is wrong."""
    mutants = []
    for path in sorted(TABLE.glob("*.toml")):
        try:
            rows = tomllib.loads(path.read_text())["mutant"]
        except (tomllib.TOMLDecodeError, KeyError) as error:
            raise TableError(f"{path}: {error}") from error
        mutants += [make_mutant(path, row) for row in rows]
    require_unique(mutants)
    if len(mutants) < MIN_MUTANTS:
        raise TableError(f"{len(mutants)} mutants, at least {MIN_MUTANTS} are required")
    return mutants


def make_mutant(path, row):
    where = f"{path.name}: {row.get('name', 'a mutant without a name')}"
    if row.keys() != set(Mutant.__annotations__):
        raise TableError(f"{where}: has {sorted(row)}, expected {sorted(Mutant.__annotations__)}")
    mutant = Mutant(**row)
    require_replacement(where, mutant.file, r"gpu/(runtime|ops|models)/[a-z_]+\.(cuh?|cpp|h)", mutant.old, mutant.new)
    return mutant


def run_tests(program, test, folder):
    """(passed, names of the tests that failed, or what else happened)"""
    try:
        done = subprocess.run([program, f"--gtest_filter={test}"], cwd=folder, capture_output=True, text=True,
                              timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return False, ["timed out"]
    if "[==========] Running 0 tests" in done.stdout:
        raise TableError(f"no test is called {test}")
    failed = [line.split("]")[1].split()[0].rstrip(",") for line in done.stdout.splitlines()
              if line.startswith("[  FAILED  ]") and line.endswith("ms)")]
    if done.returncode != 0 and not failed:
        running = [line.split("]")[1].strip() for line in done.stdout.splitlines() if line.startswith("[ RUN ")]
        failed = [f"{running[-1] if running else 'test_gpu'} (the program died)"]
    return done.returncode == 0, failed


def run_mutant(build, mutant):
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        program = build.link(mutant, PROGRAM, Path(name))
        return run_tests(program, mutant.test, name)


def check_tests(build, mutants):
    """Without a mutant every named test passes."""
    filters = ":".join(dict.fromkeys(mutant.test for mutant in mutants))
    for mutant in mutants:
        listed = subprocess.run([build.folder / PROGRAM, "--gtest_list_tests", f"--gtest_filter={mutant.test}"],
                                check=True, capture_output=True, text=True).stdout
        if not any(line.startswith("  ") for line in listed.splitlines()):
            raise TableError(f"{mutant.name}: no test is called {mutant.test}")
    passed, failed = run_tests(build.folder / PROGRAM, filters, build.folder)
    if not passed:
        raise TableError(f"{failed} fail without any mutant")


def run_table(build, mutants, jobs):
    caught = 0
    for mutant, (passed, failed) in outcomes(mutants, lambda mutant: run_mutant(build, mutant), jobs):
        survives = passed or failed == ["timed out"]
        caught += not survives
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        print(f"{mutant.name:<52} {'SURVIVES' if survives else failed[0] + more}", flush=True)
    print(f"{len(mutants)} GPU mistakes: {caught} caught ({caught / len(mutants):.1%})")
    return 0 if caught == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(run_program("gpu_mutants", "GPU mistakes", read_table, check_tests, run_table))

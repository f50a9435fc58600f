"""Mutants that a test must catch: wrong lines in what no trace shows, and the test that fails.

tests/mutants/by_test/*.toml hold them, one file per area. A file has `program`, the test program of the area, and any
number of `[[mutant]]`:

    name      unique, for the mistake
    mistake   one sentence
    file      the file with the mistake: C++ or CUDA of gpu/, harness/ or reference/
    old, new  the replacement; `old` occurs exactly once in the file
    test      the tests that fail, as a filter of GoogleTest; at least one of them must
    same_as   the name of a wrong implementation of mutants_by_trace, in place of mistake, file, old and new
    first_run "survived" if no test of the time caught it, or if none was found by reading the tests, so that one was
              written before it was run; "caught" if one did; left out where nobody wrote it down

Every property of test_properties has at least one mutant that breaks it.

A test program is linked with the changed translation unit (scripts/mutation.py), or, where its tests run forgecheck,
forgecheck is.
"""

import fnmatch
import os
import re
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mutants_by_trace
from mutation import ROOT, TableError, require_replacement

TABLE = ROOT / "tests" / "mutants" / "by_test"
FILES = r"(gpu|harness|reference)/[a-z0-9_/]+\.(cuh?|cpp|h)"
RUN_FORGECHECK = {"test_harness_cli"}
PROPERTIES = "test_properties"
TIME_LIMIT = 120  # seconds; tests that run longer hang


@dataclass
class Mutant:
    name: str
    mistake: str
    file: str
    old: str
    new: str
    test: str
    program: str
    first_run: str = ""


@dataclass
class Outcome:
    """What the tests did."""
    passed: bool
    failed: list[str]  # names of the tests that failed, or what else happened


def read_table():
    """All mutants in the order of the files; raises TableError for the first thing that is wrong."""
    return [mutant for path in sorted(TABLE.glob("*.toml")) for mutant in read_area(path)]


def read_area(path):
    try:
        area = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise TableError(f"{path}: {error}") from error
    if area.keys() != {"program", "mutant"}:
        raise TableError(f"{path.name}: has {sorted(area)}, expected program and mutant")
    return [make_mutant(path, row, area["program"]) for row in area["mutant"]]


def make_mutant(path, row, program):
    where = f"{path.name}: {row.get('name', 'a mutant without a name')}"
    if "same_as" in row:
        row = with_the_change_of(where, row)
    required, optional = {"name", "mistake", "file", "old", "new", "test"}, {"first_run"}
    if not required <= row.keys() <= required | optional:
        raise TableError(f"{where}: has {sorted(row)}, expected {sorted(required)} and optionally {sorted(optional)}")
    if row.get("first_run", "caught") not in ("caught", "survived"):
        raise TableError(f"{where}: first_run = {row['first_run']}: neither caught nor survived")
    mutant = Mutant(**row, program=program)
    require_replacement(where, mutant.file, FILES, mutant.old, mutant.new)
    return mutant


@cache
def wrong_implementations():
    return {mutant.name: mutant for mutant in mutants_by_trace.read_table()}


def with_the_change_of(where, row):
    """The row with the change of the wrong implementation that it names."""
    row = dict(row)
    known = wrong_implementations().get(row.pop("same_as"))
    if known is None or {"mistake", "file", "old", "new"} & row.keys():
        raise TableError(f"{where}: same_as must be a mutant of by_trace, and all that is said of the change")
    return row | {"mistake": known.mistake, "file": known.file, "old": known.old, "new": known.new}


def path_of(program):
    return f"tests/gpu/{program}" if program.startswith("test_gpu") else f"tests/{program}"


def run_tests(build, program, test, folder, forgecheck=None):
    """The tests of `program`, which is a path, in `folder`; those that run forgecheck run the given one."""
    environment = {**os.environ, "FORGECHECK_PROGRAM": str(forgecheck)} if forgecheck else None
    try:
        done = subprocess.run([program, f"--gtest_filter={test}"], cwd=folder, capture_output=True, text=True,
                              errors="replace", timeout=TIME_LIMIT, env=environment)
    except subprocess.TimeoutExpired:
        return Outcome(False, ["timed out"])
    if "[==========] Running 0 tests" in done.stdout:
        raise TableError(f"no test of {Path(program).name} is called {test}")
    failed = [line.split("]")[1].split()[0].rstrip(",") for line in done.stdout.splitlines()
              if line.startswith("[  FAILED  ]") and line.endswith("ms)")]
    if done.returncode != 0 and not failed:
        running = [line.split("]")[1].strip() for line in done.stdout.splitlines() if line.startswith("[ RUN ")]
        failed = [f"{running[-1] if running else Path(program).name} (the program died)"]
    return Outcome(done.returncode == 0, failed)


def run_mutant(build, mutant):
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name)
        if mutant.program in RUN_FORGECHECK:
            forgecheck = build.link(mutant, "forgecheck", folder)
            return run_tests(build, build.folder / path_of(mutant.program), mutant.test, folder, forgecheck)
        return run_tests(build, build.link(mutant, path_of(mutant.program), folder), mutant.test, folder)


def check(build, mutants):
    """Every named test is there. That they pass without a mutant is what the test programs themselves show."""
    for program in dict.fromkeys(mutant.program for mutant in mutants):
        tests = dict.fromkeys(mutant.test for mutant in mutants if mutant.program == program)
        path = build.folder / path_of(program)
        if not path.is_file():
            raise TableError(f"{program}: no such program in {build.folder}")
        for test in tests:
            listed = subprocess.run([path, "--gtest_list_tests", f"--gtest_filter={test}"], check=True,
                                    capture_output=True, text=True).stdout
            if not any(line.startswith("  ") for line in listed.splitlines()):
                raise TableError(f"no test of {program} is called {test}")
    check_properties(build, [mutant.test for mutant in mutants if mutant.program == PROPERTIES])


def check_properties(build, filters):
    """Every property has a mutant."""
    listed = subprocess.run([build.folder / path_of(PROPERTIES), "--gtest_list_tests"], check=True, capture_output=True,
                            text=True).stdout  # fmt: skip
    suite = ""
    for line in listed.splitlines():
        if not line.startswith("  "):
            suite = line.split()[0]
            continue
        name = suite + line.split()[0]
        if not any(fnmatch.fnmatchcase(name, wanted) for one in filters for wanted in one.split(":")):
            raise TableError(f"{name}: no mutant breaks this property")


def is_caught(mutant, outcome):
    return not outcome.passed and outcome.failed != ["timed out"]


def show(mutant, outcome):
    more = f" and {len(outcome.failed) - 1} more" if len(outcome.failed) > 1 else ""
    print(f"{mutant.name:<66} {outcome.failed[0] + more if is_caught(mutant, outcome) else 'SURVIVES'}", flush=True)


def passes(results):
    """Prints how many of [(mutant, outcome)] the tests of the time caught, where that was written down. Always good."""
    known = [mutant for mutant, _ in results if mutant.first_run]
    if known:
        caught = sum(mutant.first_run == "caught" for mutant in known)
        print(f"{len(results)} judged by a test: of {len(known)} whose first run is on record, {caught} were caught by "
              f"it ({caught / len(known):.1%})")
    return True

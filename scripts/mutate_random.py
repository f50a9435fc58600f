#!/usr/bin/env python3
"""Draws small changes of a folder's code at random and counts those that no test notices.

    scripts/mutate_random.py --folder harness/verdict --runs 100 --seed 1

A drawn line has the same chance as any other of the folder's .cpp, .cu and .cuh files that a change fits on
(scripts/mutation_sites.py). The changed file is compiled and linked with the rest of the build (scripts/mutation.py), and the
tests run: the folder's own first, then all others but the slowest, and `forgecheck verify`. A mutant is caught if one fails,
crashes or hangs. One whose object is the honest one's to the byte is the same program; one that stands in
tests/mutants/equivalent.toml has been reviewed. What else passes everything has survived: a line that no test pins. Survivors are listed with file and line.
"""

import argparse
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutation import ROOT, Build, BuildError, TableError
from mutation_sites import sites

EQUIVALENT = ROOT / "tests" / "mutants" / "equivalent.toml"
# Seconds for one program: of a processor, and on the clock. A busy machine must not pass for a good test.
PROCESSOR_LIMIT = 240
TIME_LIMIT = 3600
# An index past the end of a vector must not pass by luck.
FLAGS = ("-D_GLIBCXX_ASSERTIONS",)

# Tests that judge each recording many times: what they catch, `verify` or another test catches in a second.
TOO_SLOW = "*ChangedValue*:*EveryGolden*"

# Programs of tests, the quick ones first.
PROGRAMS = ("test_harness_io", "test_harness_case", "test_harness_tap", "test_harness_report", "test_harness_golden",
            "test_reference", "test_properties", "test_harness_backend", "forgecheck", "test_gpu_simt", "test_gpu_simt_check",
            "test_harness_verdict", "test_harness_fuzz", "test_gpu", "test_harness_hint")
OWN = {"reference": ("test_reference", "test_properties"), "gpu": ("test_gpu",),
       "gpu/simt": ("test_gpu_simt", "test_gpu_simt_check"), "harness/cli": ("forgecheck",)}


@dataclass
class Mutant:
    """A site, as scripts/mutation.py builds it: the file's whole text is replaced."""
    site: object
    name: str
    file: str
    old: str
    new: str


@dataclass
class Outcome:
    kind: str  # "caught", "same", "reviewed", "survived" or "does not build"
    by: str = ""


def read_equivalent():
    """{(file, old, new): why}, lines without their indentation."""
    if not EQUIVALENT.is_file():
        return {}
    rows = tomllib.loads(EQUIVALENT.read_text()).get("equivalent", [])
    for row in rows:
        if row.keys() != {"file", "old", "new", "why"}:
            raise TableError(f"{EQUIVALENT.name}: has {sorted(row)}, expected file, old, new, why")
    return {(row["file"], row["old"].strip(), row["new"].strip()): row["why"] for row in rows}


def lines_of(folder):
    """For each line of the folder that can be changed, its sites."""
    lines = {}
    for path in sorted(path for path in (ROOT / folder).rglob("*") if path.suffix in (".cpp", ".cu", ".cuh")):
        file = str(path.relative_to(ROOT))
        if "/examples/" in file:  # a program of its own, which no test links
            continue
        for site in sites(file, path.read_text()):
            lines.setdefault((file, site.line), []).append(site)
    if not lines:
        raise TableError(f"--folder = {folder}: has no code that can be changed")
    return list(lines.values())


def draws(folder, seed):
    """Sites without end: every line once, in random order, before any comes again."""
    lines, rng = lines_of(folder), random.Random(seed)
    while True:
        for line in rng.sample(lines, len(lines)):
            yield rng.choice(line)


def mutant_of(site):
    lines = (ROOT / site.file).read_text().splitlines(keepends=True)
    old = "".join(lines)
    lines[site.line - 1] = site.new + "\n"
    return Mutant(site, f"{site.file}:{site.line}", site.file, old, "".join(lines))


def programs_for(file):
    """The folder's own tests, then all others."""
    folder = str(Path(file).parent)
    own = next((OWN[name] for name in (folder, folder.split("/")[0]) if name in OWN), ("test_" + folder.replace("/", "_"),))
    return list(dict.fromkeys(own + PROGRAMS))


def paths_for(file):
    return [path_of(program) for program in programs_for(file)]


def passes(command, folder, environment=None):
    limited = ["sh", "-c", f'ulimit -t {PROCESSOR_LIMIT} && exec "$@"', "sh", *map(str, command)]
    running = subprocess.Popen(limited, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={**os.environ, **(environment or {})}, start_new_session=True)
    try:
        return running.wait(TIME_LIMIT) == 0
    except subprocess.TimeoutExpired:
        print(f"    over {TIME_LIMIT} s: {Path(command[0]).name}, which counts as a failure", flush=True)
        return False
    finally:
        stop_group(running)


def stop_group(process):
    """Ends the program and what it has started: a mutant that hangs would run on for ever behind a test that ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def path_of(program):
    return program if program == "forgecheck" else f"tests/{'gpu/' * program.startswith('test_gpu')}{program}"


def suites_of(file):
    """A filter for the tests that stand in the file's own test file, which most often notice; None if it has none."""
    path = Path(file)
    test = ROOT / "tests" / path.parent / f"{path.stem}_test.cpp"
    suites = re.findall(r"^TEST(?:_F|_P)?\((\w+),", test.read_text(), re.MULTILINE) if test.is_file() else []
    return ":".join(f"{form}{suite}.*" for suite in dict.fromkeys(suites) for form in ("", "*/")) or None


def catches(build, mutant, objects, name, folder):
    """Whether the tests of a program, or those that run forgecheck, notice the mutant."""
    program = build.link_objects(mutant, objects, path_of(name), folder)
    if name != "forgecheck":
        filters = [f"{suites}-{TOO_SLOW}" for suites in [suites_of(mutant.file)] if suites] + [f"-{TOO_SLOW}"]
        return not all(passes([program, "--gtest_fail_fast", f"--gtest_filter={tests}"], folder) for tests in filters)
    cli = build.folder / "tests" / "test_harness_cli"
    return not passes([cli, "--gtest_fail_fast"], folder, {"FORGECHECK_PROGRAM": str(program)}) or not passes(
        [program, "verify", "--strict", "--golden", ROOT / "golden"], folder)


def is_same_program(build, mutant, objects, folder):
    honest = Mutant(mutant.site, mutant.name, mutant.file, mutant.old, mutant.old)
    kept = {name: Path(path).read_bytes() for name, path in objects.items()}
    again = build.compile(honest, paths_for(mutant.file), folder, *FLAGS)  # in the same folder: the same paths
    same = all(Path(again[name]).read_bytes() == kept[name] for name in kept)
    for name, path in objects.items():
        Path(path).write_bytes(kept[name])
    return same


def run(build, site, equivalent):
    if (site.file, site.old.strip(), site.new.strip()) in equivalent:
        return Outcome("reviewed")
    mutant = mutant_of(site)
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name)
        try:
            return outcome_of(build, mutant, folder)
        except BuildError:
            return Outcome("does not build")


def outcome_of(build, mutant, folder):
    objects = build.compile(mutant, paths_for(mutant.file), folder, *FLAGS)
    own, *others = [name for name in programs_for(mutant.file) if build.objects(mutant.file, path_of(name))]
    if catches(build, mutant, objects, own, folder):
        return Outcome("caught", own)
    if is_same_program(build, mutant, objects, folder):
        return Outcome("same")
    by = next((name for name in others if catches(build, mutant, objects, name, folder)), None)
    return Outcome("caught", by) if by else Outcome("survived")


def show(site, outcome):
    print(f"{site.file}:{site.line} {site.kind}: {outcome.kind}{' by ' + outcome.by if outcome.by else ''}", flush=True)
    if outcome.kind == "survived":
        print(f"    - {site.old.strip()}\n    + {site.new.strip()}", flush=True)


def sample(build, options, equivalent):
    """The outcomes of `runs` mutants that build."""
    counts = Counter()
    sites_drawn = draws(options.folder, options.seed)
    with ThreadPoolExecutor(options.jobs) as pool:
        while (missing := options.runs - counts.total()) > 0:
            drawn = [next(sites_drawn) for _ in range(missing)]
            for site, outcome in zip(drawn, pool.map(lambda site: run(build, site, equivalent), drawn)):
                if outcome.kind != "does not build":
                    counts[outcome.kind] += 1
                    show(site, outcome)
    return counts


def read_arguments():
    parser = argparse.ArgumentParser(description="Counts random small mistakes that no test notices.")
    parser.add_argument("--folder", required=True, help="below the repository, for example harness/verdict")
    parser.add_argument("--runs", type=int, default=100, help="how many mutants (default: 100)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--limit", type=float, default=100.0, metavar="PERCENT", help="fail if more than this survive")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "dev", help="a finished build")
    return parser.parse_args()


def main():
    options = read_arguments()
    try:
        counts = sample(Build(options.build.resolve()), options, read_equivalent())
    except TableError as error:
        print(f"mutate_random: {error}", file=sys.stderr)
        return 2
    share = 100 * counts["survived"] / options.runs
    print(f"{options.folder}, seed {options.seed}: {options.runs} mutants, {counts['caught']} caught, "
          f"{counts['same']} the same program, {counts['reviewed']} reviewed as equivalent, "
          f"{counts['survived']} survived ({share:.1f} %)")
    return 0 if share <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Fuzzes every wrong implementation of tests/mutants/by_trace, and says how fast each is found and how small it is made.

    scripts/fuzz_mutants.py [--jobs N] [--seconds 60] [--write docs/fuzz_mutants.md] [FILTER]

The mutated program answers as a worker (`forgecheck worker`), and the honest one fuzzes it until the first finding. A finding
is small if the case has at most 2 layers, batch 1 and 8 tokens. Fails below 97 per cent found, or nine of ten small; the
table is written if every mutant could be built and fuzzed.
"""

import argparse
import fnmatch
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutants_by_trace import read_table
from mutation import ROOT, Build, BuildError, attempt

MIN_FOUND, MIN_SMALL = 0.97, 0.9
# A program that is wrong inside is ended, not waited for.
WORKER_SECONDS = 10


@dataclass
class Found:
    mutant: object
    cases: int  # judged until it was found; 0: not found
    seconds: float
    smallest: str = ""
    cause: str = ""

    @property
    def small(self):
        def number(name, default):
            found = re.search(rf"\b{name}=(\d+)", self.smallest)
            return int(found[1]) if found else default

        tokens = number("text_len", 8) + number("image_tokens", 0) + number("patches", 0) * max(1, number("frames", 0))
        return number("n_layers", 32) <= 2 and number("batch", 2) == 1 and tokens <= 8


def fuzz(build, mutant, seconds):
    with tempfile.TemporaryDirectory(prefix="fuzz-mutant-") as name:
        folder = Path(name)
        program = build.link(mutant, "forgecheck", folder)
        start = time.monotonic()
        done = subprocess.run(
            [build.folder / "forgecheck", "fuzz", "--backend", f"exec:{program} worker", "--time", f"{seconds}s", "--seed", "1",
             "--stop-after", "1", "--jobs", "1", "--corpus", folder / "found", "--worker-seconds", str(WORKER_SECONDS)],
            capture_output=True, text=True)  # fmt: skip
        if done.returncode not in (0, 1):
            raise BuildError(f"{mutant.name}: fuzz ended with {done.returncode}: {done.stderr}")
        saved = sorted((folder / "found").glob("*.case")) if (folder / "found").is_dir() else []
        if not saved:
            return Found(mutant, 0, time.monotonic() - start)
        lines = saved[0].read_text().splitlines()
        cause = re.sub(r"^# cause: exec:.*? worker: ", "", lines[0])
        cases = int(re.search(r"^(\d+) cases in", done.stdout, re.MULTILINE)[1])
        return Found(mutant, cases, time.monotonic() - start, lines[-1], cause)


def table(results, seconds):
    found = [one for one in results if one.cases]
    small = [one for one in found if one.small]
    lines = [
        "# Every wrong implementation, found by fuzzing",
        "",
        f"Written by `scripts/fuzz_mutants.py --seconds {seconds} --write docs/fuzz_mutants.md`: each of the wrong"
        " implementations of tests/mutants/by_trace was fuzzed with one seed and one process until its first finding,"
        " which was then made small.",
        "",
        f"{len(found)} of {len(results)} were found; {len(small)} of these were made as small as 2 layers, batch 1 and 8 tokens.",
        "",
        "| mutant | cases until found | found as | smallest case |",
        "|---|---|---|---|",
    ]
    for one in results:
        lines.append(f"| {one.mutant.name} | {one.cases or 'not found'} | {one.cause.replace('|', '/')} |"
                     f" {'`' + one.smallest + '`' if one.smallest else ''} |")  # fmt: skip
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description="Fuzzes every mutant of tests/mutants/by_trace.")
    parser.add_argument("filter", nargs="?", default="*", help="names of mutants (* and ?)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at a time")
    parser.add_argument("--seconds", type=int, default=60, help="for each mutant")
    parser.add_argument("--write", type=Path, help="write the table to this file")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "dev", help="a finished build")
    options = parser.parse_args()
    build = Build(options.build.resolve())
    mutants = [mutant for mutant in read_table() if fnmatch.fnmatchcase(mutant.name, options.filter)]
    results, broken = [], []
    with ThreadPoolExecutor(options.jobs) as pool:
        for one in pool.map(lambda mutant: attempt(fuzz, build, mutant, options.seconds), mutants):
            if isinstance(one, BuildError):
                broken.append(one)
                continue
            results.append(one)
            state = f"found after {one.cases} cases" if one.cases else "NOT FOUND"
            print(f"{one.mutant.name}: {state}{'' if one.small or not one.cases else ', not small'}, {one.seconds:.0f} s", flush=True)
            if one.cases:
                print(f"    {one.cause}\n    {one.smallest}", flush=True)
    found = [one for one in results if one.cases]
    small = [one for one in found if one.small]
    print(f"{len(found)} of {len(results)} found, {len(small)} of them small")
    for error in broken:
        print(error, file=sys.stderr)
    if broken:
        return 1
    if options.write:
        options.write.write_text(table(results, options.seconds))
    return 0 if len(found) >= MIN_FOUND * len(results) and len(small) >= MIN_SMALL * len(found) else 1


if __name__ == "__main__":
    sys.exit(main())

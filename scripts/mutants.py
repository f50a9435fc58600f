#!/usr/bin/env python3
"""Runs the mutants of tests/mutants: deliberately wrong lines, each of which must be caught.

There are two tables: wrong implementations of a model, which the judge must catch by their traces
(scripts/mutants_by_trace.py), and wrong lines elsewhere, which a test must catch (scripts/mutants_by_test.py). The last
lines are one summary over both, by folder. The build must be finished (scripts/mutants.sh).
"""

import argparse
import fnmatch
import os
import re
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mutants_by_test
import mutants_by_trace
from mutation import ROOT, Build, BuildError, TableError, attempt

TABLES = (mutants_by_trace, mutants_by_test)
MIN_MUTANTS = 1200


def read_tables():
    """[(table, mutant)]; raises TableError for the first thing that is wrong."""
    rows = [(table, mutant) for table in TABLES for mutant in table.read_table()]
    names = Counter(mutant.name for _, mutant in rows)
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise TableError(f"two mutants are called {twice[0]}")
    if len(rows) < MIN_MUTANTS:
        raise TableError(f"{len(rows)} mutants, at least {MIN_MUTANTS} are required")
    return rows


def run(build, rows, jobs):
    """Runs the mutants, `jobs` at a time; the exit status."""
    pool = ThreadPoolExecutor(jobs)
    results, broken = [], []
    try:
        for (table, mutant), found in zip(rows, pool.map(lambda row: attempt(row[0].run_mutant, build, row[1]), rows)):
            if isinstance(found, BuildError):
                broken.append(found)
                continue
            table.show(mutant, found)
            results.append((table, mutant, found))
    finally:
        pool.shutdown(cancel_futures=True)
    passed = [table.passes([(m, found) for t, m, found in results if t is table])
              for table in TABLES if any(t is table for t, _, _ in results)]
    for error in broken:
        print(f"mutants: {error}", file=sys.stderr)
    return 0 if print_summary(results) and all(passed) and not broken else 1


def print_summary(results):
    """Prints how many were caught, by folder; whether all were."""
    if not results:
        return False
    of, caught = Counter(), Counter()
    for table, mutant, found in results:
        folder = str(Path(mutant.file).parent)
        of[folder] += 1
        caught[folder] += table.is_caught(mutant, found)
    for folder in sorted(of):
        print(f"  {folder:<24} {caught[folder]:>4} of {of[folder]}")
    print(f"{of.total()} mutants: {caught.total()} caught ({caught.total() / of.total():.1%})")
    return caught == of


def shard(text):
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not int(match[1]) < int(match[2]):
        raise argparse.ArgumentTypeError(f"{text} is not i/n with i in 0 .. n - 1")
    return int(match[1]), int(match[2])


def read_arguments():
    parser = argparse.ArgumentParser(description="Runs the tables of mutants.")
    parser.add_argument("filter", nargs="?", default="*", help="only mutants whose name or file matches, or contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--shard", type=shard, default=(0, 1), metavar="i/n", help="every n-th mutant from i on")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "dev", help="a finished build")
    parser.add_argument("--check", action="store_true", help="only check the tables, and what they run without a mutant")
    return parser.parse_args()


def chosen(options, rows):
    """The mutants that the command line asks for."""
    def is_wanted(mutant):
        return any(options.filter in text or fnmatch.fnmatchcase(text, options.filter)
                   for text in (mutant.name, mutant.file))
    first, step = options.shard
    wanted = [row for row in rows if is_wanted(row[1])][first::step]
    if not wanted:
        raise TableError(f"no mutant of the shard matches {options.filter}")
    return wanted


def main():
    options = read_arguments()
    try:
        rows, build = read_tables(), Build(options.build.resolve())
        if not options.check:
            return run(build, chosen(options, rows), options.jobs)
        for table in TABLES:
            table.check(build, [mutant for kind, mutant in rows if kind is table])
        print(f"{len(rows)} mutants: the tables are sound")
        return 0
    except TableError as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

"""What the mutation tables share: their command line, and building a program with one replacement in one file.

The translation unit (of a header, each that includes it) is compiled with the changed copy, by the build's own command,
and linked with the rest of the build, in front of the archives, so that it is taken first. Needs a finished build by
Ninja with compile_commands.json.
"""

import argparse
import fnmatch
import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class TableError(Exception):
    """A table itself is wrong."""


def require_replacement(where, file, pattern, old, new):
    """`file` matches the pattern and contains `old` exactly once."""
    if not re.fullmatch(pattern, file) or not (ROOT / file).is_file():
        raise TableError(f"{where}: file = {file}: does not match {pattern}")
    found = (ROOT / file).read_text().count(old)
    if found != 1 or old == new:
        raise TableError(f"{where}: old occurs {found} times in {file}, expected once, and new must differ")


def require_unique(mutants):
    names = [mutant.name for mutant in mutants]
    if len(set(names)) < len(names):
        raise TableError(f"two mutants are called {sorted(name for name in names if names.count(name) > 1)[0]}")


class Build:
    """A finished build: how it compiles a file and links a program."""

    def __init__(self, folder):
        self.folder = folder
        commands = json.loads((folder / "compile_commands.json").read_text())
        self.compile_commands = {entry["file"]: entry for entry in commands}

    @cache
    def link_command(self, program):
        ninja = ["ninja", "-C", str(self.folder), "-t", "commands", program]
        last = subprocess.run(ninja, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        steps = [shlex.split(step) for step in last.split("&&")]
        return next(step for step in steps if "-o" in step)

    def units(self, file):
        """The source files that have to be compiled again when `file` changes: itself, or all that include it."""
        if str(ROOT / file) in self.compile_commands:
            return [file]
        include = f'#include "{file}"'
        includers = [path for folder in ("gpu", "harness", "reference", "tests") for path in (ROOT / folder).rglob("*.*")
                     if path.suffix in (".h", ".cuh", ".cu", ".cpp") and include in path.read_text()]
        units = [unit for path in includers for unit in self.units(str(path.relative_to(ROOT)))]
        return list(dict.fromkeys(units))

    def compile(self, mutant, folder):
        """The objects of the changed file, which is found before the one in the tree, by the names of the honest ones."""
        changed = folder / mutant.file
        changed.parent.mkdir(parents=True)
        changed.write_text((ROOT / mutant.file).read_text().replace(mutant.old, mutant.new))
        objects = {}
        for unit in self.units(mutant.file):
            original, target = str(ROOT / unit), folder / f"mutant_{len(objects)}.o"
            command = shlex.split(self.compile_commands[original]["command"])
            honest = command[command.index("-o") + 1]
            command[command.index("-o") + 1] = str(target)
            command[command.index(original)] = str(changed) if unit == mutant.file else original
            command.insert(1, f"-I{folder}")
            # Wrong code may leave a variable unused, and needs no debug information.
            self.run_or_raise(mutant, [*command, "-w", "-g0"])
            objects[honest] = str(target)
        if not objects:
            raise TableError(f"{mutant.name}: {self.folder} does not compile {mutant.file}")
        return objects

    def link(self, mutant, program, folder):
        """The program with the mutant's objects in place of the honest ones."""
        objects = self.compile(mutant, folder)
        command = [word for word in self.link_command(program) if word not in objects]
        changed = folder / Path(program).name
        command[command.index("-o") + 1] = str(changed)
        first_object = next(i for i, word in enumerate(command) if word.endswith(".o"))
        command[first_object:first_object] = objects.values()
        self.run_or_raise(mutant, [*command, "-s"])
        return changed

    def run_or_raise(self, mutant, command):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise TableError(f"{mutant.name}: does not build\n{done.stderr}")


def outcomes(mutants, run, jobs):
    """(mutant, run(mutant)) in the order of the table, `jobs` at a time."""
    pool = ThreadPoolExecutor(jobs)
    try:
        yield from zip(mutants, pool.map(run, mutants))
    finally:
        pool.shutdown(cancel_futures=True)


def run_program(name, what, read_table, check, run_table):
    """The command line of a table; its exit status."""
    options = make_parser(f"Runs the table of {what}.").parse_args()
    try:
        mutants = read_table()
        build = Build(options.build.resolve())
        if options.check:
            check(build, mutants)
            print(f"{len(mutants)} {what}: the table is sound")
            return 0
        return run_table(build, chosen(options, mutants), options.jobs)
    except TableError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2


def make_parser(description):
    def shard(text):
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if not match or not int(match[1]) < int(match[2]):
            raise argparse.ArgumentTypeError(f"{text} is not i/n with i in 0 .. n - 1")
        return int(match[1]), int(match[2])

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("filter", nargs="?", default="*", help="only mutants whose name matches, or contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--shard", type=shard, default=(0, 1), metavar="i/n", help="every n-th mutant from i on")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "dev", help="a finished build")
    parser.add_argument("--check", action="store_true", help="only check the table, and what it runs without a mutant")
    return parser


def chosen(options, mutants):
    """The mutants that the command line asks for."""
    wanted = [m for m in mutants if options.filter in m.name or fnmatch.fnmatchcase(m.name, options.filter)]
    shard, shards = options.shard
    if not wanted[shard::shards]:
        raise TableError(f"no mutant of the shard matches {options.filter}")
    return wanted[shard::shards]

"""What all mutants share: building a program with one replacement in one file.

The translation unit (of a header, each that includes it) is compiled with the changed copy, by the build's own command,
and linked with the rest of the build, in front of the archives, so that it is taken first. Needs a finished build by
Ninja with compile_commands.json.
"""

import json
import re
import shlex
import subprocess
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

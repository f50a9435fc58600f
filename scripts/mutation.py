"""What all mutants share: building a program with one replacement in one file.

The translation units that depend on the file are compiled with the changed copy, by the build's own commands, and linked
with the rest of the build, in front of the archives, so that they are taken first. Needs a finished build by Ninja with
compile_commands.json.
"""

import json
import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FAST_LINKER = ["-fuse-ld=mold"] if shutil.which("mold") else []
# Headers that others find beside themselves: changed ones need the rest of the folder around them.
EMULATED = "gpu/simt/include"


class TableError(Exception):
    """A table itself is wrong."""


class BuildError(TableError):
    """A mutant does not build."""


def attempt(run, *arguments):
    """What `run` returns, or the error of a mutant that does not build."""
    try:
        return run(*arguments)
    except BuildError as error:
        return error


def require_replacement(where, file, pattern, old, new):
    """`file` matches the pattern and contains `old` exactly once."""
    if not re.fullmatch(pattern, file) or not (ROOT / file).is_file():
        raise TableError(f"{where}: file = {file}: does not match {pattern}")
    found = (ROOT / file).read_text().count(old)
    if found != 1 or old == new:
        raise TableError(f"{where}: old occurs {found} times in {file}, expected once, and new must differ")


def is_unity(file):
    """Whether CMake made the file, which includes a whole folder of harness/."""
    return "/Unity/" in file


class Build:
    """A finished build: how it compiles a file and links a program."""

    def __init__(self, folder):
        self.folder = folder
        commands = json.loads((folder / "compile_commands.json").read_text())
        self.commands = {re.search(r" -o (\S+)", entry["command"])[1]: entry for entry in commands}  # by object

    def ninja(self, *tool):
        command = ["ninja", "-C", str(self.folder), "-t", *tool]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    @cache
    def steps(self, program):
        """Every command that makes the program."""
        return self.ninja("commands", program)

    @cache
    def link_command(self, program):
        steps = [shlex.split(step) for step in self.steps(program)[-1].split("&&")]
        return next(step for step in steps if "-o" in step)

    @cache
    def objects_of(self, program):
        return {found for step in self.steps(program) for found in re.findall(r" -o (\S+\.o) ", step)}

    @cache
    def objects_by_header(self):
        """The objects that depend on each header, by its path."""
        found, target = {}, None
        for line in self.ninja("deps"):
            if line and not line.startswith(" "):
                target = line.split(":")[0]
            elif line:
                found.setdefault(line.strip(), []).append(target)
        return found

    def objects(self, file, program):
        """The objects of the program that have to be compiled again when `file` changes."""
        path = str(ROOT / file)
        own = [name for name, entry in self.commands.items() if entry["file"] == path]
        wanted = own or self.objects_by_header().get(path, [])
        return [name for name in wanted if name in self.objects_of(program) and name in self.commands]

    def compile(self, mutant, programs, folder, *flags):
        """The objects of `programs` with the changed file, by the names of the honest ones."""
        changed = folder / mutant.file
        if mutant.file.startswith(EMULATED):
            shutil.copytree(ROOT / EMULATED, folder / EMULATED, dirs_exist_ok=True)
        changed.parent.mkdir(parents=True, exist_ok=True)
        changed.write_text((ROOT / mutant.file).read_text().replace(mutant.old, mutant.new))
        honest = dict.fromkeys(name for program in programs for name in self.objects(mutant.file, program))
        if not honest:
            raise TableError(f"{mutant.name}: {', '.join(programs)} in {self.folder} have no object of {mutant.file}")
        return {name: self.compile_object(mutant, name, changed, folder / f"mutant_{number}.o", flags)
                for number, name in enumerate(honest)}

    def compile_object(self, mutant, name, changed, target, flags):
        entry = self.commands[name]
        command = shlex.split(entry["command"])
        command[command.index("-o") + 1] = str(target)
        original = str(ROOT / mutant.file)
        if entry["file"] == original:
            command[command.index(entry["file"])] = str(changed)
        elif is_unity(entry["file"]):
            whole = target.with_suffix(".cpp")
            whole.write_text(Path(entry["file"]).read_text().replace(f'"{original}"', f'"{changed}"'))
            command[command.index(entry["file"])] = str(whole)
        folder = changed.parents[len(Path(mutant.file).parts) - 1]
        command[1:1] = [f"-I{folder}", f"-I{folder / EMULATED}"]
        # Wrong code may leave a variable unused. All but the kernels is quick enough without optimisation.
        kernels = entry["file"].startswith(str(ROOT / "gpu"))
        optimisation = [] if kernels else ["-O0"]
        self.run_or_raise(mutant, [*command, "-w", "-g0", *optimisation, *flags])
        return str(target)

    def link(self, mutant, program, folder):
        """The program with the mutant's objects in place of the honest ones."""
        return self.link_objects(mutant, self.compile(mutant, [program], folder), program, folder)

    def link_objects(self, mutant, objects, program, folder):
        """The program with `objects`, a dictionary made by compile(), in place of the honest ones."""
        own = {name: path for name, path in objects.items() if name in self.objects_of(program)}
        honest = self.link_command(program)
        first_object = next(i for i, word in enumerate(honest) if word.endswith(".o"))
        command = [*honest[:first_object], *own.values(), *(word for word in honest[first_object:] if word not in own)]
        # The program finds its goldens from where it lies, as an installed one.
        changed = folder / "bin" / Path(program).name
        changed.parent.mkdir(exist_ok=True)
        goldens = folder / "share" / "forgecheck" / "golden"
        if not goldens.is_symlink():
            goldens.parent.mkdir(parents=True)
            goldens.symlink_to(ROOT / "golden")
        command[command.index("-o") + 1] = str(changed)
        self.run_or_raise(mutant, [*command, "-s", *FAST_LINKER])
        return changed

    def run_or_raise(self, mutant, command):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise BuildError(f"{mutant.name}: does not build\n{done.stderr}")

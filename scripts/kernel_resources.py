#!/usr/bin/env python3
"""The table docs/kernels.md: registers, shared memory, stack and spills of every kernel, from what ptxas said when the
preset cuda was built (the files *.cu.o.resources that scripts/keep_ptxas.sh left there).

Writes the table, or with --check says what is wrong with it: it is not what ptxas said, or a kernel spills registers
or uses local memory without a reason in the last column. Reasons are written by hand and kept."""
import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INTRODUCTION = """# Resources of the kernels

Registers per thread, static shared memory and stack of every kernel, as {compiler} compiles it for {architectures} \
(in this order; one number where all are equal). Stack is local memory; spills are the part of it that ptxas stored \
and loaded because registers ran out (bytes stored + bytes loaded). Our kernels get their shared memory at launch, so \
none is static. A kernel with stack or spills needs a reason in the last column, written by hand.

Made by `scripts/kernel_resources.sh`; `scripts/kernel_resources.sh --check` fails where it is out of date or a reason \
is missing.

| file | kernel | registers | shared | stack | spills | reason |
|---|---|---|---|---|---|---|
"""
ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(sm_\w+)'")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")


def read_account(text):
    """{(mangled name, architecture): (registers, shared, stack, spills)} from ptxas -v. Functions that it did not
    inline count towards their kernel."""
    account, entry, frames = {}, None, []
    for line in text.splitlines():
        if match := ENTRY.search(line):
            entry, frames = match.groups(), []
        elif match := STACK.search(line):
            frames.append([int(number) for number in match.groups()])
        elif (match := USED.search(line)) and entry:
            shared = SHARED.search(line)
            stack, stores, loads = (sum(column) for column in zip(*frames))
            account[entry] = (match[1], shared[1] if shared else "0", str(stack),
                              "0" if stores + loads == 0 else f"{stores} + {loads}")
            entry = None
    return account


def plain_names(mangled):
    """Names without the parts that all share: attend<bf16, 64>."""
    if not mangled:
        return {}
    done = subprocess.run(["c++filt"], input="\n".join(mangled), capture_output=True, text=True, check=True)
    names = {}
    for raw, name in zip(mangled, done.stdout.splitlines()):
        name = re.sub(r"_GLOBAL__N__\w+::|\(anonymous namespace\)::|forgecheck::gpu::", "", name)
        name = name.replace("__nv_bfloat16", "bf16")
        # The last parenthesis at depth 0 opens the parameters.
        depth, end = 0, len(name)
        for position in range(len(name) - 1, -1, -1):
            depth += {")": 1, "(": -1}.get(name[position], 0)
            if depth == 0 and name[position] == "(":
                end = position
                break
        names[raw] = re.sub(r"^void ", "", name[:end]).replace("|", "\\|")
    return names


def read_build(build):
    """Sorted rows (file, kernel, {architecture: (registers, shared, stack, spills)})."""
    rows = {}
    for path in sorted(build.rglob("*.cu.o.resources")):
        source = path.relative_to(build).as_posix().removesuffix(".o.resources")
        source = re.sub(r"CMakeFiles/\w+\.dir/", "", source)
        if not path.with_suffix("").is_file():
            continue  # of an object that no longer exists
        account = read_account(path.read_text())
        names = plain_names(sorted({name for name, _ in account}))
        for (name, architecture), numbers in account.items():
            rows.setdefault((source, names[name]), {})[architecture] = numbers
    return sorted((source, kernel, by_architecture) for (source, kernel), by_architecture in rows.items())


def read_reasons(table):
    reasons = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if len(cells) == 9 and cells[6] and cells[1] not in ("file", "---"):
            reasons[cells[1], cells[2].strip("`")] = cells[7]
    return reasons


def write_table(rows, reasons, compiler):
    architectures = sorted({name for _, _, numbers in rows for name in numbers}, key=lambda name: int(name[3:]))
    text = INTRODUCTION.format(compiler=compiler, architectures=", ".join(architectures))
    for source, kernel, numbers in rows:
        columns = []
        for column in range(4):
            values = [numbers[name][column] if name in numbers else "none" for name in architectures]
            columns.append(values[0] if len(set(values)) == 1 else ", ".join(values))
        text += f"| {source} | `{kernel}` | {' | '.join(columns)} | {reasons.get((source, kernel), '')} |\n"
    return text


def complaints(rows, old, new):
    """What is wrong with the table in the repository, one line each."""
    reasons = read_reasons(old)
    found = [f"{source}: {kernel} uses local memory and has no reason in the table"
             for source, kernel, numbers in rows
             if any(stack != "0" or spills != "0" for _, _, stack, spills in numbers.values())
             and not reasons.get((source, kernel))]
    have, want = set(old.splitlines()), set(new.splitlines())
    found += [f"not in the table: {line}" for line in new.splitlines() if line not in have]
    found += [f"no longer so:     {line}" for line in old.splitlines() if line not in want]
    return found


def compiler_of(build):
    for line in (build / "CMakeCache.txt").read_text().splitlines():
        if line.startswith("CMAKE_CUDA_COMPILER:"):
            said = subprocess.run([line.split("=", 1)[1], "--version"], capture_output=True, text=True, check=True)
            return "nvcc " + re.search(r"V([\d.]+)", said.stdout)[1]
    raise SystemExit(f"kernel_resources: {build} is not a build of the preset cuda")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build/cuda", help="build folder of the preset cuda")
    parser.add_argument("--table", type=Path, default=ROOT / "docs/kernels.md")
    parser.add_argument("--compiler", help="its name in the table (default: the build's own)")
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if the table is wrong")
    options = parser.parse_args()

    build = options.build.resolve()
    rows = read_build(build)
    if not rows:
        raise SystemExit(f"kernel_resources: no kernels in {build}")
    old = options.table.read_text() if options.table.is_file() else ""
    new = write_table(rows, read_reasons(old), options.compiler or compiler_of(build))
    if not options.check:
        options.table.write_text(new)
        old = new
    found = complaints(rows, old, new)
    for line in found:
        print("kernel_resources:", line)
    print(f"kernel_resources: {len(rows)} kernels, {len(found)} complaints")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The program with reference/ compiled with other flags, to see that its bytes do not depend on them.

    scripts/rebuild_reference.py --build build/dev --out OUT -- -O0

Everything else is taken from the build, which must be finished. The program that is written has no goldens beside it.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutation import ROOT, Build


def rebuild(build, flags, out):
    objects = [name for name in sorted(build.objects_of("forgecheck"))
               if build.commands[name]["file"].startswith(str(ROOT / "reference"))]
    with tempfile.TemporaryDirectory() as folder:

        def compile_object(number):
            entry = build.commands[objects[number]]
            command = shlex.split(entry["command"])
            target = command[command.index("-o") + 1] = f"{folder}/{number}.o"
            subprocess.run([*command, "-g0", *flags], check=True, cwd=entry["directory"])
            return target

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            rebuilt = list(pool.map(compile_object, range(len(objects))))
        link = build.link_command("forgecheck").copy()
        link[link.index("-o") + 1] = str(out.resolve())
        first = next(i for i, word in enumerate(link) if word.endswith(".o"))
        subprocess.run([*link[:first], *rebuilt, *link[first:], "-s"], check=True, cwd=build.folder)
    return len(rebuilt)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "dev")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("flags", nargs="+")
    options = parser.parse_args()
    if not (options.build / "compile_commands.json").is_file():
        sys.exit(f"rebuild_reference: {options.build} is no build")
    count = rebuild(Build(options.build.resolve()), options.flags, options.out)
    print(f"rebuild_reference: {options.out}, {count} files with {' '.join(options.flags)}")


if __name__ == "__main__":
    main()

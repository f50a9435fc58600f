#!/usr/bin/env python3
"""Measures how time and memory grow with the work: layers, width, tokens and experts, one of them at a time.

    scripts/measure_growth.py --program build/release/forgecheck --write docs/growth.svg

Every point is one `forgecheck bench` of its own, so that its peak of memory is its own. Needs matplotlib (Debian:
python3-matplotlib). --json FILE also writes the numbers."""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

# What grows, the values that it takes, and the case.
AXES = {
    "layers": ([1, 2, 4, 8, 16], "dense[dim=256,n_layers={},n_heads=4,vocab_size=1000,max_seq_len=256]/batch=1,text_len=128"),
    "width": ([64, 128, 256, 512, 1024], "dense[dim={},n_layers=2,n_heads=4,vocab_size=1000,max_seq_len=256]/batch=1,text_len=128"),
    "tokens": ([64, 256, 1024, 4096], "dense[dim=128,n_layers=2,n_heads=4,vocab_size=1000,max_seq_len=4096]/batch=1,text_len={}"),
    "experts": ([2, 4, 8, 16, 32], "moe[dim=128,n_layers=2,n_heads=4,vocab_size=1000,max_seq_len=256,num_experts={}]/batch=1,text_len=128"),
}
BACKENDS = ("reference", "cpu:openblas", "cpu:onednn")


def measure(program, case, backend):
    """Seconds of a run, bytes at its peak, seconds in which its trace is judged."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "bench.json"
        subprocess.run([program, "bench", case, "--backend", backend, "--rounds", "3", "--runs", "1", "--json", report],
                       check=True, stdout=subprocess.DEVNULL)
        found = json.loads(report.read_text())["cases"][0]
    ran = found["backends"][0]
    return {"seconds": ran["seconds"]["median"], "bytes": ran["peak_bytes"], "judged": 1 / found["judged_per_second"]}


def measure_all(program):
    numbers = {}
    for axis, (values, case) in AXES.items():
        numbers[axis] = {"values": values, "case": case, "backends": {}}
        for backend in BACKENDS:
            print(f"{axis}, {backend}", file=sys.stderr)
            numbers[axis]["backends"][backend] = [measure(program, case.format(value), backend) for value in values]
    return numbers


def draw(numbers, path):
    import matplotlib  # here: the numbers need none of it
    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, rows = pyplot.subplots(2, len(numbers), figsize=(4 * len(numbers), 7), squeeze=False)
    for column, (axis, of_axis) in enumerate(numbers.items()):
        time, memory = rows[0][column], rows[1][column]
        for backend, points in of_axis["backends"].items():
            time.plot(of_axis["values"], [1000 * point["seconds"] for point in points], marker="o", label=backend)
            memory.plot(of_axis["values"], [point["bytes"] / 2**20 for point in points], marker="o", label=backend)
        judged = of_axis["backends"][BACKENDS[0]]
        time.plot(of_axis["values"], [1000 * point["judged"] for point in judged], marker="s", linestyle="--", label="judging")
        time.set_ylabel("milliseconds")
        memory.set_ylabel("MiB at the peak")
        for plot in (time, memory):
            plot.set(xlabel=axis, xscale="log", yscale="log")
            plot.set_xticks(of_axis["values"], [str(value) for value in of_axis["values"]], minor=False)
            plot.minorticks_off()
            plot.grid(alpha=0.3)
    rows[0][0].legend()
    figure.tight_layout()
    figure.savefig(path)


def main():
    parser = argparse.ArgumentParser(description="Measures how time and memory grow with the work.")
    parser.add_argument("--program", default="forgecheck")
    parser.add_argument("--write", metavar="FILE", help="the plots, as SVG")
    parser.add_argument("--json", metavar="FILE", help="the numbers")
    options = parser.parse_args()
    if not options.write and not options.json:
        parser.error("give --write or --json")
    numbers = measure_all(options.program)
    if options.json:
        Path(options.json).write_text(json.dumps(numbers, indent=1) + "\n")
    if options.write:
        draw(numbers, options.write)


if __name__ == "__main__":
    main()

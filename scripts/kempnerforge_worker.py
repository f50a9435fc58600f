#!/usr/bin/env python3
"""KempnerForge's own PyTorch code as a backend:

    forgecheck verify --backend 'exec:PYTHONPATH=<KempnerForge> python scripts/kempnerforge_worker.py'

Runs the cases that scripts/record_kempnerforge.py records; the others are refused with the reason. `--compile` times the
model that torch.compile makes (forgecheck bench)."""

import argparse
from pathlib import Path

from record_kempnerforge import check_importable, prepare_process, read_golden, settings

from forgecheck.worker import Refused, serve


def answer(path, compute):
    """What `compute` makes of the case in a file and its inputs; what upstream refuses is a refusal."""
    from traced_runs import NotRecorded

    try:
        golden, inputs = read_golden(path)
        return compute(golden["case"], inputs)
    except NotRecorded as reason:
        raise Refused(str(reason)) from None
    except Exception as error:  # upstream refuses a case by raising any exception
        message = (str(error).strip().splitlines() or [""])[0]
        raise Refused(f"KempnerForge refuses: {type(error).__name__}: {message}", "ConfigError") from None


def run(path):
    from traced_runs import run_case

    return answer(path, lambda case, inputs: run_case(case, inputs, settings["device"]))


def timed(compiled):
    """The function that times runs of a case, on the model as it is or compiled."""
    from traced_runs import timed_case

    def seconds(path, repeat):
        return answer(path, lambda case, inputs: timed_case(case, inputs, settings["device"], repeat, compiled))

    return seconds


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("device", nargs="?", default="cpu")
    arguments.add_argument("--compile", action="store_true", help="time the compiled model")
    options = arguments.parse_args()
    check_importable()
    prepare_process(Path(), Path(), options.device, None)
    serve(run, timed(options.compile))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""KempnerForge's own PyTorch code as a backend:

    forgecheck verify --backend 'exec:PYTHONPATH=<KempnerForge> python scripts/kempnerforge_worker.py'

Runs the cases that scripts/record_kempnerforge.py records; the others are refused with the reason."""

import sys
from pathlib import Path

from record_kempnerforge import check_importable, prepare_process, read_golden, settings

from forgecheck.worker import Refused, serve


def run(path):
    from traced_runs import NotRecorded, run_case

    try:
        golden, inputs = read_golden(path)
        return run_case(golden["case"], inputs, settings["device"])
    except NotRecorded as reason:
        raise Refused(str(reason)) from None
    except Exception as error:  # upstream refuses a case by raising any exception
        message = (str(error).strip().splitlines() or [""])[0]
        raise Refused(f"KempnerForge refuses: {type(error).__name__}: {message}", "ConfigError") from None


def main():
    check_importable()
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    prepare_process(Path(), Path(), device, None)
    serve(run)


if __name__ == "__main__":
    main()

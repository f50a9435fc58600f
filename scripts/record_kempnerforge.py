#!/usr/bin/env python3
"""Records traces of KempnerForge's own PyTorch code, in the form of forgecheck's golden files.

    PYTHONPATH=<KempnerForge> python scripts/record_kempnerforge.py IN OUT [--jobs N] [--device cpu]

Every *.safetensors file below IN holds a case and its inputs (its expected tensors are ignored); OUT gets a file of
the same relative path with the same inputs and what KempnerForge computes. A case that is not recorded is a line on
stderr with the reason. Exit status: 0 all recorded, 1 some not, 2 bad usage."""
from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

# The folder has KempnerForge's name but is not a package: KempnerForge itself, wherever it is, goes first.
SCRIPTS = Path(__file__).resolve().parent
sys.path[:0] = [str(SCRIPTS / "kempnerforge"), str(SCRIPTS.parent / "harness/python")]

SCHEMA = 1
# What a process needs for every case: set once by prepare_process.
settings: dict[str, Any] = {}


def upstream_version() -> str:
    """KempnerForge's commit if it is in its own git checkout, otherwise its package's version."""
    import kempnerforge

    root = Path(kempnerforge.__file__).resolve().parent.parent
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "describe", "--always", "--tags", "--dirty"]
        described = subprocess.run(command, capture_output=True, text=True, check=False)
        if described.returncode == 0:
            return described.stdout.strip()
    return kempnerforge.__version__


def prepare_process(source: Path, target: Path, device_name: str, version: str | None) -> None:
    """Loads PyTorch and KempnerForge, once in each process, with one thread, since there are many processes."""
    import torch
    from seeded_model import skip_initialisation

    torch.set_num_threads(1)
    skip_initialisation()
    device = torch.device(device_name)
    producer = {
        "backend": "kempnerforge",
        "version": version or upstream_version(),
        "torch": torch.__version__.split("+")[0],
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }
    settings.update(source=source, target=target, device=device, producer=producer)


def read_golden(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The metadata of a golden file, and its input tensors without the prefix."""
    from safetensors import safe_open
    from traced_runs import NotRecorded

    with safe_open(path, framework="pt") as file:
        metadata = (file.metadata() or {}).get("forgecheck")
        if metadata is None:
            raise NotRecorded("not a golden file: it has no metadata named forgecheck")
        names = [name for name in file.keys() if name.startswith("input.")]
        inputs = {name.removeprefix("input."): file.get_tensor(name) for name in names}
    golden = json.loads(metadata)
    if golden.get("weights", "seeded") != "seeded":
        raise NotRecorded(f"its weights are in {golden['weights']}, only seeded ones are made here")
    return golden, inputs


def alone(tensor: Any) -> Any:
    """A tensor that can be written: on the CPU, contiguous, in memory that it shares with no other."""
    import torch

    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def write_golden(path: Path, case: dict[str, Any], inputs: dict[str, Any], trace: dict[str, Any]) -> None:
    """Writes a golden file through a temporary one, so that a killed run leaves no partial file."""
    from safetensors.torch import save_file

    tensors = {f"input.{name}": alone(value) for name, value in inputs.items()}
    tensors |= {f"expected.{name}": alone(value) for name, value in trace.items()}
    golden = {"schema": SCHEMA, "case": case, "weights": "seeded", "producer": settings["producer"]}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        save_file(tensors, temporary, {"forgecheck": json.dumps(golden, sort_keys=True)})
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def record(path: Path) -> str | None:
    """Records one case. Returns the reason if that is not possible, otherwise None."""
    from safetensors import SafetensorError
    from traced_runs import NotRecorded, run_case

    try:
        golden, inputs = read_golden(path)
        case = golden["case"]
        try:
            trace = run_case(case, inputs, settings["device"])
        except NotRecorded:
            raise
        except Exception as error:  # upstream refuses a case by raising any exception
            message = str(error).strip().splitlines()
            return f"KempnerForge refuses: {type(error).__name__}: {message[0] if message else ''}"
        write_golden(settings["target"] / path.relative_to(settings["source"]), case, inputs, trace)
    except (NotRecorded, SafetensorError) as reason:
        return str(reason)
    return None


def record_all(paths: list[Path], jobs: int, arguments: tuple[Any, ...]) -> Iterator[tuple[Path, str | None]]:
    """Every path with its reason, in order."""
    if jobs == 1:
        prepare_process(*arguments)
        yield from ((path, record(path)) for path in paths)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=prepare_process, initargs=arguments) as pool:
        yield from zip(paths, pool.map(record, paths, chunksize=8))


def read_arguments() -> argparse.Namespace:
    """The command line, checked; ends the program with status 2 where it is wrong."""
    parser = argparse.ArgumentParser(description="Records traces of KempnerForge's own PyTorch code.")
    parser.add_argument("source", metavar="IN", type=Path, help="folder of golden files: cases and their inputs")
    parser.add_argument("target", metavar="OUT", type=Path, help="folder for the recorded files")
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--device", default="cpu", help="where to run: cpu (default), cuda, cuda:1, ...")
    parser.add_argument("--upstream-version", metavar="TEXT", help="KempnerForge's version, if it is not a checkout")
    arguments = parser.parse_args()
    if not arguments.source.is_dir():
        parser.error(f"IN = {arguments.source}: is not a folder")
    if arguments.target.resolve() == arguments.source.resolve():
        parser.error("OUT is IN: the files would be overwritten")
    if arguments.jobs < 1:
        parser.error(f"--jobs {arguments.jobs}: at least one process is needed")
    return arguments


def check_importable() -> None:
    """Ends the program with status 2 where a library is missing, and says which and what to do."""
    try:
        import traced_runs  # noqa: F401
    except ModuleNotFoundError as error:
        missing = error.name or ""
        hint = "set PYTHONPATH to a checkout of KempnerForge" if missing.startswith("kempnerforge") else "install it"
        print(f"record_kempnerforge: cannot import {missing}: {hint}", file=sys.stderr)
        raise SystemExit(2) from None


def check_device(name: str) -> None:
    """Ends the program with status 2 where PyTorch cannot use the device."""
    import torch

    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        print(f"record_kempnerforge: --device {name}: {str(error).splitlines()[0]}", file=sys.stderr)
        raise SystemExit(2) from None


def main() -> int:
    """Records everything and prints how many were recorded."""
    arguments = read_arguments()
    check_importable()
    check_device(arguments.device)
    paths = sorted(arguments.source.rglob("*.safetensors"))
    start = time.monotonic()
    common = (arguments.source, arguments.target, arguments.device, arguments.upstream_version)
    skipped = 0
    for path, reason in record_all(paths, arguments.jobs, common):
        if reason is not None:
            skipped += 1
            print(f"skipped {path.relative_to(arguments.source)}: {reason}", file=sys.stderr)
    seconds = time.monotonic() - start
    print(f"recorded {len(paths) - skipped}, skipped {skipped} in {seconds:.1f} s")
    return 1 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())

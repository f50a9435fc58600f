"""What the program knows of a case: asked of itself, so that a configuration is read, and refused, in one place."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from forgecheck.case_text import parse_architecture
from forgecheck.errors import ForgecheckError
from forgecheck.program import run_program
from forgecheck.trace_file import SEEDED, write_trace

Shapes = dict[str, tuple[int, ...]]
_NO_TAPS = {"logits": torch.zeros(1)}  # a trace has one at least
_NOBODY = {"backend": "none", "version": "0"}


def architecture_of_config(name: str, text: str) -> dict[str, Any]:
    """The case of a configuration: a Hugging Face config.json or a KempnerForge .toml file. Raises ForgecheckError
    with the field and its value where the reference cannot express it."""
    with tempfile.TemporaryDirectory(prefix="forgecheck-") as folder:
        (Path(folder) / name).write_text(text, encoding="utf-8")
        probe, report = Path(folder) / "trace.safetensors", Path(folder) / "report.json"
        # A trace that names the configuration, and weights that are not there: it is read, and then not judged.
        inputs = {"tokens": torch.zeros(1, 1, dtype=torch.int64)}
        write_trace(probe, {"config": name}, inputs, _NO_TAPS, "model.none.safetensors", _NOBODY)
        run_program("verify", "--golden", folder, "--backend", "golden", "--json", str(report))
        (result,) = json.loads(report.read_text(encoding="utf-8"))["results"]
    line: str = result["case"]
    if not line:
        raise ForgecheckError(_own_words(result["message"], probe))
    return parse_architecture(line[: line.rindex("]") + 1] if "]" in line else line.split("/")[0])


def architecture_of_file(path: Path) -> dict[str, Any]:
    """The case of a configuration file."""
    if path.suffix not in (".toml", ".json"):
        raise ForgecheckError(f"case = {path}: must end in .toml (KempnerForge) or .json (Hugging Face)")
    try:
        return architecture_of_config(path.name, path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ForgecheckError(f"case = {path}: {error.strerror}") from None


def tap_shapes(case: dict[str, Any], inputs: Mapping[str, Tensor]) -> Shapes:
    """Every tap of a case with these inputs, and its shape. Raises ForgecheckError where the case is refused."""
    with tempfile.TemporaryDirectory(prefix="forgecheck-") as folder:
        probe = Path(folder) / "trace.safetensors"
        write_trace(probe, {"case": case}, inputs, _NO_TAPS, SEEDED, _NOBODY)
        try:
            described = json.loads(run_program("taps", str(probe), "--json", "-").stdout)
        except ForgecheckError as error:
            raise ForgecheckError(_own_words(str(error), probe)) from None
    return {tap["name"]: tuple(tap["shape"]) for tap in described["taps"]}


def _own_words(message: str, probe: Path) -> str:
    """A message without the name of the probe, which is ours: what is left names the field."""
    return message.replace(f"{probe}: ", "").replace(f"{probe.parent}/", "").removeprefix("metadata forgecheck: ")

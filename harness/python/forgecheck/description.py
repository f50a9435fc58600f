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


def architecture_of_config(name: str, text: str) -> dict[str, Any]:
    """The case of a configuration: a Hugging Face config.json or a KempnerForge .toml file. Raises ForgecheckError
    with the field and its value where the reference cannot express it."""
    with tempfile.TemporaryDirectory(prefix="forgecheck-") as folder:
        (Path(folder) / name).write_text(text, encoding="utf-8")
        tokens = {"tokens": torch.zeros(1, 1, dtype=torch.int64)}
        described = _describe(Path(folder), {"config": name}, tokens)
    line: str = described["case"]
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
        described = _describe(Path(folder), {"case": case}, inputs)
    return {tap["name"]: tuple(tap["shape"]) for tap in described["taps"]}


def _describe(folder: Path, definition: dict[str, Any], inputs: Mapping[str, Tensor]) -> Any:
    """What `forgecheck taps` says of a trace with these inputs."""
    probe = folder / "trace.safetensors"
    write_trace(probe, definition, inputs, {"logits": torch.zeros(1)}, SEEDED, {"backend": "none", "version": "0"})
    try:
        return json.loads(run_program("taps", str(probe), "--json", "-").stdout)
    except ForgecheckError as error:
        # The probe is ours: what is left of the message names the field, and the file that it was read from.
        message = str(error).replace(f"{probe}: ", "").replace(f"{folder}/", "").removeprefix("metadata forgecheck: ")
        raise ForgecheckError(message) from None

"""Trace files: one .safetensors file with the inputs of a run and what it computed. docs/traces.md describes them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from forgecheck.errors import ForgecheckError

SCHEMA = 1
SEEDED = "seeded"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes a .safetensors file through a temporary one, so that a killed run leaves no partial file."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        save_file(dict(tensors), temporary, metadata)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_trace(
    path: Path,
    definition: dict[str, Any],
    inputs: Mapping[str, Tensor],
    taps: Mapping[str, Tensor],
    weights: str,
    producer: dict[str, str],
) -> None:
    """Writes a trace. `definition` is {"case": ...} or {"config": the name of a file beside it}; `weights` is
    "seeded" or the name of a file beside it."""
    tensors = {f"input.{name}": value for name, value in inputs.items()}
    tensors |= {f"expected.{name}": value for name, value in taps.items()}
    document = {"schema": SCHEMA, "weights": weights, "producer": producer, **definition}
    write_tensors(path, tensors, {"forgecheck": json.dumps(document, sort_keys=True)})


def weights_path(path: Path) -> Path:
    """Where the weights of a trace are saved: beside it, under a name that says that it is no trace."""
    return path.with_name(f"model.{path.name}")


def checked_path(path: str | os.PathLike[str]) -> Path:
    """The path of a trace to be written. Raises ForgecheckError where it cannot be one."""
    result = Path(path)
    if result.suffix != ".safetensors" or result.name.startswith("model"):
        raise ForgecheckError(f'path = {result}: must end in .safetensors, and not begin with "model" as weights do')
    if not result.parent.is_dir():
        raise ForgecheckError(f"path = {result}: the folder {result.parent} is not there")
    return result

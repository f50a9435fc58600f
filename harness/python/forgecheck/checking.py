"""check: records a model and judges the trace."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from forgecheck.models import Call, CaseLike
from forgecheck.names import NameRules
from forgecheck.recording import run
from forgecheck.report import Report
from forgecheck.trace_file import checked_path
from forgecheck.verifying import verify_file


def check(
    model: nn.Module,
    inputs: Any,
    *,
    case: CaseLike | None = None,
    names: NameRules | None = None,
    call: Call | None = None,
    chunks: Sequence[int] | None = None,
    gradients: bool = False,
    path: str | os.PathLike[str] | None = None,
) -> Report:
    """Records the model on the inputs, as `record` does, and judges the trace. With `path` the trace is kept there."""
    kept = None if path is None else checked_path(path)
    recording = run(model, inputs, case=case, names=names, call=call, chunks=chunks, gradients=gradients)
    with tempfile.TemporaryDirectory(prefix="forgecheck-") as folder:
        trace = kept or Path(folder) / "trace.safetensors"
        recording.write(trace)
        return verify_file(trace, kept, tuple(recording.notes), recording.modules)

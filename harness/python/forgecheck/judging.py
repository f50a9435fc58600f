"""verify and check: what the program says of a trace."""
from __future__ import annotations

import json
import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from forgecheck.errors import ForgecheckError
from forgecheck.models import Call, CaseLike, NameRules
from forgecheck.program import run_program
from forgecheck.recording import run
from forgecheck.report import Report, read_report
from forgecheck.trace_file import checked_path


def verify(path: str | os.PathLike[str]) -> Report:
    """Judges a recorded trace, whoever recorded it. The files that it names are looked for beside it."""
    return _verify(Path(path), Path(path))


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
        return _verify(trace, kept, tuple(recording.notes))


def _verify(trace: Path, kept: Path | None, notes: tuple[str, ...] = ()) -> Report:
    """Judges one file. `kept` is where it is afterwards, None if it is removed."""
    if not trace.is_file():
        raise ForgecheckError(f"{trace}: is not a file")
    with tempfile.TemporaryDirectory(prefix="forgecheck-") as folder:
        # A folder of links with this trace alone: a filter might fit others beside it.
        golden, written = Path(folder) / "golden", Path(folder)
        golden.mkdir()
        for file in trace.parent.resolve().iterdir():
            if file.name == trace.name or (file.suffix != ".safetensors" or file.name.startswith("model")):
                if file.is_file():
                    (golden / file.name).symlink_to(file)
        arguments = ["verify", "--golden", str(golden), "--backend", "golden", "--json", str(written / "report.json"),
                     "--html", str(written / "report.html")]  # fmt: skip
        outcome = run_program(*arguments)
        document = json.loads((written / "report.json").read_text(encoding="utf-8"))
        html = (written / "report.html").read_text(encoding="utf-8")
        text = _text(outcome.stdout, str(golden), kept).rstrip()
        result = document["results"][0]
        result["message"] = result["message"].replace(f"{golden}/", "").removeprefix(f"{trace.name}: ")
    return read_report(document, text + "".join(f"\nnote: {note}" for note in notes), html, notes)


def _text(stdout: str, golden: str, kept: Path | None) -> str:
    """What the terminal shows, with a repeat command for the file where it is kept, and without one where it is not."""
    lines = []
    for line in stdout.splitlines(keepends=True):
        if line.startswith("  repeat: "):
            if kept is None:
                continue
            folder = kept.resolve().parent
            words = ["forgecheck", "verify", "--golden", str(folder), "--filter", kept.stem, "--backend", "golden"]
            line = f"  repeat: {shlex.join(words)}\n"
        lines.append(line.replace(f"{golden}/", ""))
    return "".join(lines)

"""verify: what the program says of a trace. It needs no PyTorch."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path

from forgecheck.errors import ForgecheckError
from forgecheck.program import run_program
from forgecheck.report import Report, read_report

MAX_HEADER = 10**8  # of a .safetensors file, as its format has it


def verify(path: str | os.PathLike[str]) -> Report:
    """Judges a recorded trace, whoever recorded it. The files that it names are looked for beside it."""
    return verify_file(Path(path), Path(path))


def verify_file(
    trace: Path, kept: Path | None, notes: tuple[str, ...] = (), modules: Mapping[str, str] | None = None
) -> Report:
    """Judges one file. `kept` is where it is afterwards, None if it is removed. `notes` are added to the report, and
    the name that the module of the first divergence has in the model, if that is another."""
    if not trace.is_file():
        raise ForgecheckError(f"{trace}: is not a file")
    with tempfile.TemporaryDirectory(prefix="forgecheck-") as folder:
        # A folder of links with this trace alone: a filter might fit others beside it.
        golden, written = Path(folder) / "golden", Path(folder)
        golden.mkdir()
        for file in [trace, *files_beside(trace)]:
            (golden / file.name).symlink_to(file.resolve())
        arguments = ["verify", "--golden", str(golden), "--backend", "golden", "--json", str(written / "report.json"),
                     "--html", str(written / "report.html")]  # fmt: skip
        outcome = run_program(*arguments)
        document = json.loads((written / "report.json").read_text(encoding="utf-8"))
        html = (written / "report.html").read_text(encoding="utf-8")
        result = document["results"][0]
        tap = (result["first_divergence"] or {}).get("tap", "")
        module = (modules or {}).get(tap, tap)
        text = _text(outcome.stdout, str(golden), kept, None if module == tap else module).rstrip()
        result["message"] = result["message"].replace(f"{golden}/", "").removeprefix(f"{trace.name}: ")
    text += "".join(f"\nnote: {note}" for note in notes)
    return read_report(document, text, html, notes, module or None)


def files_beside(trace: Path) -> list[Path]:
    """The files that a trace may name, in its folder: weights, whole or in parts, and a configuration."""
    named = set()
    try:
        with trace.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little") % MAX_HEADER))
        metadata = json.loads(header["__metadata__"]["forgecheck"])
        named = {metadata.get("weights"), metadata.get("config")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass  # the program says what is wrong with the file
    files = [file for file in trace.parent.iterdir() if file.is_file() and file.name != trace.name]
    return [file for file in files if file.name in named or file.name.startswith("model")]


def _text(stdout: str, golden: str, kept: Path | None, module: str | None) -> str:
    """What the terminal shows, with the module's own name, and with a repeat command for the file where it is kept."""
    lines = []
    for line in stdout.splitlines(keepends=True):
        if line.startswith("  repeat: "):
            if kept is None:
                continue
            folder = kept.resolve().parent
            words = ["forgecheck", "verify", "--golden", str(folder), "--filter", kept.stem, "--backend", "golden"]
            line = f"  repeat: {shlex.join(words)}\n"
        lines.append(line.replace(f"{golden}/", ""))
        if module is not None and line.startswith("  first divergence: "):
            lines.append(f"  in your model: {module}\n")
    return "".join(lines)

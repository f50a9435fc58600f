"""serve: the loop of a program that forgecheck runs as a backend (exec:COMMAND, docs/workers.md)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from safetensors.torch import save_file
from torch import Tensor

Taps = Mapping[str, Tensor]
Run = Callable[[Path], Taps]
Timed = Callable[[Path, int], Sequence[float]]
STDOUT, STDERR = 1, 2  # file descriptors


class Refused(Exception):
    """A case that the program does not take. `kind` is "ConfigError", "ShapeError" or "Unsupported"."""

    def __init__(self, message: str, kind: str = "Unsupported") -> None:
        super().__init__(message)
        self.kind = kind


def serve(run: Run, timed: Timed | None = None) -> NoReturn:
    """Answers requests until standard input ends. `run` computes the taps of a case's file; `timed`, if there is one, runs it
    a number of times on loaded weights, after a first run that does not count, and says how many seconds each took
    (`forgecheck bench`). What they raise is an answer too: Refused a refusal, anything else a failure. Whatever they print, or a
    library or a program that they use, goes to standard error, so that it cannot be taken for an answer."""
    answers = os.fdopen(os.dup(STDOUT), "w", encoding="utf-8")
    os.dup2(STDERR, STDOUT)
    for line in sys.stdin:
        request = json.loads(line)
        _answer(answers, request, run, timed)
    sys.exit(0)


def _answer(answers: TextIO, request: dict[str, Any], run: Run, timed: Timed | None) -> None:
    number, case = request["id"], Path(request["case"])
    answer: dict[str, Any] = {"id": number, "ok": True}
    try:
        if timed is not None and "repeat" in request:
            answer["seconds"] = list(timed(case, request["repeat"]))
        else:
            taps = {f"expected.{name}": value.detach().cpu().contiguous().clone() for name, value in run(case).items()}
            save_file(taps, request["out"])
    except Refused as refusal:
        answer = {"id": number, "ok": False, "kind": refusal.kind, "message": str(refusal)}
    except Exception as error:
        message = f"{type(error).__name__}: {error}".splitlines()[0]
        answer = {"id": number, "ok": False, "kind": "Failure", "message": message}
    print(json.dumps(answer), file=answers, flush=True)

"""The program `forgecheck`: where it is, and how it is called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from forgecheck.errors import ForgecheckError

VARIABLE = "FORGECHECK_PROGRAM"
OF_THE_WHEEL = Path(__file__).resolve().parent / "bin" / "forgecheck"
REFUSED = 2  # exit status of bad usage, configuration or file


def find_program() -> str:
    """The program that $FORGECHECK_PROGRAM names, else the wheel's own, else the first on PATH."""
    named = os.environ.get(VARIABLE)
    if named:
        if not os.access(named, os.X_OK) or not Path(named).is_file():
            raise ForgecheckError(f"{VARIABLE} = {named}: is not a program")
        return named
    found = str(OF_THE_WHEEL) if OF_THE_WHEEL.is_file() else shutil.which("forgecheck")
    if found is None:
        raise ForgecheckError(
            f"the program forgecheck was not found: set {VARIABLE}, install a wheel that carries it, or put it on PATH"
        )
    return found


def run_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the program. Raises ForgecheckError with its message where it refuses what it is given."""
    # Reports are read here, so nothing is printed for GitHub.
    environment = {name: value for name, value in os.environ.items() if name != "GITHUB_ACTIONS"}
    outcome = subprocess.run(
        [find_program(), *arguments],
        capture_output=True, check=False, encoding="utf-8", errors="replace", env=environment,
    )  # fmt: skip
    if outcome.returncode == REFUSED or outcome.returncode < 0:
        message = outcome.stderr.strip() or f"forgecheck ended with status {outcome.returncode}"
        raise ForgecheckError(message.removeprefix("forgecheck: "))
    return outcome


def main() -> None:
    """The command `forgecheck` of an installed wheel: the program that it carries."""
    program = os.environ.get(VARIABLE) or str(OF_THE_WHEEL)
    if not Path(program).is_file():
        sys.exit(f"forgecheck: this installation carries no program ({program}): set {VARIABLE}")
    os.execv(program, [program, *sys.argv[1:]])

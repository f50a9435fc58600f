"""docs/tutorial.md: its commands give what it shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, environment

pytest.importorskip("torch", reason="PyTorch is not installed")
PAGE = (ROOT / "docs/tutorial.md").read_text()


def sessions():
    """Every command of the page, and the lines below it."""
    found = []
    for line in PAGE.splitlines():
        if line.startswith("    $ "):
            found.append((line.removeprefix("    $ "), []))
        elif line.startswith("    ") and found:
            found[-1][1].append(line.removeprefix("    "))
        elif line and found and found[-1] is not None:
            found.append(("", []))  # text ends what a command printed
    return [(command, output) for command, output in found if command]


def comparable(lines):
    """Without what another processor rounds otherwise: digits of values, bars, and which tap of a right trace is the worst."""
    lines = [re.sub(r"(\d match\s.*) \(\S+, ", r"\1 (TAP, ", line) for line in lines if line.strip()]
    return [re.sub(r"\s+", " ", re.sub(r"-?\d+(\.\d+)?(e[+-]\d+)?|#+", "N", line)).strip() for line in lines]


def test_the_commands_print_what_the_page_shows(tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    commands = sessions()
    assert len(commands) == 5 and commands[0][0] == "pip install --quiet ."
    for command, shown in commands[1:]:
        outcome = subprocess.run(
            command, shell=True, cwd=tmp_path, env={**environment(), "PATH": path}, capture_output=True, text=True
        )
        assert outcome.returncode == 0, outcome.stderr
        assert comparable(outcome.stdout.splitlines()) == comparable(shown)
    assert (tmp_path / "my_model.html").exists()


def test_the_page_shows_the_case_and_the_names_of_the_example():
    example = (ROOT / "examples/check_my_model.py").read_text()
    (shown,) = re.findall(r"^    CASE = .*?^        \.\.\.$", PAGE, re.MULTILINE | re.DOTALL)
    for line in shown.splitlines()[:-1]:
        assert line.removeprefix("    ") + "\n" in example

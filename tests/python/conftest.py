"""What the tests of the Python package share: where the program is, and small inputs."""

from __future__ import annotations

import os
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "forgecheck.pytest_plugin"
INSTALLED = any(entry.value == PLUGIN for entry in entry_points(group="pytest11"))
pytest_plugins = ["pytester"]
if not INSTALLED:  # then it is the package of the source tree that is tested
    sys.path.insert(0, str(ROOT / "harness/python"))
    pytest_plugins.append(PLUGIN)


def environment() -> dict[str, str]:
    """That of a program which imports the package that is tested."""
    if INSTALLED:
        return dict(os.environ)
    folders = [str(ROOT / "harness/python"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


def pytest_configure() -> None:
    """Without a wheel the program is that of a build folder."""
    from forgecheck.program import OF_THE_WHEEL, VARIABLE

    built = [ROOT / "build" / preset / "forgecheck" for preset in ("dev", "release")]
    found = next((path for path in built if path.is_file()), None)
    if VARIABLE not in os.environ and not OF_THE_WHEEL.is_file() and found:
        os.environ[VARIABLE] = str(found)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture
def tokens(torch):
    """Two rows of twelve tokens below 61."""
    return torch.arange(24).reshape(2, 12) * 7 % 61

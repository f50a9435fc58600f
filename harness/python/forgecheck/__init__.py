"""forgecheck: is this implementation of a transformer right, and if not, where does it first go wrong?

    report = forgecheck.check(model, tokens)

records a model on its inputs and judges it, module by module, against a reference in float64."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from forgecheck.errors import ForgecheckError

if TYPE_CHECKING:
    from forgecheck.filling import seed
    from forgecheck.checking import check
    from forgecheck.recording import record
    from forgecheck.report import FirstDivergence, Report, Tap, WorstElement
    from forgecheck.verifying import verify

try:
    __version__ = version("forgecheck")
except PackageNotFoundError:  # used from its source folder
    __version__ = "0.0.0"

__all__ = [
    "FirstDivergence", "ForgecheckError", "Report", "Tap", "WorstElement", "check", "record", "seed", "verify",
]  # fmt: skip

# Where each name is: loaded when it is asked for, since most of them need PyTorch.
_MODULES = {
    "seed": "filling", "check": "checking", "verify": "verifying", "record": "recording", "Report": "report",
    "FirstDivergence": "report", "Tap": "report", "WorstElement": "report",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module forgecheck has no attribute {name}")
    try:
        return getattr(import_module(f"forgecheck.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ForgecheckError(f"forgecheck.{name} needs PyTorch, which is not installed: pip install torch") from None

"""The exception of this package."""

from __future__ import annotations


class ForgecheckError(Exception):
    """What cannot be recorded or judged, with the reason: a configuration that the reference cannot express, a
    parameter without a name, a file that cannot be read."""

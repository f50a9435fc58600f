"""What the judge found about one trace: `forgecheck verify --json` as values. docs/report.md describes the fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forgecheck import notebook
from forgecheck.errors import ForgecheckError

SUCCESSES = ("match", "undecided")


def number(value: Any) -> float:
    """A number of the report: "inf", "-inf" and "nan" are text in JSON."""
    return float(value)


@dataclass(frozen=True)
class WorstElement:
    """The element farthest beyond its tolerance."""

    index: tuple[int, ...]
    candidate: float
    oracle: float


@dataclass(frozen=True)
class FirstDivergence:
    """The first tap that is wrong: where, by how much, what should be computed there, and what it looks like."""

    tap: str
    local_error: float
    inherited_error: float
    tolerance: float
    after: str | None = None
    between: tuple[str, ...] = ()
    formula: str | None = None
    source: str | None = None
    upstream: str | None = None
    worst: WorstElement | None = None
    hint: str | None = None
    note: str | None = None
    module: str | None = None  # its name in the model that was checked, where that is known


@dataclass(frozen=True)
class Tap:
    """One compared tensor: its error and tolerance at the row that used most of it."""

    name: str
    verdict: str
    error: float
    tolerance: float
    used: float
    message: str = ""


@dataclass(frozen=True)
class Report:
    """A verdict on one trace. True where nothing is wrong; its text is what the terminal shows."""

    verdict: str
    case: str
    message: str
    used: float
    first_divergence: FirstDivergence | None
    taps: tuple[Tap, ...]
    notes: tuple[str, ...]
    text: str = field(repr=False)
    html: str = field(repr=False)
    json: dict[str, Any] = field(repr=False)

    def __bool__(self) -> bool:
        return self.verdict in SUCCESSES

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        first = self.first_divergence
        return f"<forgecheck {self.verdict}{f': first divergence {first.tap}' if first else ''}>"

    def _repr_html_(self) -> str:
        return notebook.page(self)

    @property
    def hint(self) -> str | None:
        """What the first divergence looks like, where the judge knows the mistake."""
        return self.first_divergence.hint if self.first_divergence else None

    @property
    def worst(self) -> WorstElement | None:
        """The worst element of the first divergence."""
        return self.first_divergence.worst if self.first_divergence else None

    def save_html(self, path: str | Path) -> Path:
        """Writes the page of `forgecheck verify --html`."""
        Path(path).write_text(self.html, encoding="utf-8")
        return Path(path)


def read_report(
    document: dict[str, Any], text: str, html: str, notes: tuple[str, ...] = (), module: str | None = None
) -> Report:
    """The only result of a report. Raises ForgecheckError where the trace was not judged, since its case, its inputs
    or the file itself were refused."""
    (result,) = document["results"]
    if result["verdict"] == "rejected":
        raise ForgecheckError(result["message"])
    return Report(
        verdict=result["verdict"],
        case=result["case"],
        message=result["message"],
        used=number(result["used"]),
        first_divergence=_first_divergence(result["first_divergence"], module),
        taps=tuple(_tap(tap) for tap in result["taps"]),
        notes=(*result.get("notes", ()), *notes),
        text=text,
        html=html,
        json=document,
    )


def _tap(tap: dict[str, Any]) -> Tap:
    numbers = {name: number(tap[name]) for name in ("error", "tolerance", "used")}
    return Tap(name=tap["name"], verdict=tap["verdict"], message=tap.get("message", ""), **numbers)


def _first_divergence(first: dict[str, Any] | None, module: str | None) -> FirstDivergence | None:
    if first is None:
        return None
    operation, worst = first.get("operation", {}), first.get("worst")
    return FirstDivergence(
        tap=first["tap"],
        local_error=number(first["local_error"]),
        inherited_error=number(first["inherited_error"]),
        tolerance=number(first["tolerance"]),
        after=first.get("after"),
        between=tuple(first.get("between", ())),
        formula=operation.get("formula"),
        source=operation.get("source"),
        upstream=operation.get("upstream"),
        worst=None if worst is None else WorstElement(
            tuple(worst["index"]), number(worst["candidate"]), number(worst["oracle"])
        ),
        hint=first.get("hint"),
        note=first.get("note"),
        module=module,
    )  # fmt: skip

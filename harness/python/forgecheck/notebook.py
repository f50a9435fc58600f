"""A report in a notebook: the verdict, and a map of the modules, a row for each layer and a column for each module."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forgecheck.report import Report, Tap

_BLOCK = re.compile(r"((?:cross_attention_)?layers\.\d+)\.?(.*)")
# Within the tolerance blue, the darker the more of it is used; beyond it orange, with a sign.
_WITHIN = ("#f2f6fa", "#d6e4f0", "#a9c8e2", "#6fa3cd")
_BEYOND = "#e8843c"


def page(report: Report) -> str:
    """Self-contained HTML, without scripts."""
    parts = [f"<b>{escape(report.verdict)}</b>"]
    if report.message:
        parts.append(escape(report.message))
    if first := report.first_divergence:
        rows = [
            ("first divergence", first.tap),
            ("in your model", first.module),
            ("operation", first.formula),
            ("hint", first.hint),
        ]
        parts += [f"{label}: <code>{escape(text)}</code>" for label, text in rows if text]
    parts += [f"note: {escape(note)}" for note in report.notes]
    return f'<div class="forgecheck"><p>{"<br>".join(parts)}</p>{module_map(report.taps)}</div>'


def module_map(taps: tuple[Tap, ...]) -> str:
    """Two tables: the modules in blocks, and those outside of them."""
    blocks: dict[str, dict[str, Tap]] = {}
    others: dict[str, Tap] = {}
    for tap in taps:
        match = _BLOCK.fullmatch(tap.name)
        if match:
            blocks.setdefault(match[1], {})[match[2] or "output"] = tap
        else:
            others[tap.name] = tap
    columns = list(dict.fromkeys(column for block in blocks.values() for column in block))
    tables = [_table(columns, blocks)] if blocks else []
    tables += [_table(list(others), {"model": others})] if others else []
    return "".join(tables)


def _table(columns: list[str], rows: dict[str, dict[str, Tap]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        f"<tr><th>{escape(name)}</th>{''.join(_cell(row.get(column)) for column in columns)}</tr>"
        for name, row in rows.items()
    )
    return f'<table style="font-size:80%"><tr><th></th>{head}</tr>{body}</table>'


def _cell(tap: Tap | None) -> str:
    if tap is None:
        return "<td></td>"
    wrong = tap.verdict not in ("match", "undecided")
    level = sum(tap.used > edge for edge in (0.01, 0.1, 0.5))
    color = _BEYOND if wrong else _WITHIN[level]
    sign = "&#10007; " if wrong else ""
    title = escape(f"{tap.name}: {tap.verdict}, error {tap.error:.3g}, tolerance {tap.tolerance:.3g}")
    return f'<td style="background:{color};color:#222" title="{title}">{sign}{tap.used:.0%}</td>'

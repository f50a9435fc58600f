"""The report as values, as text, as a page and in a notebook."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from forgecheck import ForgecheckError
from forgecheck.report import read_report

TAPS = [
    {"name": "token_embedding", "verdict": "match", "error": 0.0, "tolerance": 1e-6, "used": 0.0},
    {"name": "layers.0.attention.context", "verdict": "mismatch", "error": 0.5, "tolerance": 1e-6, "used": "inf"},
    {"name": "layers.0", "verdict": "match", "error": 1e-7, "tolerance": 1e-6, "used": 0.1},
    {"name": "layers.1", "verdict": "match", "error": 1e-7, "tolerance": 1e-6, "used": 0.7},
    {"name": "logits", "verdict": "undecided", "error": 1e-7, "tolerance": 1e-6, "used": 0.2, "message": "<b>"},
]
FIRST = {
    "tap": "layers.0.attention.context", "local_error": "inf", "inherited_error": 1e-7, "tolerance": 1e-6,
    "after": "token_embedding", "between": ["layers.0.attention.q_proj"],
    "operation": {"formula": "softmax(q k^T / sqrt(d)) v", "source": "a.cpp", "upstream": "a.py"},
    "worst": {"index": [0, 1], "candidate": "nan", "oracle": 2.0}, "hint": "explained if <i>",
}  # fmt: skip


def report(**changes):
    result = {
        "case": "dense[dim=64]", "candidate": "golden", "oracle": "reference:f64", "verdict": "mismatch", "used": "inf",
        "first_divergence": FIRST, "undecided": [], "message": "is wrong", "repeat": "forgecheck verify",
        "seconds": 0.1,
        "taps": TAPS, **changes,
    }  # fmt: skip
    return read_report({"schema": 1, "results": [result]}, "the terminal's text", "<html>page</html>", ("a note",))


def test_every_field_of_the_first_divergence_is_read():
    first = report().first_divergence
    assert (first.tap, first.after, first.between) == (FIRST["tap"], "token_embedding", ("layers.0.attention.q_proj",))
    assert (first.formula, first.source, first.upstream) == ("softmax(q k^T / sqrt(d)) v", "a.cpp", "a.py")
    assert first.local_error == float("inf") and first.inherited_error == 1e-7 and first.tolerance == 1e-6
    assert report().hint == first.hint == "explained if <i>"
    assert report().worst.index == (0, 1) and report().worst.oracle == 2.0
    assert report().worst.candidate != report().worst.candidate  # NaN


@pytest.mark.parametrize(("verdict", "success"), [
    ("match", True), ("undecided", True), ("mismatch", False), ("untrusted", False), ("crashed", False),
    ("unsupported", False),
])  # fmt: skip
def test_only_a_success_is_true(verdict, success):
    assert bool(report(verdict=verdict)) is success


def test_a_trace_that_was_refused_is_an_error():
    with pytest.raises(ForgecheckError, match="is wrong"):
        report(verdict="rejected")


def test_the_text_is_the_terminals_and_the_representation_is_one_line():
    assert str(report()) == "the terminal's text"
    assert repr(report()) == "<forgecheck mismatch: first divergence layers.0.attention.context>"
    assert repr(report(verdict="match", first_divergence=None)) == "<forgecheck match>"


def test_a_match_has_no_hint_and_no_worst_element():
    right = report(verdict="match", first_divergence=None)
    assert right.hint is None and right.worst is None and right.notes == ("a note",)


def test_the_page_is_saved_as_it_is(tmp_path):
    assert report().save_html(tmp_path / "page.html").read_text() == "<html>page</html>"


class Cells(HTMLParser):
    """Every cell of the tables: its text and its title."""

    def __init__(self):
        super().__init__()
        self.cells, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.cells.append([dict(attributes).get("title", ""), ""])

    def handle_endtag(self, tag):
        while self.tags and self.tags.pop() != tag:
            pass

    def handle_data(self, data):
        if self.tags and self.tags[-1] in ("td", "th"):
            self.cells[-1][1] += data


def test_a_notebook_shows_a_row_for_each_layer_and_marks_what_is_wrong():
    cells = Cells()
    cells.feed(report()._repr_html_())
    texts = [text for _, text in cells.cells]
    assert texts == ["", "attention.context", "output", "layers.0", "✗ inf%", "10%", "layers.1", "", "70%",
                     "", "token_embedding", "logits", "model", "0%", "20%"]  # fmt: skip
    assert "layers.0.attention.context: mismatch" in cells.cells[4][0]


def test_what_a_notebook_shows_is_escaped():
    page = report(message="<script>")._repr_html_()
    assert "<script>" not in page and "explained if &lt;i&gt;" in page and "softmax(q k^T / sqrt(d)) v" in page
    assert "a note" in page

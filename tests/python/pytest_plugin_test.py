"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import pytest
from conftest import INSTALLED, PLUGIN, ROOT

pytest.importorskip("torch", reason="PyTorch is not installed")

TEST = """
import sys
sys.path.insert(0, {folder!r})
import toy, torch

TOKENS = torch.arange(24).reshape(2, 12) * 7 % 61

def test_right(forgecheck):
    model = forgecheck.seed(toy.Model(), 7)
    assert forgecheck.check(model, TOKENS, case=toy.CASE)
    assert forgecheck.verify(forgecheck.record(model, TOKENS, {trace!r}, case=toy.CASE))

def test_wrong(forgecheck):
    model = forgecheck.seed(toy.Model(lambda: toy.Attention(order=None, scale=1.0)), 7)
    assert forgecheck.check(model, TOKENS, case=toy.PLAIN_CASE)

def test_wrong_otherwise(forgecheck):
    model = forgecheck.seed(toy.Model(), 7)
    assert forgecheck.check(model, TOKENS, case=toy.CASE)
    assert 1 == 2

def test_expected(forgecheck):
    model = forgecheck.seed(toy.Model(lambda: toy.Attention(order=None, scale=1.0)), 7)
    assert not forgecheck.check(model, TOKENS, case=toy.PLAIN_CASE)
"""


def run(pytester, *arguments):
    """A pytest in a process of its own; where the package is not installed, it is told of the plugin."""
    if INSTALLED:
        return pytester.runpytest_subprocess(*arguments)
    pytester._monkeypatch.setenv("PYTHONPATH", str(ROOT / "harness/python"))
    return pytester.runpytest_subprocess("-p", PLUGIN, *arguments)


@pytest.fixture
def outcome(pytester, tmp_path):
    pytester.makepyfile(TEST.format(folder=str(ROOT / "tests/python"), trace=str(tmp_path / "trace.safetensors")))
    return run(pytester, "--forgecheck-html", "pages")


def test_a_failing_assertion_shows_the_terminal_report(outcome):
    outcome.assert_outcomes(passed=2, failed=2)
    text = outcome.stdout.str()
    assert text.count("first divergence: layers.0.attention.context") == 1  # of the failing test alone
    assert "hint: explained if the scores are not divided by sqrt(head_dim)" in text
    assert text.count("- forgecheck -") == 1  # the other failing test's report is a match


def test_every_report_has_its_page(outcome, pytester):
    pages = sorted(path.name for path in pytester.path.joinpath("pages").iterdir())
    names = [name.split(".py_")[-1] for name in pages]
    assert names == ["test_expected.html", "test_right.html", "test_right_2.html", "test_wrong.html",
                     "test_wrong_otherwise.html"]  # fmt: skip
    assert "</html>" in pytester.path.joinpath("pages", pages[0]).read_text()


def test_without_the_option_no_page_is_written(pytester):
    pytester.makepyfile("def test_nothing(forgecheck):\n    assert forgecheck")
    run(pytester).assert_outcomes(passed=1)
    assert not pytester.path.joinpath("pages").exists()

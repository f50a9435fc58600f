"""The pytest plugin: a fixture `forgecheck`, and the option --forgecheck-html DIR.

    def test_model_is_right(forgecheck):
        assert forgecheck.check(model, tokens)

A failing test shows what the terminal shows of every report that is not a success."""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import forgecheck as package

if TYPE_CHECKING:
    from forgecheck.report import Report

_reports = pytest.StashKey[list["Report"]]()
_OPTION = "forgecheck_html"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("forgecheck")
    group.addoption(
        "--forgecheck-html", dest=_OPTION, metavar="DIR", help="write a page for each report to this folder"
    )


class Checker:
    """The functions of the package, as a test uses them: what they report is shown if the test fails."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._node = request.node
        self._folder: str | None = request.config.getoption(_OPTION)
        self._node.stash[_reports] = []

    def check(self, *arguments: Any, **options: Any) -> Report:
        """As forgecheck.check."""
        return self._keep(package.check(*arguments, **options))

    def verify(self, path: str | os.PathLike[str]) -> Report:
        """As forgecheck.verify."""
        return self._keep(package.verify(path))

    def record(self, *arguments: Any, **options: Any) -> Path:
        """As forgecheck.record."""
        return package.record(*arguments, **options)

    def seed(self, *arguments: Any, **options: Any) -> Any:
        """As forgecheck.seed."""
        return package.seed(*arguments, **options)

    def _keep(self, report: Report) -> Report:
        reports = self._node.stash[_reports]
        reports.append(report)
        if self._folder is not None:
            Path(self._folder).mkdir(parents=True, exist_ok=True)
            report.save_html(Path(self._folder) / f"{page_name(self._node.nodeid, len(reports))}.html")
        return report


def page_name(node: str, number: int) -> str:
    """The name of a page: the test's, with a number from the second report on."""
    plain = re.sub(r"[^\w.-]+", "_", node).strip("_")
    return plain if number == 1 else f"{plain}_{number}"


@pytest.fixture(name="forgecheck")
def forgecheck_fixture(request: pytest.FixtureRequest) -> Checker:
    """Checks models against forgecheck's reference: check, verify, record, seed."""
    return Checker(request)


@pytest.hookimpl(hookwrapper=True)  # which versions before 8 know too
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Adds a section for each report that is not a success to a failing test."""
    result: pytest.TestReport = (yield).get_result()
    if result.failed and call.when == "call":
        for report in item.stash.get(_reports, []):
            if not report:
                result.sections.append(("forgecheck", str(report)))

"""A plugin of pytest that writes down each test as it begins and ends, so that no end of the process loses any.

`pytest -p benchmarks.sessions.tell --tell FILE` adds a line of JSON for each. Tests that ended by that file already are
not run again: after a crash the same command goes on with the rest. `--skip-first N` and `--at-most N` are a part of
the tests that pytest chose.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

Found = dict[str, Any]  # test, outcome ("begun", "passed", "skipped" or "failed"), why, seconds


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tell", type=Path, help="the file that gets a line for each test as it begins and ends")
    parser.addoption("--skip-first", type=int, default=0, help="leave out so many of the chosen tests")
    parser.addoption("--at-most", type=int, help="run no more than so many of them")


def pytest_configure(config: pytest.Config) -> None:
    if place := config.getoption("--tell"):
        config.pluginmanager.register(Teller(place))


class Teller:
    def __init__(self, place: Path) -> None:
        self._place = place
        self._reports: list[pytest.TestReport] = []

    @pytest.hookimpl(trylast=True)  # after -k
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        done, _ = read(self._place)
        begin, count = config.getoption("--skip-first"), config.getoption("--at-most")
        part = items[begin : None if count is None else begin + count]
        wanted = [item for item in part if item.nodeid not in done]
        left_out = set(items) - set(wanted)
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = wanted

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            tell(self._place, report.nodeid, "failed", report.longreprtext)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._reports = []
        tell(self._place, nodeid, "begun")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(report)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        reports = self._reports
        worst = next((r for kind in ("failed", "skipped") for r in reports if r.outcome == kind), reports[-1])
        why = worst.longrepr[2] if isinstance(worst.longrepr, tuple) else worst.longreprtext
        tell(self._place, nodeid, worst.outcome, why, round(sum(report.duration for report in reports), 3))


def tell(place: Path, test: str, outcome: str, why: str = "", seconds: float = 0) -> None:
    with place.open("a") as file:
        file.write(json.dumps({"test": test, "outcome": outcome, "why": why, "seconds": seconds}) + "\n")


def read(place: Path) -> tuple[dict[str, Found], str | None]:
    """What ended, by test, and the test that was begun and did not end."""
    found: dict[str, Found] = {}
    begun = None
    for line in _lines(place):
        if line["outcome"] == "begun":
            begun = line["test"]
        else:
            found[line["test"]], begun = line, None
    return found, begun


def _lines(place: Path) -> Iterator[Found]:
    """All that are whole: a process may have ended within one, and the next one have gone on there."""
    for line in place.read_text().splitlines() if place.exists() else ():
        with suppress(ValueError):
            yield json.loads(line)


def counts(found: Iterable[Found]) -> dict[str, int]:
    """How many have which outcome."""
    outcomes = [each["outcome"] for each in found]
    return {outcome: outcomes.count(outcome) for outcome in ("passed", "failed", "skipped")}


def failures(found: Iterable[Found], most: int = 1500) -> Sequence[dict[str, str]]:
    """Their names, and the last characters of their words."""
    return [{"test": each["test"], "said": each["why"][-most:]} for each in found if each["outcome"] == "failed"]

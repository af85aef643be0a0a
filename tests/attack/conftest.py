"""Tells how many rounds were tried, and how many of the tests failed: each stops at its first failure."""

from __future__ import annotations

from typing import Any

from tests.attack.rounds import COUNTS


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if COUNTS:
        failures = len(terminalreporter.stats.get("failed", []))
        told = ", ".join(f"{number} {kind}" for kind, number in sorted(COUNTS.items()))
        terminalreporter.write_line(f"attack: {sum(COUNTS.values())} rounds ({told}), {failures} failures")

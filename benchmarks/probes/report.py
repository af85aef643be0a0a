"""What all probes share: their arguments, and how they tell what they found."""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.harness import timing


def parser(name: str, doc: str | None) -> argparse.ArgumentParser:
    made = timing.parser(f"probe_{name}", doc)
    made.add_argument("--device", default="cuda", help="cuda (default), or emulated: to see that it runs")
    made.add_argument("--seconds", type=float, default=300, help="what all may take; then less is measured")
    made.add_argument("--tiny", action="store_true", help="small enough for the emulated device")
    return made


def words(answer: Any) -> str:
    """An answer of `child.each`, for a table."""
    if not isinstance(answer, dict):
        return str(answer)
    for key in ("exception", "died", "hung", "not run"):
        if key in answer:
            return f"{key}: {answer[key]}"[:100]
    return ", ".join(f"{key} {value}" for key, value in answer.items() if key != "seconds" or isinstance(value, float))


def finish(name: str, options: argparse.Namespace, **results: Any) -> None:
    """Write the JSON: results/probe_NAME.json, or where `--output` says."""
    settings = {key: value for key, value in vars(options).items() if key not in ("output", "check", "readers")}
    timing.record(f"probe_{name}", options.output, settings=settings, **results)


def cases(name: str, options: argparse.Namespace, found: dict[str, Any]) -> None:
    """A table of cases and their answers, and the JSON."""
    print(timing.table(["case", ""], [[case, words(answer)] for case, answer in found.items()]))
    finish(name, options, cases=found)

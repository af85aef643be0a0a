"""The README's table of differences from zarr-python: each row is shown by programs, and each difference has a row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import zarr

import gpuzarr
from tests.api.differences import DIFFERENCES, LEFT_OUT, Difference
from tests.api.running import run

ZARR = tuple(map(int, zarr.__version__.split(".")[:2]))
README = (Path(__file__).parents[2] / "README.md").read_text()
TABLE = README.partition("## Coming from zarr-python 3")[2].partition("\n## ")[0]
ROWS = [cells[0] for line in TABLE.splitlines() if len(cells := re.split(r" *(?<!\\)\| *", line.strip("| "))) > 1][2:]
SHOWN = [(row, difference) for row, differences in DIFFERENCES.items() for difference in differences]


def test_each_row_is_shown() -> None:
    assert list(DIFFERENCES) == ROWS
    assert set(LEFT_OUT.values()) <= set(ROWS)


@pytest.mark.parametrize(("row", "difference"), SHOWN, ids=[f"{i} {row}" for i, (row, _) in enumerate(SHOWN)])
def test_rows(row: str, difference: Difference) -> None:
    theirs: list[Any] = [(zarr, difference.theirs)] if ZARR >= (3, 4) else []  # the table is about this one
    for module, wanted in [*theirs, (gpuzarr, difference.ours)]:
        outcome = run(difference.program, module)
        if isinstance(wanted, type):
            assert isinstance(outcome.error, wanted), (module.__name__, outcome)
        else:
            assert outcome.error is None, (module.__name__, repr(outcome.error))
            assert _values(outcome.result) == wanted, module.__name__


def _values(result: Any) -> Any:
    """A plain result, with arrays as lists."""
    if isinstance(result, tuple):
        return eval(result[3], {"nan": float("nan")})
    return {key: _values(value) for key, value in result.items()} if isinstance(result, dict) else result

"""How commands print: tables, facts and JSON.

On a terminal, where `rich` is installed, tables are drawn and words such as "yes" and "error" have colours. Else, as in
a pipe or a file, all is plain text that stays the same from one version to the next. `NO_COLOR=1` leaves out colours.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

GOOD, BAD, DOUBTFUL = "green", "red", "yellow"
WORDS = {  # a cell that is one of these words alone has this colour
    **dict.fromkeys(("yes", "ok", "equal", "same"), GOOD),
    **dict.fromkeys(("no", "error", "failed", "missing", "different"), BAD),
    **dict.fromkeys(("partly", "warning", "unknown", "slower"), DOUBTFUL),
}
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def add_output(parser: argparse.ArgumentParser, progress: bool = False) -> None:
    """Declare `--json`, and `--progress` for commands that may take long."""
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object")
    if progress:
        help_ = "show a progress bar on stderr; by default where that is a terminal"
        parser.add_argument("--progress", action=argparse.BooleanOptionalAction, default=None, help=help_)


def wants_progress(options: argparse.Namespace) -> bool:
    """Whether a progress bar is shown: as was asked for, else where stderr is a terminal."""
    return sys.stderr.isatty() if options.progress is None else bool(options.progress)


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """Print a table. Columns that have only numbers, with or without a unit, are flush right."""
    cells = [[printable(cell) for cell in row] for row in rows]
    console = _console()
    if console is None:
        print("\n".join(table_lines(headers, cells, title)))
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, title=title and Text(printable(title)), title_justify="left", title_style="bold")
    for i, (header, right) in enumerate(zip(headers, _numeric(len(headers), cells), strict=True)):
        drawn.add_column(Text(header), justify="right" if right else "left", overflow="fold", no_wrap=i == 0)
    for row in cells:
        drawn.add_row(*(Text(cell, style=WORDS.get(cell, "")) for cell in row))
    console.print(drawn)


def key_values(facts: Mapping[str, Any], title: str | None = None) -> None:
    """Print facts, a line each: the name and the value. Facts that are None or "" are left out."""
    pairs = [(name, printable(value)) for name, value in facts.items() if value is not None and value != ""]
    console = _console()
    if console is None:
        print("\n".join(key_value_lines(pairs, title)))
        return
    from rich.table import Table
    from rich.text import Text

    if title:
        console.print(Text(printable(title), style="bold"))
    grid = Table.grid(padding=(0, 2))
    for name, value in pairs:
        grid.add_row(Text(f"  {name}" if title else name, style="cyan"), Text(value, style=WORDS.get(value, "")))
    console.print(grid)


def line(text: Any = "", colour: str = "") -> None:
    """Print a line, in one of the colours GOOD, BAD and DOUBTFUL where there are any."""
    console = _console()
    if console is None:
        print(printable(text))
        return
    from rich.text import Text

    console.print(Text(printable(text), style=colour), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value as JSON: dataclasses as objects, arrays as lists, NaN and infinities as in Zarr's documents."""
    print(json.dumps(json_value(value), indent=1, allow_nan=False))


def json_value(value: Any) -> Any:
    """Convert a value to the types of JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: json_value(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return json_value(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def table_lines(headers: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> list[str]:
    """A table as plain text: two spaces between columns, a line below the headers."""
    whole = [list(headers), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    adjust = [str.rjust if right else str.ljust for right in _numeric(len(headers), rows)]
    whole.insert(1, ["-" * width for width in widths])
    lines = ["  ".join(f(c, w) for f, c, w in zip(adjust, row, widths, strict=True)).rstrip() for row in whole]
    return [printable(title), *lines] if title else lines


def key_value_lines(facts: Sequence[tuple[str, str]], title: str | None = None) -> list[str]:
    """Facts as plain text; below a title they are indented."""
    width = max((len(name) for name, _ in facts), default=0)
    margin = "  " if title else ""
    return [*([printable(title)] if title else []), *(f"{margin}{name:<{width}}  {value}" for name, value in facts)]


def printable(value: Any) -> str:
    """A value as text of one line, in which names from a store cannot move a terminal's cursor or colour it."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def byte_text(count: float) -> str:
    """So many bytes in the unit that people read: 1536 is "1.5 KiB"."""
    unit = 0
    while abs(count) >= 1024 and unit < len(UNITS) - 1:
        count, unit = count / 1024, unit + 1
    if unit == 0:
        return f"{count:.0f} byte{'' if count == 1 else 's'}"
    return f"{count:.3g} {UNITS[unit]}" if count < 1000 else f"{count:.0f} {UNITS[unit]}"


def rate_text(bytes_per_second: float) -> str:
    """A rate in MB/s or GB/s, as benchmarks have it: 10**6 and 10**9 bytes."""
    rate, unit = (bytes_per_second / 1e9, "GB/s") if bytes_per_second >= 1e9 else (bytes_per_second / 1e6, "MB/s")
    return f"{rate:.3g} {unit}" if rate < 1000 else f"{rate:.0f} {unit}"


def is_terminal() -> bool:
    """Whether what is printed goes to a terminal that can do more than text."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def has_colours() -> bool:
    """Whether colours may be printed (https://no-color.org)."""
    return is_terminal() and not os.environ.get("NO_COLOR")


def _console() -> Any:
    """The console of rich that draws; None where text is printed plain."""
    if not is_terminal():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=sys.stdout, highlight=False, no_color=not has_colours(), emoji=False, markup=False)


def _numeric(count: int, rows: Sequence[Sequence[str]]) -> list[bool]:
    """For each column whether its cells begin with digits, but those that are empty."""
    return [
        any(row[i] for row in rows) and all(not row[i] or row[i].lstrip("+-.")[:1].isdigit() for row in rows)
        for i in range(count)
    ]

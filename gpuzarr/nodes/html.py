"""Pieces of the HTML that notebooks show of arrays and groups: text, tables of facts, attributes.

Colours are those of the page (`currentColor`), so they fit light and dark themes. Everything is inline, as notebooks
remove style sheets and scripts from what is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from html import escape
from itertools import islice
from typing import Any

from gpuzarr.checks import shown

MAX_TEXT_CHARACTERS = 300
MAX_ATTRIBUTES = 40
_CELL = "padding:1px 8px 1px 0;vertical-align:top;border:none;background:none;text-align:left;overflow-wrap:anywhere"
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
DIM = "opacity:.65"


def text(value: Any, most: int = MAX_TEXT_CHARACTERS) -> str:
    """Any value as escaped text of at most so many characters; control characters and lone surrogates as escapes."""
    whole = str(value)
    cut = whole if len(whole) <= most else f"{whole[: most - 1]}…"
    plain = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in cut)
    return escape(plain)


def told(fact: Callable[[], Any]) -> str:
    """Escaped text of a fact, or the error with which it failed: what a notebook shows never fails."""
    try:
        return text(fact())
    except Exception as error:  # of a damaged node, and of the `repr` of a store that somebody else wrote
        return f"cannot be told: {reason(error)}"


def reason(error: Exception) -> str:
    """Escaped text of an error, whoever wrote its class."""
    try:
        said = str(error)
    except Exception:
        said = "no message"
    return text(f"{type(error).__name__}: {said}")


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Names, and HTML beside each of them."""
    cells = (
        f'<tr style="background:none"><th style="{_CELL};font-weight:normal;{DIM};white-space:nowrap">{text(name)}</th>'
        f'<td style="{_CELL}">{value}</td></tr>'
        for name, value in rows
    )
    return f'<table style="border-collapse:collapse;margin:0;font-size:inherit"><tbody>{"".join(cells)}</tbody></table>'


def attributes_of(attributes: Mapping[str, Any]) -> str:
    """Attributes, folded; those beyond MAX_ATTRIBUTES are counted."""
    if not attributes:
        return ""
    some = islice(attributes.items(), MAX_ATTRIBUTES)
    rows = [(name, text(value if isinstance(value, str) else shown(value))) for name, value in some]
    if (left := len(attributes) - len(rows)) > 0:
        rows.append(("…", f"{left:,} more"))
    return f"<details><summary>Attributes ({len(attributes):,})</summary>{table(rows)}</details>"


def version(node: Any) -> str:
    """The format of an array or a group, and whether it can be written."""
    kind = "read-only" if node.read_only else "writable"
    return f"{node.metadata.foreign or f'Zarr v{node.zarr_format}'}, {kind}"


def size(nbytes: int) -> str:
    """Bytes in the unit that suits them: "1.5 GiB"."""
    unit = min(max(nbytes.bit_length() - 1, 0) // 10, len(_UNITS) - 1)
    if unit == 0:
        return f"{nbytes} bytes"
    scaled = (10 * nbytes) >> (10 * unit)  # in whole numbers, which are as long as they need to be
    return f"{scaled // 10:,}{f'.{scaled % 10}' if scaled < 1000 else ''} {_UNITS[unit]}"


def page(head: str, body: str) -> str:
    """A drawing: its head line, and what is below."""
    return f'<div style="line-height:1.5"><div style="font-weight:bold;overflow-wrap:anywhere">{head}</div>{body}</div>'

"""Pictures of results: `python -m benchmarks.harness.plot benchmarks/results/gpu_*.json` writes an .svg beside each."""

from __future__ import annotations

import json
import sys
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.harness.timing import is_finished

COLOURS = (
    *("#1b7837", "#762a83", "#2166ac", "#b2182b", "#bf812d", "#35978f", "#878787", "#d6604d"),
    *("#5aae61", "#9970ab", "#4393c3", "#f4a582"),
)
BAR, LEFT, WIDTH = 14, 260, 620  # pixels


def groups(result: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Bars in GB/s by group: of readers by row, of codecs by size of chunk, or of kernels."""
    if "rates" in result:
        return {name: {"GB/s": rate} for name, rate in result["rates"].items()}
    rows = result["rows"]
    if rows and "row" in rows[0]:
        return {row["row"]: {name: row["nbytes"] / s / 1e9 for name, s in row["seconds"].items()} for row in rows}
    return {f"{row['codec']}, {row['chunk'] >> 10} KiB": {"GB/s": row["GB/s"]} for row in rows}


def svg(title: str, bars: dict[str, dict[str, float]]) -> str:
    names = list(dict.fromkeys(name for group in bars.values() for name in group))
    most = max((value for group in bars.values() for value in group.values()), default=1) or 1
    parts, y = [f'<text x="8" y="20" font-size="15">{escape(title)}</text>'], 40
    for i, name in enumerate(names):
        parts += [_bar(8, y, 12, i), f'<text x="26" y="{y + 11}">{escape(name)}</text>']
        y += BAR + 4
    for label, group in bars.items():
        y += 8
        parts.append(f'<text x="8" y="{y + 11}">{escape(label)}</text>')
        for name, value in group.items():
            width = max(1.0, value / most * WIDTH)
            parts += [
                _bar(LEFT, y, width, names.index(name)),
                f'<text x="{LEFT + width + 6:.0f}" y="{y + 11}">{value:.2f}</text>',
            ]
            y += BAR + 2
    size = f'width="{LEFT + WIDTH + 80}" height="{y + 12}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif"'
    return "\n".join([f'{head} font-size="12"><rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])


def _bar(x: int, y: int, width: float, number: int) -> str:
    return f'<rect x="{x}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{COLOURS[number % len(COLOURS)]}"/>'


def main(arguments: list[str]) -> None:
    for name in arguments:
        path = Path(name)
        result = json.loads(path.read_text())
        if not is_finished(result):
            print(f"{name} is not finished: no picture")
            continue
        title = f"{result['benchmark']}, GB/s; {result['gpu'] or result['cpu']}, {result['date'][:10]}"
        path.with_suffix(".svg").write_text(svg(title, groups(result)))


if __name__ == "__main__":
    main(sys.argv[1:])

"""A drawing of the chunk grid of an array, as SVG of bounded size.

The last two axes are the front of a box, the one before them is its depth; axes before that are bars. Lengths are not
to scale, but longer axes are drawn longer. Where there are too many chunks, only every k-th has a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gpuzarr.metadata import Axis, RectilinearAxis
from gpuzarr.nodes.html import DIM, text

LONGEST, SHORTEST, DEPTH = 160, 24, 0.45  # pixels; depth: of the length that an axis has in front
MAX_LINES = 24  # along an axis, of chunks and of shards
MAX_BARS = 6
MARGIN, BAR, ROW, LETTER = 14, 8, 16, 7  # pixels
MAX_LABEL_CHARACTERS = 28


@dataclass(frozen=True)
class Side:
    """An axis as it is drawn: its length and the places of lines in pixels (True: between shards), and its label."""

    length: float
    lines: tuple[tuple[float, bool], ...] = ()
    label: str = ""
    is_whole: bool = True  # each chunk has its line


@dataclass
class Sketch:
    """Shapes, and the lines between chunks (False) and between shards (True); how far to the right they reach."""

    shapes: list[str] = field(default_factory=list)
    lines: dict[bool, list[str]] = field(default_factory=lambda: {False: [], True: []})
    right: float = 0.0

    def area(self, *points: tuple[float, float], opacity: str = ".06") -> None:
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.shapes.append(
            f'<polygon points="{places}" fill="currentColor" fill-opacity="{opacity}" stroke="currentColor"/>'
        )
        self.right = max(self.right, *[x + 1 for x, _ in points])

    def line(self, is_bold: bool, *points: tuple[float, float]) -> None:
        self.lines[is_bold].append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points))

    def label(self, x: float, y: float, label: str) -> None:
        if label:
            self.shapes.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="11" fill="currentColor">{text(label)}</text>')
            self.right = max(self.right, x + LETTER * len(label))

    def svg(self, bottom: float, title: str) -> str:
        paths = (
            f'<path d="{"".join(self.lines[bold])}" fill="none" stroke="currentColor" stroke-width="{width}" '
            f'stroke-opacity="{opacity}"/>'
            for bold, width, opacity in ((False, 0.7, 0.5), (True, 1.8, 1))
            if self.lines[bold]
        )
        frame = f'width="{self.right:.0f}" height="{bottom:.0f}" viewBox="0 0 {self.right:.0f} {bottom:.0f}"'
        return f'<svg role="img" aria-label="{title}" {frame}>{"".join(self.shapes)}{"".join(paths)}</svg>'


def drawing(axes: Sequence[Axis], shards: Sequence[Axis] | None, names: Sequence[str | None]) -> str:
    """The grid of chunks, and of shards if there are any, with the length of each axis."""
    longest = max([axis.length for axis in axes], default=1) or 1
    sides = [
        _side(axis, None if shards is None else shards[i], names[i], (axis.length / longest) ** 0.5)
        for i, axis in enumerate(axes)
    ]
    sketch = Sketch()
    top = _bars(sketch, sides[:-3][-MAX_BARS:])
    rows, columns = [Side(SHORTEST)] * (2 - len(sides)) + sides[-2:]
    bottom = _box(sketch, rows, columns, sides[-3] if len(sides) > 2 else Side(0), top)
    said = ["lines: chunks" if shards is None else "thin lines: chunks, bold: shards"]
    said += ["not all are drawn"] * (not all(side.is_whole for side in sides))
    said += [f"{len(sides) - 3 - MAX_BARS} more axes"] * (len(sides) > 3 + MAX_BARS)
    return f'<div style="font-size:85%">{sketch.svg(bottom, said[0])}<div style="{DIM}">{"; ".join(said)}</div></div>'


def _side(axis: Axis, shard: Axis | None, name: str | None, ratio: float) -> Side:
    length = max(LONGEST * ratio, SHORTEST)
    grids = [(axis, False)] + ([] if shard is None else [(shard, True)])
    lines = [(length * (edge / axis.length), bold) for grid, bold in grids for edge in _edges(grid)]
    label = f"{name} {axis.length:,}" if name else f"{axis.length:,}"
    label = label if len(label) <= MAX_LABEL_CHARACTERS else f"{label[: MAX_LABEL_CHARACTERS - 1]}…"
    return Side(length, tuple(lines), label, all(grid.count <= MAX_LINES for grid, _ in grids))


def _edges(axis: Axis) -> Iterator[int]:
    """The first elements of some chunks, at most MAX_LINES, without the first chunk."""
    for i in range(0, axis.count, max(-(-axis.count // MAX_LINES), 1)):
        edge = axis.edges[i] if isinstance(axis, RectilinearAxis) else i * axis.size
        if 0 < edge < axis.length:
            yield edge


def _bars(sketch: Sketch, sides: Sequence[Side]) -> float:
    """Axes beyond the three of the box, one below the other. Returns where the last of them ends."""
    y = float(MARGIN)
    for side in sides:
        sketch.area((1, y), (1 + side.length, y), (1 + side.length, y + BAR), (1, y + BAR))
        for at, bold in side.lines:
            sketch.line(bold, (1 + at, y), (1 + at, y + BAR))
        sketch.label(side.length + 8, y + BAR, side.label)
        y += ROW
    return y


def _box(sketch: Sketch, rows: Side, columns: Side, depth: Side, top: float) -> float:
    """The box whose front has these sides; depth of length 0: the front alone. Returns where its lower end is."""
    back = depth.length * DEPTH
    x, y, along, down = 1.0, top + back, columns.length, rows.length
    sketch.area((x, y), (x + along, y), (x + along, y + down), (x, y + down))
    if back:
        sketch.area((x, y), (x + back, y - back), (x + along + back, y - back), (x + along, y), opacity=".12")
        right = x + along
        sketch.area(
            (right, y), (right + back, y - back), (right + back, y + down - back), (right, y + down), opacity=".2"
        )
    for at, bold in columns.lines:
        sketch.line(bold, (x + at + back, y - back), (x + at, y), (x + at, y + down))
    for at, bold in rows.lines:
        sketch.line(bold, (x, y + at), (x + along, y + at), (x + along + back, y + at - back))
    for at, bold in depth.lines:
        left, up = x + at * DEPTH, y - at * DEPTH
        sketch.line(bold, (left, up), (left + along, up), (left + along, up + down))
    sketch.label(x + along + back / 2 + 6, y + down - back / 2 + 10, depth.label)
    sketch.label(x + along + back + 6, y - back + down / 2, rows.label)
    sketch.label(x, y + down + MARGIN, columns.label)
    return y + down + MARGIN + 6

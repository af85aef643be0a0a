"""What training and analysis read of large arrays: patches, windows, rows, one step of many variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.harness.layouts import Layout, measured, numcodec, zarr_codec

Request = tuple[int, tuple[Any, ...]]  # number of the array, and what stands between its brackets
STEPS, STEPS_A_CHUNK = 160, 8  # of the fields in time
WINDOW = np.array([-1, 0, 1, 4])


@dataclass(frozen=True)
class Sizes:
    """How large everything is. A chunk of the cube is `edge` cubed, as a patch is."""

    side: int = 512
    edge: int = 64
    rows: int = 262_144
    columns: int = 256
    chunk_rows: int = 1024
    grid: tuple[int, int] = (180, 360)
    variables: int = 60
    patches: tuple[int, int] = (1000, 50)
    random_rows: int = 1024
    shuffled_rows: int = 16_384
    blocks: int = 32
    block_rows: int = 256
    windows: int = 100
    times: int = 10


TINY = Sizes(32, 8, 1024, 16, 64, (10, 24), 5, (12, 5), 16, 64, 4, 8, 6, 1)


@dataclass(frozen=True)
class Data:
    """Arrays of one kind, `values()`, and three layouts in which they are stored."""

    values: Callable[[], list[np.ndarray]]
    layouts: tuple[Layout, ...]


@dataclass(frozen=True)
class Slices:
    """How a caller reads what an index list means by slices alone: `join` makes the results of their results."""

    requests: Sequence[Request]
    join: Callable[[Sequence[Any]], Sequence[Any]]


@dataclass(frozen=True)
class Question:
    """Requests of the arrays of `data`, made `times` times in a round; for those with index lists, by slices, too.

    `is_repeated`: it is asked with a cache that has all of it, too.
    """

    name: str
    data: str
    requests: Sequence[Request]
    slices: Slices | None = None
    times: int = 1
    is_repeated: bool = False


def layouts(dtype: str, chunks: tuple[int, ...], shards: tuple[int, ...], small: tuple[int, ...]) -> tuple[Layout, ...]:
    zstd, lz4 = zarr_codec("ZstdCodec"), numcodec("blosc", cname="lz4")
    return (
        Layout("v3 zstd shards", 3, chunks, zstd, shards=shards, dtype=dtype),
        Layout("v2 blosc-lz4", 2, chunks, lz4, dtype=dtype),
        Layout("v3 small chunks", 3, small, zstd, shards=shards, dtype=dtype),
    )


def data(sizes: Sizes) -> dict[str, Data]:
    """A microscope's cube, a table of sensors, a field in time, and several such fields."""
    edge, rows, columns, (height, width) = sizes.edge, sizes.chunk_rows, sizes.columns, sizes.grid
    small = (height // 5, width // 4)

    def table() -> list[np.ndarray]:
        return [measured("f4", (sizes.rows // rows, rows, columns)).reshape(-1, columns)]

    def variables() -> list[np.ndarray]:
        field = measured("f4", (STEPS_A_CHUNK + sizes.variables, height, width))
        return [field[i : i + STEPS_A_CHUNK] for i in range(sizes.variables)]

    return {
        "cube": Data(
            lambda: [measured("u2", (sizes.side,) * 3)],
            layouts("u2", (edge,) * 3, (4 * edge,) * 3, (edge // 4, edge // 2, edge // 2)),
        ),
        "table": Data(table, layouts("f4", (rows, columns), (16 * rows, columns), (rows // 32, columns))),
        "field": Data(
            lambda: [measured("f4", (STEPS, height, width))],
            layouts("f4", (STEPS_A_CHUNK, height, width), (5 * STEPS_A_CHUNK, height, width), (4, *small)),
        ),
        "variables": Data(
            variables, layouts("f4", (1, height, width), (STEPS_A_CHUNK, height, width), (1, *small))
        ),
    }  # fmt: skip


def questions(sizes: Sizes) -> list[Question]:
    """The same in every run."""
    random = np.random.default_rng(7)
    many, few = (patches(sizes, count, random) for count in sizes.patches)
    row_list = random.choice(sizes.rows, sizes.random_rows, replace=False)
    first = int(random.integers(sizes.rows - sizes.shuffled_rows))
    order = random.permutation(sizes.shuffled_rows)
    starts = random.choice(sizes.rows // sizes.block_rows, sizes.blocks, replace=False) * sizes.block_rows
    blocks = [slice(start, start + sizes.block_rows) for start in (starts + sizes.block_rows // 3).tolist()]
    blocks = [block for block in blocks if block.stop <= sizes.rows]
    centers = random.integers(1, STEPS - 4, sizes.windows).tolist()
    step = [(number, (3,)) for number in range(sizes.variables)]
    return [
        Question(f"{len(many)} patches of {sizes.edge} cubed, anywhere", "cube", many),
        Question(f"{len(few)} patches of {sizes.edge} cubed, anywhere", "cube", few, is_repeated=True),
        Question(f"{len(row_list)} random rows", "table", [(0, (row_list,))], single_rows(row_list), is_repeated=True),
        Question(
            f"a shuffled block of {len(order)} rows",
            "table",
            [(0, (first + order,))],
            Slices([(0, (slice(first, first + len(order)),))], lambda results: [results[0][order]]),
        ),
        Question(f"{len(blocks)} blocks of {sizes.block_rows} rows, one list", "table", *listed(blocks)),
        Question(f"{len(blocks)} blocks of {sizes.block_rows} rows", "table", [(0, (block,)) for block in blocks]),
        Question(f"{len(centers)} windows [i-1, i, i+1, i+4]", "field", *windows(centers), is_repeated=True),
        Question(f"one step of {len(step)} variables", "variables", step, is_repeated=True),
        *(Question(f"list 50..59 of the {of}", of, *listed([slice(50, 60)]), sizes.times) for of in ("table", "field")),
        Question("list 10..19 of the cube", "cube", *listed([slice(10, 20)]), sizes.times),
    ]


def patches(sizes: Sizes, count: int, random: np.random.Generator) -> list[Request]:
    corners = random.integers(0, sizes.side - sizes.edge + 1, (count, 3)).tolist()
    return [(0, tuple(slice(start, start + sizes.edge) for start in corner)) for corner in corners]


def single_rows(numbers: np.ndarray) -> Slices:
    return Slices([(0, (slice(row, row + 1),)) for row in numbers.tolist()], lambda rows: [np.concatenate(rows)])


def listed(blocks: Sequence[slice]) -> tuple[list[Request], Slices]:
    """Blocks of rows, as one index list and by slices."""
    index = np.concatenate([np.arange(block.start, block.stop) for block in blocks])
    by_slices = Slices([(0, (block,)) for block in blocks], lambda results: [np.concatenate(results)])
    return [(0, (index,))], by_slices


def windows(centers: Sequence[int]) -> tuple[list[Request], Slices]:
    """Windows in time, as index lists, and by two slices each."""

    def join(results: Sequence[Any]) -> list[Any]:
        return [np.concatenate(pair) for pair in zip(results[::2], results[1::2], strict=True)]

    spans = [span for i in centers for span in (slice(i - 1, i + 2), slice(i + 4, i + 5))]
    return [(0, (i + WINDOW,)) for i in centers], Slices([(0, (span,)) for span in spans], join)

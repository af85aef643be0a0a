"""How fast is N5, beside tensorstore: a whole volume, one region of it, and one plane?

A cube of u2, of which no side is a power of two, in blocks of 30 to 120 cubed, as tensorstore writes them, and cut at
the end, as Java does. Files in the page cache. Goal on the CPU: no row below 0.95 of tensorstore.
"""

from __future__ import annotations

import argparse
import itertools
import json
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import timing
from benchmarks.harness.layouts import ldeakin
from benchmarks.harness.peers import readers
from benchmarks.harness.timing import Took

COMPRESSIONS: dict[str, dict[str, Any]] = {
    "raw": {"type": "raw"},
    "gzip": {"type": "gzip", "level": 1},
    "zstd": {"type": "zstd", "level": 3},
    "blosc": {"type": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
}


def write(path: Path, values: np.ndarray, edge: int, name: str, is_cut: bool) -> None:
    """A dataset. `is_cut`: blocks at the end have only the elements that are there."""
    import numcodecs

    encode = {
        "raw": lambda data: data.tobytes(),
        "gzip": lambda data: numcodecs.get_codec({"id": "gzip", "level": 1}).encode(data),
        "zstd": lambda data: numcodecs.get_codec({"id": "zstd", "level": 3}).encode(data),
        "blosc": lambda data: numcodecs.get_codec({"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1}).encode(
            data
        ),
    }[name]
    path.mkdir()
    document = {"dimensions": values.shape, "blockSize": [edge] * 3, "dataType": "uint16"}
    (path / "attributes.json").write_text(json.dumps(document | {"compression": COMPRESSIONS[name]}))
    whole = np.pad(values, [(0, -n % edge) for n in values.shape])
    for at in itertools.product(*(range(-(-n // edge)) for n in values.shape)):
        block = (values if is_cut else whole)[tuple(slice(i * edge, (i + 1) * edge) for i in at)]
        place = path.joinpath(*map(str, at))
        place.parent.mkdir(parents=True, exist_ok=True)
        data = np.ascontiguousarray(block.T.astype(">u2"))
        place.write_bytes(struct.pack(">HH3I", 0, 3, *block.shape) + bytes(encode(data)))


def selections(side: int) -> dict[str, tuple[slice, ...]]:
    third = slice(side // 3, 2 * side // 3)
    whole = slice(0, side)
    return {"whole": (whole,) * 3, "a region": (third,) * 3, "a plane": (slice(side // 2, side // 2 + 1), whole, whole)}


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("read_n5", __doc__)
    parser.add_argument("--side", type=int, default=250, help="the array is side**3 of uint16 (default 250: 31 MB)")
    parser.add_argument("--edges", default="30,60,120", help="sides of blocks")
    options = parser.parse_args(arguments)
    rows: dict[str, dict[str, Took]] = {}
    for edge, name, is_cut in itertools.product(map(int, options.edges.split(",")), COMPRESSIONS, (False, True)):
        rows |= measure(options, edge, name, is_cut)
    clock = {kind: {name: took.seconds * 1e3 for name, took in row.items()} for kind, row in rows.items()}
    processor = {kind: {name: took.processor * 1e3 for name, took in row.items()} for kind, row in rows.items()}
    print(timing.speeds("ms", clock), timing.speeds("ms of CPU time", processor), sep="\n\n")
    missed = [f"slower than tensorstore: {kind}" for kind, row in clock.items() if slower(row)]
    timing.finish("read_n5", options, missed, milliseconds=clock, processor=processor)


def measure(options: argparse.Namespace, edge: int, name: str, is_cut: bool) -> dict[str, dict[str, Took]]:
    """What each reader takes for each selection of a dataset."""
    values, rows = ldeakin(options.side), {}
    with tempfile.TemporaryDirectory() as folder:
        write(path := Path(folder) / "cube", values, edge, name, is_cut)
        for kind, key in selections(options.side).items():
            took, _ = timing.compare(readers(options.readers), path, [key], values, options.repeats)
            rows[f"{name}, blocks of {edge}{', cut' if is_cut else ''}: {kind}"] = took
    return rows


def slower(milliseconds: dict[str, float]) -> bool:
    nothing = float("nan")
    return not milliseconds.get(timing.OURS, nothing) * timing.LEAST <= milliseconds.get("tensorstore", nothing)


if __name__ == "__main__":
    main()

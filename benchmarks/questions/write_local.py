"""How fast is a whole array written to local files, beside every peer?

The nine layouts of `read_local`. Each writer writes a whole array that has metadata and no chunk yet (*new*: another
array each time), and then that one once more, when all its files are there (*over*). Goals on the CPU: no layout below
the best peer, 1.5 times the best peer in the geometric mean. `--check` fails where missed. They are judged on *new*:
that is what people do, create an array and write it once; and what is compared there is the writers' own work. *Over*
compares how they wait for the disk: at a file that takes the place of another, and at one that is cut and filled again,
ext4 begins to write to the disk at once, so that a power cut does not take both.

Nobody calls fsync (tensorstore would by default). Before each run, untimed, all that was written goes to the disk.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import timing
from benchmarks.harness.layouts import NINE, Layout, create, sample, stored
from benchmarks.harness.peers import Reader, readers
from benchmarks.harness.timing import geometric_mean, ratio, table
from benchmarks.harness.writers import right, writer

ENOUGH = 0.5  # seconds of all runs of a writer: the slow ones run twice, and once before


def measure(layout: Layout, folder: Path, side: int, repeats: int, choice: list[Reader]) -> dict[str, Any]:
    """One row: seconds of each writer, or why not."""
    values, left_out, size = sample(layout.dtype, side), {}, 0
    writes: dict[str, Callable[[np.ndarray], Any]] = {}
    peers, number, paths = {peer.name: peer for peer in choice}, count(), dict[str, Path]()

    def fresh(name: str) -> Path:
        """An array that has nothing, for this writer to write next."""
        path = folder / str(next(number))
        create(path, layout, values)
        writes[name] = writer(peers[name], path)
        os.sync()
        if name in paths:
            forget(paths[name])
        paths[name] = path
        return path

    for name in peers:
        try:
            path = fresh(name)
            writes[name](values)
        except Exception as error:
            left_out[name] = f"cannot ({type(error).__name__})"
            continue
        if not right(path, values):
            left_out[name] = "WRONG VALUES"
        size = size or stored(path)
    runs = {name: partial(_again, writes, name, values) for name in peers if name not in left_out}
    new = timing.medians(runs, repeats, fresh, ENOUGH)
    old = timing.medians(runs, min(repeats, 3), lambda name: os.sync(), ENOUGH)
    sizes = {"nbytes": values.nbytes, "stored": size}
    return {
        "layout": layout.name,
        **sizes,
        "seconds": timing.seconds(new),
        "seconds_over": timing.seconds(old),
        "left_out": left_out,
    }


def forget(path: Path) -> None:
    """Empty all files, on the disk and in the page cache: a virtual machine's memory is slow when used the first time.

    They are not removed: for half a minute ext4 gives no inode again that was, and looks at each for every new file.
    """
    for file in path.rglob("*"):
        if file.is_file():
            os.truncate(file, 0)


def _again(writes: dict[str, Callable[[np.ndarray], Any]], name: str, values: np.ndarray) -> Any:
    return writes[name](values)


def over(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of writing over old files."""
    return [row | {"seconds": row["seconds_over"]} for row in rows]


def show(title: str, rows: list[dict[str, Any]], names: list[str]) -> str:
    lines = []
    for row in rows:
        speeds = {name: f"{row['nbytes'] / seconds / 1e9:.2f}" for name, seconds in row["seconds"].items()}
        cells = [f"{row['stored'] / row['nbytes']:.0%}", *(speeds.get(name, "-") for name in names)]
        lines.append([row["layout"], *cells, f"{ratio(row):.2f}"])
    mean = f"{geometric_mean(rows):.2f} times the best peer in the geometric mean"
    return f"{table([f'{title}, GB/s', 'stored', *names, 'x best peer'], lines)}\n{mean}\n"


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """The goals that were not met."""
    found = [f"{row['layout']}: {ratio(row):.2f} times the best peer" for row in rows if not ratio(row) >= 1]
    return found if geometric_mean(rows) >= 1.5 else [*found, f"geometric mean: {geometric_mean(rows):.2f}"]


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("write_local", __doc__)
    parser.add_argument("--side", type=int, default=256, help="the array is side**3 of float32 (default 256: 67 MB)")
    parser.add_argument("--layouts", default="", help="only those whose name contains this")
    options = parser.parse_args(arguments)
    choice, rows = readers(options.readers), []
    with tempfile.TemporaryDirectory() as root:
        for number, layout in enumerate(NINE):
            if options.layouts not in layout.name:
                continue
            (folder := Path(root) / str(number)).mkdir()
            rows.append(measure(layout, folder, options.side, options.repeats, choice))
            forget(folder)
            speeds = [f"{name} {rows[-1]['nbytes'] / s / 1e9:.2f}" for name, s in rows[-1]["seconds"].items()]
            print(f"{layout.name}: {', '.join(speeds)} GB/s", flush=True)
    names = [peer.name for peer in choice]
    print(show("new", rows, names), show("over", over(rows), names), sep="\n")
    print("\n".join(f"{name}, {row['layout']}: {why}" for row in rows for name, why in row["left_out"].items()))
    timing.finish("write_local", options, missed(rows), rows=rows)


if __name__ == "__main__":
    main()

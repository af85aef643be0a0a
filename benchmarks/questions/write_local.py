"""How fast is a whole array written to local files, beside every peer?

Data sets, chains, shapes and sizes of `harness/cases.py`. Each writer writes a whole array that has metadata and no
chunk yet (*new*: another array each time), and then that one once more, when all its files are there (*over*). Goals on
the CPU: no row below 0.95 of the best peer, 1.5 times the best peer in the geometric mean, also beside busy processes
(`--load 1`). `--check` fails where missed. They are judged on *new*: that is what people do, create an array and write
it once; and what is compared there is the writers' own work. *Over* compares how they wait for the disk: at a file that
takes the place of another, and at one that is cut and filled again, ext4 begins to write to the disk at once, so that a
power cut does not take both. What each writer takes of the processors is printed, too.

The limit is numcodecs' codec in a bare loop on all cores, over chunks in memory: nothing is gathered or stored. There
is none for gzip and zlib, where encoders differ in what they do, nor where chunks are stored as they are.

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

from benchmarks.harness import limit, timing
from benchmarks.harness.cases import CHAINS, Case, chosen
from benchmarks.harness.layouts import create, stored
from benchmarks.harness.peers import Reader, readers
from benchmarks.harness.timing import geometric_mean
from benchmarks.harness.writers import right, writer

ENOUGH = 0.5  # seconds of all runs of a writer: the slow ones run twice, and once before


def measure(case: Case, folder: Path, repeats: int, choice: list[Reader]) -> dict[str, Any]:
    """One row: what each writer takes, or why not."""
    values, left_out, size = case.values(), {}, 0
    writes: dict[str, Callable[[np.ndarray], Any]] = {}
    peers, number, paths = {peer.name: peer for peer in choice}, count(), dict[str, Path]()

    def fresh(name: str) -> Path:
        """An array that has nothing, for this writer to write next."""
        path = folder / str(next(number))
        create(path, case.layout, values)
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
    library = CHAINS[case.chain].library()
    limits = {} if library is None else {"limit": limit.bare_encoding(values, case.chunks, library.encode)}
    new = timing.medians(runs | limits, repeats, lambda name: name in peers and fresh(name), ENOUGH)
    old = timing.medians(runs, min(repeats, 3), lambda name: os.sync(), ENOUGH)
    return {
        "row": case.name,
        "kind": case.kind,
        "nbytes": values.nbytes,
        "stored": size,
        "seconds": timing.seconds(new),
        "processor": {name: each.processor for name, each in new.items()},
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


def main(arguments: list[str] | None = None) -> None:
    options = timing.cases_parser("write_local", __doc__).parse_args(arguments)
    choice, rows = readers(options.readers), []
    with tempfile.TemporaryDirectory() as root, timing.load(options.load):
        for number, case in enumerate(chosen(options.full, options.cases)):
            (folder := Path(root) / str(number)).mkdir()
            rows.append(measure(case.smaller(options.smaller), folder, options.repeats, choice))
            forget(folder)
            print(f"{timing.ratio(rows[-1]):.2f} times the best peer: {case.name}", flush=True)
    print(timing.beside_peers(rows, [*(peer.name for peer in choice), "limit"]))
    print("\n".join(f"{name}, {row['row']}: {why}" for row in rows for name, why in row["left_out"].items()))
    means = geometric_mean(rows), geometric_mean(over(rows))
    print("geometric mean: {:.2f} times the best peer; over old files {:.2f}".format(*means))
    timing.finish("write_local", options, timing.behind(rows), rows=rows)


if __name__ == "__main__":
    main()

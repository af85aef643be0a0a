"""How fast is a whole array written to local files, beside every peer?

The nine layouts of `read_local`; each writer writes over its own array, in files that are there already. Nobody calls
fsync (tensorstore would by default). Goals on the CPU: no layout below the best peer, 1.5 times the best peer in the
geometric mean. `--check` fails where missed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import timing
from benchmarks.layouts import NINE, Layout, sample, stored, write
from benchmarks.peers import Reader, readers
from benchmarks.read_local import geometric_mean, ratio
from benchmarks.timing import same, table


def writer(peer: Reader, path: Path) -> Callable[[np.ndarray], Any]:
    """What writes all of the array at `path`. What raises is left out."""
    if peer.ours:
        import gpuzarr

        ours = gpuzarr.open_array(path, mode="r+", device=peer.name.split()[1])
        return lambda values: ours.set(..., values)
    if peer.name == "tensorstore":
        import tensorstore as ts

        driver = "zarr3" if (path / "zarr.json").exists() else "zarr"
        kvstore = {"driver": "file", "path": f"{path}/", "file_io_sync": False}
        theirs = ts.open({"driver": driver, "kvstore": kvstore}, write=True).result()
        return lambda values: theirs.write(values).result()
    import zarr

    with peer.around():
        array = zarr.open_array(str(path), mode="r+")

    def assign(values: np.ndarray) -> None:
        with peer.around():
            array[...] = values

    return assign


def measure(layout: Layout, folder: Path, side: int, repeats: int, choice: list[Reader]) -> dict[str, Any]:
    """One row: seconds of each writer, or why not."""
    values, runs, left_out, size = sample(layout.dtype, side), {}, {}, 0
    for peer in choice:
        path = folder / "".join(c if c.isalnum() else "-" for c in f"{layout.name} {peer.name}")
        write(path, layout, np.zeros_like(values) + 1)
        try:
            run = writer(peer, path)
            run(values)
        except Exception as error:
            left_out[peer.name] = f"cannot ({type(error).__name__})"
            continue
        if not right(path, values):
            left_out[peer.name] = "WRONG VALUES"
            continue
        size = size or stored(path)
        runs[peer.name] = lambda run=run: run(values)
    return {
        "layout": layout.name,
        "nbytes": values.nbytes,
        "stored": size,
        "seconds": timing.medians(runs, repeats),
        "left_out": left_out,
    }


def right(path: Path, values: np.ndarray) -> bool:
    import zarr

    return same(np.asarray(zarr.open_array(str(path), mode="r")[...]), values)


def show(rows: list[dict[str, Any]], names: list[str]) -> str:
    lines = []
    for row in rows:
        speeds = {name: f"{row['nbytes'] / seconds / 1e9:.2f}" for name, seconds in row["seconds"].items()}
        cells = [f"{row['stored'] / row['nbytes']:.0%}", *(speeds.get(name, "-") for name in names)]
        lines.append([row["layout"], *cells, f"{ratio(row):.2f}"])
    return table(["GB/s", "stored", *names, "x best peer"], lines)


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """The goals that were not met."""
    found = [f"{row['layout']}: {ratio(row):.2f} times the best peer" for row in rows if not ratio(row) >= 1]
    return found if geometric_mean(rows) >= 1.5 else [*found, f"geometric mean: {geometric_mean(rows):.2f}"]


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("write_local", __doc__)
    parser.add_argument("--side", type=int, default=384, help="the array is side**3 of float32 (default 384: 226 MB)")
    parser.add_argument("--layouts", default="", help="only those whose name contains this")
    options = parser.parse_args(arguments)
    choice, rows = readers(options.readers), []
    for layout in NINE:
        if options.layouts in layout.name:
            with tempfile.TemporaryDirectory() as folder:
                rows.append(measure(layout, Path(folder), options.side, options.repeats, choice))
            print(f"measured {layout.name}", flush=True)
    print(show(rows, [peer.name for peer in choice]))
    print("\n".join(f"{name}, {row['layout']}: {why}" for row in rows for name, why in row["left_out"].items()))
    print(f"geometric mean: {geometric_mean(rows):.2f} times the best peer")
    timing.finish("write_local", options, missed(rows), rows=rows)


if __name__ == "__main__":
    main()

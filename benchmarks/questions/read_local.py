"""How fast is a whole array read from local files, beside every peer and beside the limit of the codec library?

Nine layouts; files in the page cache. Goals on the CPU: no layout below the best peer, 1.5 times the best peer
in the geometric mean, 0.7 of the limit, at most 64 MiB of memory beyond the result. `--check` fails where missed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import limit, memory, timing
from benchmarks.harness.layouts import NINE, Layout, encoded_chunks, sample, stored, write
from benchmarks.harness.peers import Reader, readers
from benchmarks.harness.timing import OURS, compare, geometric_mean, ratio, table

EXTRA_MIB = 64


def measure(layout: Layout, folder: Path, side: int, repeats: int, choice: list[Reader]) -> dict[str, Any]:
    """One row: seconds of each reader (or why not), of the limit, and our extra memory."""
    path = folder / "".join(c if c.isalnum() else "-" for c in layout.name)
    values = sample(layout.dtype, side)
    write(path, layout, values)
    bare = limit.bare_loop(encoded_chunks(path, layout, values.shape), layout.decoder(), values.nbytes)
    seconds, left_out = compare(choice, path, [...], values, repeats, limit=bare)
    return {
        "layout": layout.name,
        "nbytes": values.nbytes,
        "stored": stored(path),
        "seconds": seconds,
        "left_out": left_out,
        "extra_bytes": memory.extra(OURS, path) if OURS in seconds else None,
    }


def reach(row: dict[str, Any]) -> float:
    """Our part of the limit."""
    return row["seconds"]["limit"] / row["seconds"].get(OURS, float("nan"))


def show(rows: list[dict[str, Any]], names: list[str]) -> str:
    heads = ["GB/s", "stored", *names, "limit", "x best peer", "of limit", "extra MiB"]
    lines = []
    for row in rows:
        speeds = {name: f"{row['nbytes'] / seconds / 1e9:.2f}" for name, seconds in row["seconds"].items()}
        extra = "-" if row["extra_bytes"] is None else f"{row['extra_bytes'] / 2**20:.0f}"
        cells = [f"{row['stored'] / row['nbytes']:.0%}", *(speeds.get(name, "-") for name in [*names, "limit"])]
        lines.append([row["layout"], *cells, f"{ratio(row):.2f}", f"{reach(row):.2f}", extra])
    return table(heads, lines)


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """The goals that were not met."""
    found = [f"{row['layout']}: {ratio(row):.2f} times the best peer" for row in rows if not ratio(row) >= 1]
    found += [f"{row['layout']}: {reach(row):.2f} of the limit" for row in rows if not reach(row) >= 0.7]
    extra = {row["layout"]: (row["extra_bytes"] or 0) / 2**20 for row in rows}
    found += [f"{name}: {mib:.0f} MiB extra" for name, mib in extra.items() if mib > EXTRA_MIB]
    return found if geometric_mean(rows) >= 1.5 else [*found, f"geometric mean: {geometric_mean(rows):.2f}"]


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("read_local", __doc__)
    parser.add_argument("--side", type=int, default=384, help="the array is side**3 of float32 (default 384: 226 MB)")
    parser.add_argument("--layouts", default="", help="only those whose name contains this")
    options = parser.parse_args(arguments)
    choice, rows = readers(options.readers), []
    with tempfile.TemporaryDirectory() as folder:
        for layout in NINE:
            if options.layouts in layout.name:
                rows.append(measure(layout, Path(folder), options.side, options.repeats, choice))
                print(f"measured {layout.name}", flush=True)
    print(show(rows, [reader.name for reader in choice]))
    print("\n".join(f"{name}, {row['layout']}: {why}" for row in rows for name, why in row["left_out"].items()))
    print(f"geometric mean: {geometric_mean(rows):.2f} times the best peer")
    timing.finish("read_local", options, missed(rows), rows=rows)


if __name__ == "__main__":
    main()

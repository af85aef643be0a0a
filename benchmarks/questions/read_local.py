"""How fast is a whole array read from local files, beside every peer and beside the limit of the codec library?

Data sets, chains, shapes and sizes of `harness/cases.py`; files in the page cache. Goals on the CPU: no row below 0.95
of the best peer, 1.5 times the best peer in the geometric mean, also beside busy processes (`--load 1`); at most 64 MiB
of memory beyond the result. `--check` fails where missed. What each reader takes of the processors is printed, too.

The limit is the codec library in a bare loop on all cores, over chunks in memory, plus one copy.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import limit, memory, timing
from benchmarks.harness.cases import Case, chosen, nbytes
from benchmarks.harness.layouts import encoded_chunks, stored, write
from benchmarks.harness.peers import Reader, readers
from benchmarks.harness.timing import OURS, geometric_mean

EXTRA_MIB = 64


def measure(case: Case, path: Path, repeats: int, choice: list[Reader]) -> dict[str, Any]:
    """One row: what each reader (or why not) and the limit take, and our extra memory."""
    values, layout = case.values(), case.layout
    write(path, layout, values)
    took, left_out = timing.compare(choice, path, [...], values, repeats, limit=bare(case, path, values))
    return {
        "row": case.name,
        "kind": case.kind,
        "nbytes": values.nbytes,
        "stored": stored(path),
        "seconds": timing.seconds(took),
        "processor": {name: each.processor for name, each in took.items()},
        "left_out": left_out,
        "extra_bytes": memory.extra(OURS, path) if OURS in took else None,
    }


def bare(case: Case, path: Path, values: np.ndarray) -> Any:
    """The limit of a case that is stored at `path`."""
    chunks, decode = encoded_chunks(path, case.layout, values.shape), case.layout.decoder()
    return limit.bare_loop(chunks, decode, len(chunks[0]) if decode is bytes else nbytes(case, values))


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """The goals that were not met."""
    extra = {row["row"]: (row["extra_bytes"] or 0) / 2**20 for row in rows}
    return timing.behind(rows) + [f"{name}: {mib:.0f} MiB extra" for name, mib in extra.items() if mib > EXTRA_MIB]


def main(arguments: list[str] | None = None) -> None:
    options = timing.cases_parser("read_local", __doc__).parse_args(arguments)
    choice, rows = readers(options.readers), []
    with tempfile.TemporaryDirectory() as folder, timing.load(options.load):
        for case in chosen(options.full, options.cases):
            path = Path(folder, "array")
            rows.append(measure(case.smaller(options.smaller), path, options.repeats, choice))
            shutil.rmtree(path)
            print(f"{timing.ratio(rows[-1]):.2f} times the best peer: {case.name}", flush=True)
    print(timing.beside_peers(rows, [*(reader.name for reader in choice), "limit"]))
    print("\n".join(f"{name}, {row['row']}: {why}" for row in rows for name, why in row["left_out"].items()))
    print(f"geometric mean: {geometric_mean(rows):.2f} times the best peer")
    timing.finish("read_local", options, missed(rows), rows=rows)


if __name__ == "__main__":
    main()

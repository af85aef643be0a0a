"""How fast is an array read from afar, beside everything else that reads Zarr by HTTP and S3?

Stores of `harness/remote.py` behind the server of `latency_server/`, which answers after 0, 10 or 20 ms, with 200 MB/s
for all answers together: whole arrays, one chunk, a region, many regions. Opened before; connections stay. Peers:
tensorstore by HTTP and by S3, zarr-python's fused pipeline and zarrs over obstore, each with 128 requests at once.

Goals on the CPU: no row slower than the best peer (beyond noise: the link's latency is most of some rows), and 1.3
times the best peer in the geometric mean; whole arrays over a link of 10 ms at 0.9 of its bandwidth, where chunks are
large or raw; 512 chunks of 64 KiB over one of 20 ms in 0.4 s; at most 1.1 times the wanted bytes over the wire,
already at the first read. `--check` fails where missed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import data, timing
from benchmarks.harness.layouts import write
from benchmarks.harness.remote import KEPT, LINKS, Kept, Link, Question, questions, wanted_bytes
from benchmarks.harness.remote_readers import BUCKET, Place, RemoteReader, remote_readers
from benchmarks.harness.timing import OURS, Took, best_peer, geometric_mean, ratio, table
from benchmarks.latency_server import LatencyServer, Stats, serving

ENOUGH = 4.5  # seconds of all runs of a reader: three of the longest
NOISE, OF_LINK, MEAN, WIRE, SMALL_SECONDS = 0.97, 0.9, 1.3, 1.1, 0.4  # goals


@dataclass
class Asker:
    """A reader with its open array, and what its first read of a question took of the server."""

    reader: RemoteReader
    array: Any
    first: Stats

    def read(self, keys: Sequence[Any]) -> Sequence[Any]:
        with self.reader.around():
            return self.reader.read(self.array, keys)


def asker(
    reader: RemoteReader, place: Place, server: LatencyServer, question: Question, values: np.ndarray
) -> Asker | str:
    """A reader that has read the right values, or why it is left out. Ours must be right."""
    try:
        with reader.around():
            array = reader.open(place)
            server.stats()
            found = reader.read(array, question.keys)
        first = server.stats()
        pairs = zip(found, question.keys, strict=True)
        right = all(timing.same(np.asarray(part), values[key]) for part, key in pairs)
    except Exception as error:
        if reader.ours:
            raise
        return f"cannot ({type(error).__name__})"
    if reader.ours and not right:
        raise SystemExit(f"{reader.name} reads wrong values from {place.url}")
    return Asker(reader, array, first) if right else "WRONG VALUES"


def measure(
    choice: Sequence[RemoteReader],
    server: LatencyServer,
    place: Place,
    question: Question,
    values: np.ndarray,
    repeats: int,
) -> dict[str, Any]:
    """What each reader takes for a question, or why it is left out."""
    found = {reader.name: asker(reader, place, server, question, values) for reader in choice}
    able = {name: each for name, each in found.items() if isinstance(each, Asker)}
    runs = {name: (lambda each=each: answer(each, question)) for name, each in able.items()}
    took = timing.medians(runs, repeats, enough=ENOUGH)
    took = {name: Took(*(seconds / question.times for seconds in each)) for name, each in took.items()}
    return {
        "seconds": timing.seconds(took),
        "processor": {name: each.processor for name, each in took.items()},
        "first": {name: asdict(each.first) for name, each in able.items()},
        "left_out": {name: why for name, why in found.items() if isinstance(why, str)},
    }


def answer(asker: Asker, question: Question) -> Sequence[Any]:
    """What is timed."""
    return [asker.read(question.keys) for _ in range(question.times)][-1]


def rows_of(kept: Kept, folder: Path, choice: Sequence[RemoteReader], options: Any) -> Iterator[dict[str, Any]]:
    """A row for each question and link."""
    values, path = data.values("smooth", kept.shape), folder / BUCKET / "array"
    write(path, kept.layout, values)
    for link in links(options.latencies):
        with serving(folder, link.latency_ms, link.bandwidth) as server:
            place = Place(server.url, path.name, kept.layout.zarr_format)
            for question in questions(kept):
                if options.questions in question.name:
                    told = {"row": f"{kept.layout.name}; {question.name}; {link.name}", "link": asdict(link)}
                    sizes = {"wanted": wanted_bytes(path, kept, question.keys), "nbytes": nbytes(values, question)}
                    yield told | sizes | measure(choice, server, place, question, values, options.repeats)


def links(latencies: str) -> list[Link]:
    """Those with these latencies in ms, separated by commas; all for ""."""
    wanted = {float(text) for text in latencies.split(",") if text}
    return [link for link in LINKS if not wanted or link.latency_ms in wanted]


def nbytes(values: np.ndarray, question: Question) -> int:
    return sum(values[key].nbytes for key in question.keys)


def of_link(row: dict[str, Any]) -> float:
    """Our part of the bandwidth, by the bytes that are wanted."""
    return row["wanted"] / row["seconds"].get(OURS, float("nan")) / row["link"]["bandwidth"]


def on_wire(row: dict[str, Any], name: str) -> float:
    """Bytes over the wire, as a part of those that are wanted."""
    return row["first"][name]["body_bytes"] / row["wanted"]


def missed(rows: list[dict[str, Any]]) -> list[str]:
    """The goals that were not met."""
    found = []
    for row in rows:
        name, seconds = row["row"], row["seconds"].get(OURS, float("nan"))
        if not ratio(row) >= NOISE:
            found.append(f"{name}: {ratio(row):.2f} times the best peer")
        if is_bound_by_link(name) and not of_link(row) >= OF_LINK:
            found.append(f"{name}: {of_link(row):.2f} of the link")
        if "512 chunks of 64 KiB; whole; 20 ms" in name and not seconds <= SMALL_SECONDS:
            found.append(f"{name}: {seconds:.2f} s")
        found += [
            f"{name}: {on_wire(row, each):.2f} times the bytes" for each in row["first"] if is_wasteful(row, each)
        ]
    return found if geometric_mean(rows) >= MEAN else [*found, f"geometric mean: {geometric_mean(rows):.2f}"]


def is_bound_by_link(name: str) -> bool:
    """Whether a row is one in which decoding takes less than the link does."""
    return "; whole; 10 ms" in name and ("raw" in name or "of 4 MiB" in name)


def is_wasteful(row: dict[str, Any], name: str) -> bool:
    return name.startswith("gpuzarr") and on_wire(row, name) > WIRE


def show(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """Tables: milliseconds, our ratio to the best peer and our part of the link; requests and bytes; processors."""
    times, costs, used = [], [], []
    for row in rows:
        ms = [f"{row['seconds'][name] * 1e3:.1f}" if name in row["seconds"] else "-" for name in names]
        times.append([row["row"], *ms, f"{ratio(row):.2f}", f"{of_link(row):.2f}"])
        first = [
            (row["first"][name]["requests"], on_wire(row, name)) if name in row["first"] else None for name in names
        ]
        costs.append([row["row"], *(f"{each[0]} / {each[1]:.2f}" if each else "-" for each in first)])
        processor = [row["processor"].get(name) for name in names]
        used.append([row["row"], *("-" if each is None else f"{each * 1e3:.0f}" for each in processor)])
    return "\n\n".join(
        [
            table(["ms", *names, "x best peer", "of link"], times),
            table(["requests / bytes of those wanted, first read", *names], costs),
            table(["processor ms", *names], used),
        ]
    )


def main(arguments: list[str] | None = None) -> None:
    parser = timing.parser("read_remote", __doc__)
    parser.add_argument("--stores", default="", help="only those whose name contains one of these (a;b)")
    parser.add_argument("--questions", default="", help="only those whose name contains this")
    parser.add_argument("--latencies", default="", help="only these, in ms (a,b)")
    parser.add_argument("--smaller", type=int, default=1, help="divides each axis")
    options = parser.parse_args(arguments)
    choice, rows = remote_readers(options.readers), []
    for kept in (kept for kept in KEPT if any(name in kept.layout.name for name in options.stores.split(";"))):
        with tempfile.TemporaryDirectory() as folder:
            for row in rows_of(kept.smaller(options.smaller), Path(folder), choice, options):
                rows.append(row)
                peer = best_peer(row) * 1e3
                ours = row["seconds"].get(OURS, float("nan")) * 1e3
                print(f"{ratio(row):.2f} times the best peer ({ours:.1f} / {peer:.1f} ms): {row['row']}", flush=True)
    print(show(rows, [reader.name for reader in choice]))
    print("\n".join(f"{name}, {row['row']}: {why}" for row in rows for name, why in row["left_out"].items()))
    print(f"geometric mean: {geometric_mean(rows):.2f} times the best peer")
    timing.finish("read_remote", options, missed(rows), rows=rows)


if __name__ == "__main__":
    main()

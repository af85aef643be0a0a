"""The README's tables, made from committed results: `python -m benchmarks.harness.tables` writes them at its markers.

A table stands between `<!-- table NAME -->` and `<!-- end -->`. Those of the GPU come from the sessions of
`benchmarks.sessions.prove` in benchmarks/results/ on one model of GPU: of each benchmark the newest one that came to
its end. The table of codecs comes from the code, and docs/codecs.md, which is written, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.harness import codec_docs
from benchmarks.harness.timing import RESULTS, best_peer, is_finished, mean, ratio

README = Path(__file__).parents[2] / "README.md"
PEERS = {"zarr-python": ("zarr-python", "zarr fused"), "zarrs": ("zarrs",), "tensorstore": ("tensorstore",)}
REMOTE = {"zarr-python": "zarr fused", "zarrs": "zarrs", "tensorstore": "tensorstore"}
NOT_YET = "**Not yet run on a GPU**: the kernels and nvCOMP's calls were only run on an emulator.\n"


def read_local(folder: Path) -> str:
    """Readers on the CPU, a row for each chain; of zarr-python's pipelines the better one."""
    result = json.loads((folder / "read_local.json").read_text())
    return by_kind(result, {"gpuzarr": ("gpuzarr cpu",), **PEERS})


def by_kind(result: dict[str, Any], columns: dict[str, Sequence[str]]) -> str:
    """Geometric means of GB/s over the arrays of each chain, and the least and the mean ratio to the best peer."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for row in result["rows"]:
        kinds.setdefault(row["kind"], []).append(row)
    rows = []
    for kind, some in kinds.items():
        speeds = [mean_rate(some, names) for names in columns.values()]
        ratios = [ratio(row) for row in some]
        rows.append([kind, str(len(some)), *speeds, f"{mean(ratios):.2f}", f"{min(ratios):.2f}"])
    return table(["chain", "arrays", *named(columns, result), "x best peer", "at least"], rows)


def mean_rate(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """The geometric mean of GB/s of the fastest of these, over rows where one was measured; else "-"."""
    found = [rate for row in rows if (rate := fastest(row, names))]
    return f"{mean(found):.2f}" if found else "-"


def write_local(folder: Path) -> str:
    """Writers on the CPU, a row for each chain, into new files."""
    result = json.loads((folder / "write_local.json").read_text())
    return by_kind(result, {"gpuzarr": ("gpuzarr cpu",), **PEERS})


def read_many(folder: Path) -> str:
    """Many small regions on the CPU: ours and the best of the others, in each layout."""
    result = json.loads((folder / "read_many.json").read_text())
    layouts = list(dict.fromkeys(row["layout"] for row in result["rows"]))
    cells: dict[str, dict[str, str]] = {}
    for row in result["rows"]:
        name = row["question"] + (", cached" if row["cached"] else "")
        cells.setdefault(name, {})[row["layout"]] = both(row)
    lines = [[name, *(of.get(layout, "-") for layout in layouts)] for name, of in cells.items()]
    return table(["ms: gpuzarr / best peer", *layouts], lines)


def loader(folder: Path) -> str:
    """Thousands of random samples a second on the CPU: ours, and the best of each kind of the others."""
    result = json.loads((folder / "loader.json").read_text())
    rows = []
    for row in result["rows"]:
        found = [row["seconds"].get("gpuzarr cpu", float("inf"))]
        found += [
            min((s for name, s in row["seconds"].items() if fits(name)), default=float("inf"))
            for fits in KINDS.values()
        ]
        rates = [per_second(row, s) for s in found]
        rows.append([row["row"], *rates, f"{ratio(row):.2f}"])
    return table(["samples/s", "gpuzarr", *KINDS, "x best peer"], rows)


def per_second(row: dict[str, Any], seconds: float) -> str:
    """Samples, with three digits; "-" where nothing was measured."""
    rate = row["samples"] / seconds
    return f"{float(f'{rate:.3g}'):,.0f}" if rate else "-"


KINDS: dict[str, Callable[[str], bool]] = {
    "zarr-python, 2 workers": lambda name: name.startswith("zarr-python"),
    "tensorstore, 2 workers": lambda name: name.startswith("tensorstore") and " in " in name,
    "tensorstore, reads ahead": lambda name: name.startswith("tensorstore") and name.endswith("ahead"),
    "annbatch": lambda name: name == "annbatch",
    "insitubatch": lambda name: name == "insitubatch",
}


def xarray_open(folder: Path) -> str:
    """Milliseconds of xarray's engines on the CPU."""
    result = json.loads((folder / "xarray_open.json").read_text())
    names = {"zarr": "default pipeline", "zarr fused": "fused", "zarr, zarrs' pipeline": "zarrs"}
    rows = []
    for row in result["rows"]:
        times = [row["seconds"].get(name) for name in ("gpuzarr cpu", *names)]
        cells = ["-" if s is None else f"{float(f'{s * 1e3:.3g}'):,g}" for s in times]
        rows.append([row["row"], *cells, f"{ratio(row):.2f}"])
    return table(["ms", 'engine="gpuzarr"', *(f'"zarr", {name}' for name in names.values()), "x best peer"], rows)


def write_pyramid(folder: Path) -> str:
    """GB/s of images that are written with all levels, and the most memory beyond the data."""
    result = json.loads((folder / "write_pyramid.json").read_text())
    columns = ["gpuzarr cpu", "tensorstore", "ome-zarr", "ngff-zarr", "ceiling"]
    rows = []
    for row, rates in result["gb_s"].items():
        cells = [f"{rates[name]:.2f}" if name in rates else "-" for name in columns]
        beside = [rates["gpuzarr cpu"] / rates[name] for name in ("tensorstore", "ceiling")]
        memory = [f"{result['extra_mib'][row][name]:.0f}" for name in ("gpuzarr cpu", "tensorstore")]
        rows.append([row, *cells, *(f"{each:.2f}" for each in beside), " / ".join(memory)])
    heads = ["GB/s", *named(["gpuzarr", *columns[1:4]], result), "ceiling", "x tensorstore", "of the ceiling"]
    return table([*heads, "MiB: gpuzarr / tensorstore"], rows)


def both(row: dict[str, Any]) -> str:
    """Milliseconds of gpuzarr and of the best peer, with two digits."""
    return " / ".join(f"{float(f'{s * 1e3:.2g}'):g}" for s in (row["seconds"]["gpuzarr cpu"], best_peer(row)))


def named(columns: Iterable[str], result: dict[str, Any]) -> list[str]:
    """The heads of columns, with versions."""
    return [f"{head} {result['versions'].get(head.removesuffix('-python'), '')}".strip() for head in columns]


def rate(row: dict[str, Any], names: Sequence[str]) -> str:
    """GB/s of the fastest of these; "-" where none was measured."""
    found = fastest(row, names)
    return f"{found:.2f}" if found else "-"


def fastest(row: dict[str, Any], names: Sequence[str]) -> float:
    """GB/s of the fastest of these; 0 where none was measured."""
    return row["nbytes"] / min(row["seconds"].get(name, float("inf")) for name in names) / 1e9


def attack(folder: Path) -> str:
    """What `make attack` has tried, and how many of its tests failed."""
    result = json.loads((folder / "attack.json").read_text())
    rows = [[kind, f"{number:,}"] for kind, number in result["tried"].items()]
    return table(["what was tried", result["date"][:10]], [*rows, ["tests that failed", str(result["failed"])]])


def gpu(folder: Path) -> str:
    """What was measured on a GPU, or that nothing was."""
    found = of_one_gpu(measured(folder))
    return "\n".join(made(found[name]) for name, made in MADE.items() if name in found) or NOT_YET


def measured(folder: Path) -> list[dict[str, Any]]:
    """Every benchmark of a GPU that came to its end, of all sessions, the oldest first."""
    sessions = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    results = [result for session in sessions for result in session.get("results", {}).values()]
    found = [each for each in results if each.get("benchmark") in MADE and each.get("gpu") and is_finished(each)]
    return sorted(found, key=lambda result: result["date"])


def of_one_gpu(results: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The newest result of each benchmark, all of one model of GPU: that with most of them, or else the newest."""
    by_gpu: dict[str, dict[str, dict[str, Any]]] = {}
    for result in results:
        by_gpu.setdefault(result["gpu"], {})[result["benchmark"]] = result
    return max(
        by_gpu.values(), default={}, key=lambda found: (len(found), max(each["date"] for each in found.values()))
    )


def whole(result: dict[str, Any], what: str) -> str:
    """Readers or writers of whole arrays."""
    names = list(dict.fromkeys(peer for row in result["rows"] for peer in row["seconds"]))
    rows = [[row["row"], *(rate(row, [peer]) for peer in names), ceiling(row)] for row in result["rows"]]
    return f"{what}, GB/s of the array; {where(result)}:\n\n" + table(["", *names, "tightest ceiling"], rows)


def read_remote(folder: Path) -> str:
    """Reads by HTTP over links of a latency: how many times as long others take, a row for each question and link."""
    result = json.loads((folder / "read_remote.json").read_text())
    kinds: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in result["rows"]:
        _, question, latency = row["row"].split("; ")
        kinds.setdefault(("many regions" if question.endswith("regions") else question, latency), []).append(row)
    peers = {name: [n for n in result["rows"][0]["seconds"] if n.startswith(begin)] for name, begin in REMOTE.items()}
    rows = []
    for (question, latency), some in kinds.items():
        ratios = [ratio(row) for row in some]
        times = [f"{mean([times_as_long(row, names) for row in some]):.2f}" for names in peers.values()]
        rows.append([question, latency, str(len(some)), *times, f"{mean(ratios):.2f}", f"{min(ratios):.2f}"])
    return table(["read", "latency", "stores", *(f"x {name}" for name in peers), "x best peer", "at least"], rows)


def times_as_long(row: dict[str, Any], names: Sequence[str]) -> float:
    """How many times as long as we the fastest of these takes."""
    return float(min(row["seconds"][name] for name in names if name in row["seconds"]) / row["seconds"]["gpuzarr cpu"])


def ceiling(row: dict[str, Any]) -> str:
    """GB/s, and which it is: the greatest of the seconds below which a row cannot come."""
    found = {name: seconds for name, seconds in row.get("ceilings", {}).items() if seconds == seconds}
    if not found:
        return "-"
    name = max(found, key=lambda each: found[each])
    return f"{row['nbytes'] / found[name] / 1e9:.2f} ({name})"


def decode(result: dict[str, Any]) -> str:
    """Codecs over sizes of chunks."""
    sizes = sorted({row["chunk"] for row in result["rows"]})
    cells = {(r["codec"], r["chunk"]): f"{r['GB/s']:.1f} ({part(r['of nvCOMP'])})" for r in result["rows"]}
    codecs = dict.fromkeys(row["codec"] for row in result["rows"])
    rows = [[codec, *(cells.get((codec, size), "-") for size in sizes)] for codec in codecs]
    what = "Decoding what lies on the GPU, GB/s decoded, and as a part of nvCOMP's own rate"
    return f"{what}; {where(result)}:\n\n" + table(["", *(f"{size >> 10} KiB chunks" for size in sizes)], rows)


def part(ratio: float) -> str:
    """A ratio; "-" where nothing was measured to compare with."""
    return f"{ratio:.2f}" if ratio == ratio else "-"


def kernels(result: dict[str, Any]) -> str:
    copy = result["ceilings"]["device copy"]
    rows = [[name, f"{rate:.0f}", f"{rate / copy:.2f}"] for name, rate in result["rates"].items()]
    what = f"Kernels, beside a copy on the device at {copy:.0f} GB/s"
    return f"{what}; {where(result)}:\n\n" + table(["", "GB/s", "of a copy"], rows)


def where(result: dict[str, Any]) -> str:
    """Machine, date and commit."""
    return (
        f"{result['gpu']}, driver {result['driver']}, CUDA {result['cuda']}, nvCOMP {result['nvcomp']}, "
        f"{result['cores']} cores, {result['date'][:10]}, commit {result['commit']}"
    )


def loaded(result: dict[str, Any]) -> str:
    """Samples in random order."""
    rows = []
    for row in result["rows"]:
        [seconds] = row["seconds"].values()
        told = f"{row['nbytes'] / seconds / 1e9:.2f}", f"{row['samples'] / seconds:,.0f}"
        rows.append([row["row"], *told, f"{row['epoch']['amplification']:.2f}", row["epoch"]["limited_by"]])
    heads = ["", "GB/s delivered", "samples/s", "bytes decoded for one delivered", "limited by"]
    return f"The loader, from files in the page cache; {where(result)}:\n\n" + table(heads, rows)


MADE: dict[str, Callable[[dict[str, Any]], str]] = {
    "gpu_read": lambda result: whole(result, "From files in the page cache to an array on the GPU"),
    "gpu_write": lambda result: whole(result, "From an array on the GPU to files in the page cache"),
    "gpu_loader": loaded,
    "gpu_decode": decode,
    "gpu_kernels": kernels,
}
TABLES: dict[str, Callable[[Path], str]] = {
    "read_local": read_local,
    "write_local": write_local,
    "read_many": read_many,
    "read_remote": read_remote,
    "loader": loader,
    "xarray_open": xarray_open,
    "write_pyramid": write_pyramid,
    "attack": attack,
    "codecs": lambda folder: codec_docs.summary(),
    "gpu": gpu,
}


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def filled(text: str, folder: Path = RESULTS) -> str:
    """The README with every table as the results make it."""

    def made(found: re.Match[str]) -> str:
        return f"{found[1]}\n{TABLES[found[2]](folder)}{found[3]}"

    return re.sub(r"(<!-- table (\w+) -->)\n.*?(<!-- end -->)", made, text, flags=re.S)


def main() -> None:
    if find_spec("imagecodecs") is None:
        raise SystemExit("the table of codecs tells what imagecodecs writes: pip install gpuzarr[codecs]")
    README.write_text(filled(README.read_text()))
    codec_docs.PAGE.write_text(codec_docs.page())


if __name__ == "__main__":
    main()

"""Every benchmark runs, at a tiny size, and writes what it measured: so they cannot rot. No speed is judged here."""

from __future__ import annotations

import json
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("zarr")
from benchmarks.harness import cases, data, layouts, memory, timing
from benchmarks.questions import host_codecs, read_local, write_pyramid

ROOT = Path(__file__).parents[2]
EACH_CHAIN = "smooth 32x1024x1024;smooth 16x;counts 64x1024x1024 in 8x"
TINY = {
    "read_local": ["--smaller", "8", "--cases", EACH_CHAIN],
    "read_many": ["--tiny"],
    "read_regions": ["--side", "128", "--count", "4"],
    "read_n5": ["--side", "40", "--edges", "16"],
    "read_remote": ["--smaller", "4", "--latencies", "10", "--stores", "raw, 8 shards"],
    "read_references": ["--smaller", "20"],
    "host_cost": ["--scale", "32"],
    "host_codecs": ["--kib", "8"],
    "write_local": ["--smaller", "64", "--cases", EACH_CHAIN],
    "write_pyramid": ["--side", "128", "--rows", "image, mean", "--readers", "gpuzarr cpu"],
    "loader": ["--tiny", "--questions", "rows", "--readers", "gpuzarr,tensorstore cached ahead"],
    "stats": ["--side", "70"],
    "dask_sum": ["--chunks", "1"],
    "xarray_open": ["--tiny"],
    "zarr_pipeline": ["--side", "32", "--edge", "16", "--count", "2"],
}

TINY_GPU = {
    "gpu_decode": ["--mib", "0.125", "--kib", "64"],
    "gpu_kernels": ["--mib", "0.125"],
    "gpu_read": ["--mib", "0.25"],
    "gpu_write": ["--mib", "0.25"],
    "gpu_loader": ["--mib", "1"],
}


@pytest.mark.parametrize("name", TINY)
def test_benchmark_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is measured in a process for each row: the answer of the first stands for all."""
    measured, found = memory.extra, []
    monkeypatch.setattr(memory, "extra", lambda *row: (found or found.append(measured(*row)), found[0])[1])
    output = tmp_path / "results.json"
    import_module(f"benchmarks.questions.{name}").main(["--repeats", "1", "--output", str(output), *TINY[name]])
    results = json.loads(output.read_text())
    assert results["benchmark"] == name and results["cores"] >= 1 and "numpy" in results["versions"]
    measured = results.get("rows") or list((results.get("milliseconds") or results["microseconds"]).values())
    whole = len(cases.chosen(False, EACH_CHAIN))
    expected = {
        "read_local": whole,
        "write_local": whole,
        "read_many": 45,
        "read_regions": 2,
        "read_n5": 24,
        "host_cost": 3,
        "host_codecs": 2 * len(host_codecs.CASES),
        "read_remote": 4,
        "read_references": 7,
        "write_pyramid": 1,
        "loader": 4,
        "stats": 6,
        "dask_sum": 3,
        "xarray_open": 12,
        "zarr_pipeline": 20,
    }
    assert len(measured) == expected[name]
    ours = "gpuzarr pipeline" if name == "zarr_pipeline" else "gpuzarr cpu"
    assert all(ours in row.get("seconds", row) for row in measured)


@pytest.mark.skipif(shutil.which("g++") is None, reason="the emulated GPU needs g++")
@pytest.mark.parametrize("name", TINY_GPU)
def test_gpu_benchmark_runs(name: str, tmp_path: Path) -> None:
    from benchmarks.harness import plot

    output = tmp_path / "results.json"
    options = ["--device", "emulated", "--repeats", "1", "--output", str(output), *TINY_GPU[name]]
    import_module(f"benchmarks.questions.{name}").main(options)
    results = json.loads(output.read_text())
    assert all(rate > 0 for rate in results["ceilings"].values()) and results["settings"]["device"] == "emulated"
    assert (
        len(results.get("rows") or results["rates"])
        == {
            "gpu_decode": 7,
            "gpu_kernels": 82,
            "gpu_read": 15,
            "gpu_write": 10,
            "gpu_loader": 4,
        }[name]
    )
    for row in results["rows"] if name in ("gpu_read", "gpu_write") else ():
        assert ("nvCOMP" in row["ceilings"]) == (not row["row"].startswith("raw")), row["row"]
        assert {"page cache", "bus"} <= set(row["ceilings"]) and row["page_cache"]["GB/s"]["processes"] > 0
    plot.main([str(output)])
    assert "<rect" in output.with_suffix(".svg").read_text()


def test_images_that_no_time_is_left_for_are_named(tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    write_pyramid.main(["--seconds", "0", "--rows", "image, m", "--output", str(output)])
    result = json.loads(output.read_text())
    assert result["left_out"] == [f"image, {method}: no time was left" for method in ("mean", "max", "min", "median")]
    assert timing.is_finished(result) and not any(result["gb_s"].values())


def test_every_benchmark_is_run_here() -> None:
    files = {path.stem for path in (ROOT / "benchmarks/questions").glob("*.py") if "timing.finish(" in path.read_text()}
    assert files == set(TINY) | set(TINY_GPU)


def test_committed_results_name_their_machine() -> None:
    for path in (ROOT / "benchmarks/results").glob("*.json"):
        results = json.loads(path.read_text())
        assert {"date", "commit", "cpu", "cores", "versions", "settings"} <= set(results), path.name


@pytest.mark.parametrize("case", cases.DEFAULT, ids=lambda case: case.name)
def test_limit_decodes_the_whole_array(case: cases.Case, tmp_path: Path) -> None:
    """The limit must do all the work that it stands for: every byte of the array, and what chunks have beyond it."""
    small = case.smaller(8)
    values = small.values()
    layouts.write(tmp_path / "x", small.layout, values)
    decoded = read_local.bare(small, tmp_path / "x", values)().view(values.dtype)
    if all(n % c == 0 for n, c in zip(small.shape, small.chunks, strict=True)):
        found = np.count_nonzero(decoded), np.sort(decoded[decoded != 0])
        assert found[0] == np.count_nonzero(values) and np.array_equal(found[1], np.sort(values[values != 0]))
    assert len(decoded) >= np.count_nonzero(values)


def test_cases_have_all_chains_and_many_sizes_of_chunks() -> None:
    assert {case.kind for case in cases.chosen(False, EACH_CHAIN)} >= set(cases.CHAINS)
    sizes = [cases.nbytes(case, case.smaller(64).values()) for case in cases.DEFAULT]
    assert {case.chain for case in cases.DEFAULT} == set(cases.CHAINS)
    assert {case.data for case in cases.DEFAULT} == set(data.DATA)
    assert min(sizes) <= 1 << 16 and max(sizes) >= 1 << 24
    assert len({case.name for case in cases.FULL}) == len(cases.FULL)


def test_others_keep_the_machine_busy_meanwhile() -> None:
    before = timing.processor_seconds()
    with timing.load(1):
        used = timing.took(lambda: sum(range(2_000_000)))
    assert 0 < used.processor < timing.processor_seconds() - before, "children that have ended count, too"


def test_a_peer_that_hangs_or_fails_is_left_out() -> None:
    from benchmarks.harness import gpu_peers

    assert gpu_peers.fails("while True: pass", 1) == "it takes more than 1 seconds"
    assert gpu_peers.fails("raise ValueError('no library')", 60) == "ValueError: no library"
    assert gpu_peers.fails("import os; os.abort()", 60) != "" and gpu_peers.fails("pass", 60) == ""


def test_a_store_that_does_not_work_is_no_peer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from benchmarks.harness import gpu_peers
    from gpuzarr.devices.cpu import CPU

    there = ("cupy", "kvikio")
    monkeypatch.setattr(gpu_peers.importlib.util, "find_spec", lambda name: name if name in there else None)
    monkeypatch.setattr(gpu_peers, "fails", lambda code, seconds: "no libcufile")
    gpu_peers.gds_store_works.cache_clear()
    assert gpu_peers.gds_store(CPU) is None and "no libcufile" in capsys.readouterr().out
    gpu_peers.gds_store_works.cache_clear()

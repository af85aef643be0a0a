"""The README's tables are what the committed results say; results of a GPU say where they come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import tables
from benchmarks.timing import RESULTS

MACHINE = {
    "gpu": "NVIDIA H200",
    "driver": "580.1",
    "cuda": 13000,
    "nvcomp": 6000,
    "cores": 16,
    "commit": "abc1234",
    "date": "2026-01-02T03:04:05+00:00",
}
READ = {
    "row": "zstd, 256 KiB",
    "nbytes": 10**9,
    "ceilings": {"bus": 0.02, "nvCOMP": float("nan"), "page cache": 0.01},
    "seconds": {"gpuzarr cuda": 0.05, "zarr enable_gpu": 4.0},
}
RESULT: dict[str, Any] = {
    "gpu_read": {**MACHINE, "rows": [READ, READ | {"row": "zlib", "seconds": {"gpuzarr cuda": 0.1}}]},
    "gpu_decode": {**MACHINE, "rows": [{"codec": "lz4", "chunk": 1 << 18, "GB/s": 123.44, "of nvCOMP": 0.97}]},
    "gpu_kernels": {**MACHINE, "rates": {"place 128": 1800.0}, "ceilings": {"device copy": 2000.0}},
}


def test_the_readme_is_what_the_results_say() -> None:
    text = tables.README.read_text()
    assert text == tables.filled(text), "python -m benchmarks.tables writes it"
    assert all(f"<!-- table {name} -->" in text for name in tables.TABLES)


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    for name in ("read_local", "write_local"):
        (tmp_path / f"{name}.json").write_text(json.dumps({**MACHINE, "gpu": None, "rows": []}))
    assert tables.gpu(tmp_path) == tables.NOT_YET


def test_tables_of_a_gpu(tmp_path: Path) -> None:
    old = RESULT["gpu_read"] | {"date": "2025-01-01T00:00:00+00:00", "commit": "old"}
    for name, results in (("new", RESULT), ("old", {"gpu_read": old}), ("emulated", {"gpu_read": {"gpu": None}})):
        (tmp_path / f"{name}.json").write_text(json.dumps({**MACHINE, "results": results}))
    text = tables.filled("a\n<!-- table gpu -->\nold\n<!-- end -->\nb\n", tmp_path)
    assert text.startswith("a\n<!-- table gpu -->\n") and text.endswith("<!-- end -->\nb\n") and "old" not in text
    assert "| zstd, 256 KiB | 20.00 | 0.25 | 50.00 (bus) |" in text and "| zlib | 10.00 | - | 50.00 (bus) |" in text
    assert "| lz4 | 123.4 (0.97) |" in text and "| place 128 | 1800 | 0.90 |" in text
    assert "NVIDIA H200, driver 580.1, CUDA 13000, nvCOMP 6000, 16 cores, 2026-01-02, commit abc1234" in text
    assert tables.filled(text, tmp_path) == text


@pytest.mark.parametrize("path", [path for path in RESULTS.glob("*.json") if '"session"' in path.read_text()[:99]])
def test_committed_sessions_are_whole(path: Path) -> None:
    session = json.loads(path.read_text())
    assert session["gpu"] and "+" not in session["commit"], "of a GPU, and of what is committed"
    for name, result in session["results"].items():
        if name in ("costs", "suite"):
            continue
        for key in ("gpu", "driver", "cuda", "nvcomp", "commit", "date", "versions", "settings"):
            assert result[key] is not None, (name, key)
        assert not name.startswith("gpu_") or result["ceilings"], name
    for row in session["results"].get("gpu_read", {}).get("rows", []):
        assert set(row["repeats"]) == set(row["seconds"]) and len(row["seconds"]) + len(row["left_out"]) > 3

"""The README's tables are what the committed results say; results of a GPU say where they come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness import codec_docs, plot, tables
from benchmarks.harness.timing import RESULTS, is_finished
from gpuzarr.tools import codec_table

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
CROPS = {
    "row": "crops",
    "nbytes": 10**9,
    "samples": 2000,
    "seconds": {"gpuzarr cuda": 0.08},
    "epoch": {"amplification": 1.5, "limited_by": "decode"},
}
RESULT: dict[str, Any] = {
    "gpu_read": {**MACHINE, "rows": [READ, READ | {"row": "zlib", "seconds": {"gpuzarr cuda": 0.1}}]},
    "gpu_loader": {**MACHINE, "rows": [CROPS]},
    "gpu_decode": {**MACHINE, "rows": [{"codec": "lz4", "chunk": 1 << 18, "GB/s": 123.44, "of nvCOMP": 0.97}]},
    "gpu_kernels": {**MACHINE, "rates": {"place 128": 1800.0}, "ceilings": {"device copy": 2000.0}},
}
for name, result in RESULT.items():
    result["benchmark"] = name


def test_the_readme_is_what_the_results_say() -> None:
    text = tables.README.read_text()
    assert text == tables.filled(text), "python -m benchmarks.harness.tables writes it"
    assert all(f"<!-- table {name} -->" in text for name in tables.TABLES)


def test_the_page_of_codecs_is_what_the_code_says() -> None:
    text = codec_docs.PAGE.read_text()
    assert text == codec_docs.page(), "python -m benchmarks.harness.tables writes it"
    assert all(f"`{name}`" in text for row in codec_table() for name in (*row.names[:1], *row.ids))


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    for name in ("read_local", "read_many", "write_local"):
        (tmp_path / f"{name}.json").write_text(json.dumps({**MACHINE, "gpu": None, "rows": []}))
    assert tables.gpu(tmp_path) == tables.NOT_YET


def keep(folder: Path, name: str, results: dict[str, Any]) -> None:
    (folder / f"{name}.json").write_text(json.dumps({**MACHINE, "results": results}))


def test_tables_of_a_gpu(tmp_path: Path) -> None:
    old = RESULT["gpu_read"] | {"date": "2025-01-01T00:00:00+00:00", "commit": "old"}
    for name, results in (
        ("new", RESULT),
        ("old", {"gpu_read": old}),
        ("emulated", {"gpu_read": RESULT["gpu_read"] | {"gpu": None}}),
    ):
        keep(tmp_path, name, results)
    text = tables.filled("a\n<!-- table gpu -->\nold\n<!-- end -->\nb\n", tmp_path)
    assert text.startswith("a\n<!-- table gpu -->\n") and text.endswith("<!-- end -->\nb\n") and "old" not in text
    assert "| zstd, 256 KiB | 20.00 | 0.25 | 50.00 (bus) |" in text and "| zlib | 10.00 | - | 50.00 (bus) |" in text
    assert "| crops | 12.50 | 25,000 | 1.50 | decode |" in text
    assert "| lz4 | 123.4 (0.97) |" in text and "| place 128 | 1800 | 0.90 |" in text
    assert "NVIDIA H200, driver 580.1, CUDA 13000, nvCOMP 6000, 16 cores, 2026-01-02, commit abc1234" in text
    assert tables.filled(text, tmp_path) == text


def test_what_is_not_finished_is_in_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a benchmark that was ended leaves it: newer than a whole one, and without what tables and pictures need."""
    begun = {**MACHINE, "date": "2027-01-01T00:00:00+00:00", "settings": {"unfinished": True}}
    left = {name: begun | {"benchmark": name, "runs": {"place 128": [1.0]}} for name in RESULT}
    keep(tmp_path, "new", left)
    assert tables.gpu(tmp_path) == tables.NOT_YET
    keep(tmp_path, "old", RESULT)
    text = tables.gpu(tmp_path)
    assert "| place 128 | 1800 | 0.90 |" in text and "2027" not in text
    place = tmp_path / "gpu_kernels.json"
    place.write_text(json.dumps(left["gpu_kernels"]))
    plot.main([str(place)])
    assert "not finished" in capsys.readouterr().out and not place.with_suffix(".svg").exists()


def test_what_could_not_be_compared_is_in_the_table(tmp_path: Path) -> None:
    row = {"codec": "zstd", "chunk": 1 << 18, "GB/s": 12.0, "of nvCOMP": float("nan")}
    keep(tmp_path, "new", {"gpu_decode": RESULT["gpu_decode"] | {"rows": [row]}})
    assert "| zstd | 12.0 (-) |" in tables.gpu(tmp_path)


def test_no_two_models_of_gpu_are_in_one_readme(tmp_path: Path) -> None:
    """Of the one with more benchmarks, from all its sessions; of two with as many, the newest."""
    other = {"gpu": "NVIDIA H100", "date": "2026-02-02T00:00:00+00:00"}
    keep(tmp_path, "a", {"gpu_read": RESULT["gpu_read"], "suite": {"gpu": "NVIDIA H200"}})
    keep(tmp_path, "b", {"gpu_decode": RESULT["gpu_decode"]})
    keep(tmp_path, "c", {"gpu_kernels": RESULT["gpu_kernels"] | other})
    text = tables.gpu(tmp_path)
    assert text.count("NVIDIA H200") == 2 and "H100" not in text
    keep(tmp_path, "d", {"gpu_read": RESULT["gpu_read"] | other})
    text = tables.gpu(tmp_path)
    assert text.count("NVIDIA H100") == 2 and "H200" not in text


@pytest.mark.parametrize("path", [path for path in RESULTS.glob("*.json") if '"session"' in path.read_text()[:99]])
def test_committed_sessions_are_whole(path: Path) -> None:
    session = json.loads(path.read_text())
    assert session["gpu"] and "+" not in session["commit"], "of a GPU, and of what is committed"
    for name, result in session["results"].items():
        if name in ("costs", "suite") or not is_finished(result):
            continue
        for key in ("gpu", "driver", "cuda", "nvcomp", "commit", "date", "versions", "settings"):
            assert result[key] is not None, (name, key)
        assert not name.startswith("gpu_") or result["ceilings"], name
    for row in session["results"].get("gpu_read", {}).get("rows", []):
        assert set(row["repeats"]) == set(row["seconds"]) and len(row["seconds"]) + len(row["left_out"]) > 3


def test_tables_are_not_written_where_they_would_lack_codecs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tables, "README", tmp_path / "README.md")
    monkeypatch.setattr(tables, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="imagecodecs"):
        tables.main()
    assert not list(tmp_path.iterdir())

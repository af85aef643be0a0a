"""Every benchmark runs, at a tiny size, and writes what it measured: so they cannot rot. No speed is judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("zarr")
ROOT = Path(__file__).parent.parent
TINY = {
    "read_local": ["--side", "32"],
    "read_regions": ["--side", "128", "--count", "4"],
    "host_cost": ["--scale", "32"],
    "write_local": ["--side", "32"],
}


@pytest.mark.parametrize("name", TINY)
def test_benchmark_runs(name: str, tmp_path: Path) -> None:
    output = tmp_path / "results.json"
    command = [sys.executable, "-m", f"benchmarks.{name}", "--repeats", "1", "--output", str(output), *TINY[name]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(output.read_text())
    assert results["benchmark"] == name and results["cores"] >= 1 and "numpy" in results["versions"]
    measured = results.get("rows") or list((results.get("milliseconds") or results["microseconds"]).values())
    assert len(measured) == {"read_local": 9, "read_regions": 2, "host_cost": 3, "write_local": 9}[name]
    assert all("gpuzarr cpu" in row.get("seconds", row) for row in measured)


def test_every_benchmark_is_run_here() -> None:
    files = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "timing.finish(" in path.read_text()}
    assert files == set(TINY)


def test_committed_results_name_their_machine() -> None:
    for path in (ROOT / "benchmarks/results").glob("*.json"):
        results = json.loads(path.read_text())
        assert {"date", "commit", "cpu", "cores", "versions", "settings"} <= set(results), path.name


@pytest.mark.parametrize("dtype", ["f4", "u2"])
def test_limit_decodes_the_whole_array(dtype: str, tmp_path: Path) -> None:
    """The limit must do all the work that it stands for: as many bytes as the array has, the same ones."""
    from benchmarks import layouts, limit

    values = layouts.sample(dtype, 32)
    for layout in layouts.NINE:
        if layout.dtype == dtype:
            path = tmp_path / layout.name
            layouts.write(path, layout, values)
            chunks = layouts.encoded_chunks(path, layout, values.shape)
            decoded = limit.bare_loop(chunks, layout.decoder(), values.nbytes)()
            assert np.array_equal(np.sort(decoded), np.sort(values.view(np.uint8).ravel())), layout.name

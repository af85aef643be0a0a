"""Every probe runs, tiny, on the emulated device; a case that dies, hangs or raises is that one case's answer."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks.probes import batch, child, crc32c, rates
from gpuzarr.devices.nvcomp import decompress as nvcomp
from gpuzarr.errors import DeviceError
from gpuzarr.gpu.algorithms import ALGORITHMS

PROBES = Path(child.__file__).parent
SHARED = {"__init__", "batch", "child", "report"}
NAMES = sorted({path.stem for path in PROBES.glob("*.py")} - SHARED)
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulated GPU needs g++")


@needs_compiler
@pytest.mark.parametrize("name", NAMES)
def test_probe_runs(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "results.json"
    arguments = ["--device", "emulated", "--tiny", "--repeats", "1", "--output", str(output)]
    import_module(f"benchmarks.probes.{name}").main(arguments)
    results = json.loads(output.read_text())
    assert results["benchmark"] == f"probe_{name}" and {"commit", "date", "gpu", "versions", "settings"} <= set(results)
    assert capsys.readouterr().out.count("\n") > 1
    for case, answer in results.get("cases", {}).items():
        assert not {"died", "hung", "not run"} & set(answer), (case, answer)
        assert "exception" not in answer or case.startswith("deflate moved by "), (case, answer)


def test_the_readme_names_every_probe() -> None:
    text = (PROBES / "README.md").read_text()
    assert all(f"| `{name}` |" in text for name in NAMES)


def case(device: Any, name: str, tiny: bool) -> dict[str, Any]:
    """What the processes below run."""
    if name.startswith("dies"):
        os.abort()
    if name == "hangs":
        time.sleep(60)
    if name == "raises":
        raise ValueError("no")
    return {"process": os.getpid()}


def test_a_case_is_alone_with_its_end() -> None:
    names = ["dies first", "fine", "raises", "fine after", "dies", "hangs", "fine last"]
    found = child.each(__name__, names, "cpu", True, seconds=3)
    assert found["dies first"]["died"] == found["dies"]["died"] == -6
    assert found["raises"] == {"exception": "ValueError: no"} and found["hangs"]["hung"] == 3
    assert len({found[name]["process"] for name in names if name.startswith("fine")}) == 3
    assert list(child.each(__name__, ["fine"], "cpu", True, total=0)["fine"]) == ["not run"]


def test_no_case_goes_on_when_the_time_is_over() -> None:
    found = child.each(__name__, ["hangs", "fine"], "cpu", True, total=1)
    assert found == {name: {"not run": "1 seconds were over"} for name in ("hangs", "fine")}


def test_the_fit_finds_the_rates() -> None:
    points = [
        {"chunk": chunk, "count": count, "seconds": [1e-5 + max(chunk / 40e6, chunk * count / 90e9)]}
        for chunk in (1 << 14, 1 << 18, 1 << 24)
        for count in (1, 64, 4096, 16384)
    ]
    one, full, worst = rates.fit(points, 1e-5)
    assert one == pytest.approx(40e6, rel=0.05) and full == pytest.approx(90e9, rel=0.05) and worst < 1.1


@needs_compiler
def test_a_batch_tells_what_happened() -> None:
    from tests.hardware import emulated

    device, value = emulated(), batch.plain(3000)
    stream = batch.ENCODE["zstd"](value)
    made = batch.prepare(device, "zstd", [stream, stream[:50]], [3000] * 3, which=batch.np.array([0, 1, 0]))
    assert made.look().verdict(0, value) == "status -1"  # not launched yet
    made.launch()
    result = made.look()
    assert [result.verdict(i, value) for i in range(3)] == ["decoded", "status 12", "decoded"]
    assert result.verdict(0, value[:-1]) == "says 3000 bytes, not 2999"
    assert result.verdict(0, value[:-1] + b"?") == "wrong bytes, no error"
    made.target[int(made.starts[1]) - 1] = 0
    assert made.look().verdict(0, value) == "wrote beside its target"
    unguarded = batch.prepare(device, "zstd", [stream], [3000], guarded=False)
    unguarded.launch()
    result = unguarded.look()
    assert not result.guards and result.statuses == [0] and result.targets[0].tobytes() == value


def test_what_the_real_library_says_without_a_gpu() -> None:
    """Structs have the sizes of the headers, and gzip's algorithm lies where nvCOMP looks for it."""
    assert [ctypes.sizeof(each) for each in (crc32c.Spec, crc32c.Kernel, crc32c.Options)] == [32, 32, 128]
    try:
        library = nvcomp.load()
    except DeviceError as error:
        pytest.skip(str(error))
    found = nvcomp.Alignments()
    query = nvcomp.function(library, ALGORITHMS["gzip"], "GetRequiredAlignments")
    for algorithm, need in ((0, (1, 1, 1)), (1, (4, 1, 8))):
        assert query(nvcomp.Options(nvcomp.BACKEND_CUDA, bytes([algorithm])), ctypes.byref(found)) == 0
        assert (found.source, found.target, found.scratch) == need

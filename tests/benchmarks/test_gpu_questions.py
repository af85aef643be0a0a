"""Questions about a GPU: who reads, what is left out and why, and what stands for a rate."""

from __future__ import annotations

import json
import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("zarr")
from benchmarks.harness import at_once, gpu_peers, layouts, timing
from benchmarks.harness.peers import Reader
from benchmarks.questions import gpu_decode, gpu_kernels, gpu_read

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulated GPU needs g++")
ROWS = {row.name: row for row in gpu_read.ROWS}
OPTIONS = Namespace(concurrent=[1, 2, 4], readers="gpuzarr emulated")


@pytest.fixture
def device() -> Any:
    from tests.hardware import emulated

    return emulated()


def read(folder: Path, *more: str) -> dict[str, Any]:
    output = folder / "read.json"
    how = ["--device", "emulated", "--mib", "0.125", "--repeats", "1", "--rows", "blosc-zstd, 256", *more]
    gpu_read.main([*how, "--output", str(output)])
    (row,) = json.loads(output.read_text())["rows"]
    return row


def test_only_rows_with_a_goal_are_read_with_several_batches_at_once(device: Any) -> None:
    found, unfit = gpu_read.readers(ROWS["zstd, 256 KiB"], device, OPTIONS)
    names = [f"gpuzarr emulated{more}" for more in ("", ", 2 at once", ", 4 at once")]
    assert [reader.name for reader in found] == names and not unfit
    assert [reader.trial for reader in found] == [False, True, True]
    found, unfit = gpu_read.readers(ROWS["raw, 1 MiB"], device, OPTIONS)
    assert [reader.name for reader in found] == names[:1] and not unfit


def test_kernels_that_no_time_is_left_for_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured before is a result that came to its end."""
    rates = {"first": [2.0, 4.0, 3.0]}
    monkeypatch.setattr(timing.Budget, "share", lambda budget, waiting: 0.0 if called else called.append(1) or 1.0)
    monkeypatch.setattr(gpu_kernels, "measurements", lambda *most: {name: lambda: rates for name in ("first", "last")})
    called: list[int] = []
    output = tmp_path / "kernels.json"
    gpu_kernels.main(["--device", "emulated", "--mib", "0.125", "--output", str(output)])
    result = json.loads(output.read_text())
    assert result["rates"] == {"first": 3.0} and result["left_out"] == ["last: no time was left"]
    assert timing.is_finished(result)


def test_a_reader_sets_the_switch_and_puts_it_back(device: Any) -> None:
    device.concurrent_batches = 3
    with gpu_peers.ours(device, 4).around():
        assert device.concurrent_batches == 4
    assert device.concurrent_batches == 3
    with pytest.raises(KeyError), at_once.batches(device, 2):
        raise KeyError
    assert device.concurrent_batches == 3


def test_what_a_trial_breaks_elsewhere_is_not_tried_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_peers, "why_not_at_once", lambda name, number: "status -11" if number == 4 else "")
    row = read(tmp_path)
    assert row["left_out"]["gpuzarr emulated, 4 at once"] == "tried in another process: status -11"
    assert {"gpuzarr emulated", "gpuzarr emulated, 2 at once"} <= set(row["seconds"]) == set(row["repeats"])
    assert set(row["reads"]) == {"gpuzarr emulated", "gpuzarr emulated, 2 at once"}
    assert row["read"] == row["reads"]["gpuzarr emulated"]


@pytest.mark.parametrize("good", [0, 2])
def test_wrong_values_of_a_trial_end_nothing(good: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong from the beginning, or only when all was timed."""
    ours = gpu_peers.ours

    def wrong(device: Any, number: int = 1, trial: bool = False) -> Reader:
        reader, reads = ours(device, number, trial), []

        def host(values: Any) -> Any:
            reads.append(number)
            return reader.host(values) + (number == 2 and len(reads) >= good)

        return Reader(reader.name, reader.open, reader.read, host, reader.around, trial)

    monkeypatch.setattr(gpu_peers, "ours", wrong)
    row = read(tmp_path, "--concurrent", "1,2")
    why = row["left_out"]["gpuzarr emulated, 2 at once"]
    assert why == ("WRONG VALUES" if not good else "WRONG VALUES, after 1 timed reads")
    assert "gpuzarr emulated, 2 at once" not in row["seconds"] and "gpuzarr emulated" in row["seconds"]


def test_ours_must_be_right_and_a_trial_need_not(tmp_path: Path) -> None:
    def fails(array: Any, key: Any) -> Any:
        raise OSError("no")

    for trial in (True, False):
        reader = Reader("gpuzarr x", lambda path: path, fails, trial=trial)
        wrong = Reader("gpuzarr x", lambda path: path, lambda array, key: np.ones(3), trial=trial)
        if trial:
            assert timing.checked(reader, tmp_path, [...], np.zeros(3))[1] == "cannot (OSError)"
            assert timing.checked(wrong, tmp_path, [...], np.zeros(3))[1] == "WRONG VALUES"
            continue
        with pytest.raises(OSError, match="no"):
            timing.checked(reader, tmp_path, [...], np.zeros(3))
        with pytest.raises(SystemExit, match="wrong values"):
            timing.checked(wrong, tmp_path, [...], np.zeros(3))


def test_a_trial_in_a_process_of_its_own() -> None:
    assert gpu_peers.why_not_at_once("emulated", 2) == ""
    assert "DeviceError" in gpu_peers.why_not_at_once("cuda:99", 2)


@pytest.mark.parametrize("mib", [0.125, 0.25, 1, 10, 100, 512])
def test_shards_have_whole_chunks(mib: float) -> None:
    for row in gpu_read.ROWS:
        if row.shards:
            edge = gpu_read.side(row, mib)
            chunks, shards = (layouts.fitted(each, (edge,) * 3) for each in (row.chunks, row.shards))
            assert not any(shard % chunk for shard, chunk in zip(shards, chunks, strict=True)), edge
            assert edge <= 64 or edge**3 * 4 / 2**20 == pytest.approx(mib, rel=0.6)
    assert gpu_read.side(ROWS["shards of zstd, 1 MiB"], 512) == 512


def test_chunks_beyond_the_end_of_an_array_are_not_in_its_shards(tmp_path: Path) -> None:
    layout = layouts.Layout("x", 3, (8, 8), layouts.zarr_codec("ZstdCodec"), lambda: len, (16, 16))
    values = np.arange(24 * 24, dtype="f4").reshape(24, 24) + 1
    layouts.write(tmp_path / "x", layout, values)
    found = layouts.encoded_chunks(tmp_path / "x", layout, values.shape)
    assert len(found) == 9 and all(found)


def test_decoding_is_timed_from_end_to_end_of_batches(device: Any) -> None:
    row = gpu_decode.measure(device, "zstd", 1 << 16, 1 << 14, 3, 60)
    assert row["chunks"] == row["streams"] == row["on nvCOMP"] == 4 and not row["why"]
    assert len(row["seconds"]["ours"]) == 3 and len(row["host seconds"]) == 3 + gpu_decode.WARM
    assert row["host ms"] > 0 and row["of nvCOMP"] > 0
    assert len(gpu_decode.measure(device, "lz4", 1 << 16, 1 << 14, 9, 0)["seconds"]["ours"]) == 1, "no time was left"


def test_what_is_decoded_in_turn_is_checked(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_decode.Steady, "_launch", lambda self, pair: None)
    with pytest.raises(SystemExit, match="zstd is decoded to wrong values"):
        gpu_decode.measure(device, "zstd", 1 << 16, 1 << 14, 1, 60)


def test_without_a_ceiling_the_goal_is_missed() -> None:
    row = {"codec": "zstd", "chunk": 1 << 18, "of nvCOMP": float("nan"), "GB/s": 5.0}
    assert gpu_decode.missed([row]) == ["zstd, 256 KiB: nan of nvCOMP"]

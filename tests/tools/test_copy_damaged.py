"""A copy of what is damaged has all of the rest, and says what is missing."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import gpuzarr
from gpuzarr.cli import main
from gpuzarr.errors import ChunkError, GpuZarrError, StoreError
from gpuzarr.tools import copy
from tests.cli.places import unreadable
from tests.conftest import examples
from tests.tools import damage

KINDS = [damage.cut, damage.flipped, damage.flipped_in_shard, damage.cut_shard, damage.flipped_index, damage.beyond]
ARRAYS = ("a/raw", "a/zstd", "a/gzip", "a/blosc", "a/crc", "a/deep/shards")


def readable(array: gpuzarr.Array) -> tuple[np.ndarray, int]:
    """The values, read chunk by chunk, with the fill value where that fails, and in how many chunks it does."""
    found, failed = np.full(array.shape, array.fill_value, array.dtype), 0
    for starts in product(*(range(0, length, n) for length, n in zip(array.shape, array.chunks, strict=True))):
        box = tuple(slice(start, start + n) for start, n in zip(starts, array.chunks, strict=True))
        try:
            found[box] = array[box]
        except ChunkError:
            failed += 1
    return found, failed


@settings(max_examples=examples(12), deadline=None)
@given(data=st.data())
def test_what_can_be_read_is_copied(data: st.DataObject) -> None:
    store = damage.made({})
    whole = dict(store)  # what is damaged once stays as it is
    for kind in data.draw(st.lists(st.sampled_from(KINDS), max_size=3)):
        if damage.keys_of(whole, damage.SHARDS):
            kind(whole, lambda choices: data.draw(st.sampled_from(choices)))
        for key in [key for key, value in whole.items() if value != store[key]]:
            store[key] = whole.pop(key)
    broken = data.draw(st.sampled_from([None, *ARRAYS]))
    if broken is not None:
        store[f"{broken}/zarr.json"] = b"{"
    dest: dict[str, bytes] = {}
    source = gpuzarr.open_group(store, device="cpu", use_consolidated=False)
    chunks = data.draw(st.sampled_from(["keep", (3, 2), (6, 8)]))
    report = copy(source, dest, chunks=chunks, shards=None, on_error="skip", verify=True, device="cpu")
    failures = 0
    for path in ARRAYS:
        if path != broken:
            expected, failed = readable(source[path])
            failures += failed
            np.testing.assert_array_equal(gpuzarr.open_array(dest, path, device="cpu")[...], expected)
    assert bool(report.damaged) == bool(failures)
    assert len(report.left_out) == (broken is not None) and all(f"{broken}/zarr.json" in s for s in report.left_out)
    assert (broken not in gpuzarr.open_group(dest)) if broken else True


def test_what_may_not_be_read_is_skipped_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = gpuzarr.create_group(tmp_path / "a")
    root.create_array("x", data=np.arange(1, 10), chunks=3)
    command: Any = ["copy", str(tmp_path / "a"), str(tmp_path / "b")]
    with unreadable(tmp_path / "a" / "x" / "c" / "1"):
        with pytest.raises(StoreError):
            copy(tmp_path / "a", {}, on_error="fill")
        report = copy(tmp_path / "a", dest := {}, on_error="skip")
    assert gpuzarr.load(dest, path="x").tolist() == [1, 2, 3, 0, 0, 0, 7, 8, 9] and len(report.damaged) == 1
    assert main([*command, "--on-error", "skip"]) == 0
    (tmp_path / "a" / "x" / "c" / "2").write_bytes(b"")
    (tmp_path / "a" / "y").mkdir()
    (tmp_path / "a" / "y" / "zarr.json").write_bytes(b"{")
    assert main([*command, "--on-error", "fill", "--overwrite"]) == 1 and "y/zarr.json" in capsys.readouterr().err
    assert main([*command, "--on-error", "skip", "--overwrite"]) == 1
    printed = capsys.readouterr().out
    assert "left out: '/y': " in printed and "(2,)" in printed and printed.splitlines()[-1].startswith("copied 1 array")
    assert main([*command, "--on-error", "skip", "--overwrite", "--exclude", "y", "--select", "0:6"]) == 0


def test_a_store_that_answers_nothing_is_no_damage() -> None:
    class Broken(dict):
        def __getitem__(self, key: str) -> bytes:
            if key.endswith("c/0"):
                raise OSError(24, "Too many open files")
            return super().__getitem__(key)

    store = Broken()
    gpuzarr.create_array(store, data=np.arange(4))
    with pytest.raises(GpuZarrError, match="Too many"):
        copy(store, {}, on_error="skip")

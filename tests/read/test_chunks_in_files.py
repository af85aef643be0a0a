"""Large chunks that the C library reads, decodes and places: values, errors and counts as where Python does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr import native
from gpuzarr.read.by_library import ByLibrary
from tests.conftest import examples
from tests.read.chunked import LAYOUTS, SHAPE, VALUES, slices, written

pytestmark = [pytest.mark.damaging, pytest.mark.usefixtures("compiled")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("arrays")
    for name, layout in LAYOUTS.items():
        written(made / name, layout)
    return made


def outcome(path: Path, key: Any) -> Any:
    """What a read returns, or says of damage; with what was read."""
    array = gpuzarr.open_array(path, device="cpu")
    try:
        values = array[key].tobytes()
    except gpuzarr.ChunkError as error:
        return str(error), error.chunk, error.codec
    said = array.last_read.asdict()
    return values, {name: said[name] for name in ("batches", "chunks", "stored_bytes")}


def both(path: Path, key: Any) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        by_library = outcome(path, key)
        patch.setattr(native, "library", lambda: None)
        return [by_library, outcome(path, key)]


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_library_reads_them(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left, read = [], ByLibrary.read
    monkeypatch.setattr(ByLibrary, "read", lambda *given: left.append(read(*given)) or left[-1])
    np.testing.assert_array_equal(gpuzarr.open_array(folder / name, device="cpu")[:64, :80, :96], VALUES[:64, :80, :96])
    assert left and not any(left)


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=examples(8), deadline=None)
@given(data=st.data())
def test_the_same_damage(name: str, folder: Path, data: st.DataObject) -> None:
    """Of any part of a chunk, read by any selection: it is found by both, or by none."""
    files = sorted(file for file in (folder / name).rglob("*") if file.is_file() and file.suffix != ".json")
    file = data.draw(st.sampled_from([file for file in files if not file.name.startswith(".z")]))
    good = file.read_bytes()
    at = data.draw(st.integers(0, 40) | st.integers(0, len(good) - 1), label="where it is damaged")
    how = data.draw(st.sampled_from(["changed", "cut", "longer", "zeros", "empty"]))
    bad = {
        "changed": good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :],
        "cut": good[:at],
        "longer": good + bytes(at),
        "zeros": bytes(len(good)),
        "empty": b"",
    }[how]
    key = data.draw(slices(SHAPE))
    try:
        file.write_bytes(bad)
        by_library, by_python = both(folder / name, key)
    finally:
        file.write_bytes(good)
    assert by_library == by_python

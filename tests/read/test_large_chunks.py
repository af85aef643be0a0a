"""Large uncompressed chunks, which the C library places part by part: the values and errors of NumPy's way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import gpuzarr
from gpuzarr import native
from gpuzarr.errors import GpuZarrError
from tests.conftest import examples

SHAPES = {  # of an array, and of its chunks, of more bytes than a part has (256 KiB)
    "planes": ((6, 500, 700), (3, 300, 400)),
    "cubes": ((70, 90, 100), (64, 64, 64)),
    "long rows": ((5, 300_000), (2, 200_000)),
    "one row": ((300_000,), (140_000,)),
}
MISSING = 9


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[gpuzarr.Array, np.ndarray]]:
    made = {}
    for name, (shape, chunks) in SHAPES.items():
        path = tmp_path_factory.mktemp("arrays") / "a"
        values = np.random.default_rng(0).integers(0, 1 << 16, shape).astype("u2")
        values[tuple(slice(0, n) for n in chunks)] = MISSING
        options: dict[str, Any] = {"dtype": "u2", "compressors": None, "fill_value": MISSING}
        zarr.create_array(path, shape=shape, chunks=chunks, **options)[...] = values
        made[name] = gpuzarr.open_array(path, device="cpu"), values
    return made


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("compiled", [True, False])
@settings(max_examples=examples(12), deadline=None)
@given(data=st.data())
def test_any_selection(name: str, compiled: bool, arrays: Any, data: st.DataObject) -> None:
    array, values = arrays[name]
    bound = st.integers(-max(values.shape), max(values.shape))
    one = st.just(slice(None)) | st.builds(slice, bound, bound, st.sampled_from([1, 2, 5, -1]))
    key = data.draw(st.tuples(*[one] * values.ndim))
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(native, "library", lambda: None)
        np.testing.assert_array_equal(array[key], values[key])
        out = np.asfortranarray(np.zeros(values[key].shape, "u2"))
        array.get(key, out=out)
    np.testing.assert_array_equal(out, values[key])


@pytest.mark.parametrize("name", SHAPES)
def test_a_chunk_that_is_too_short(name: str, tmp_path: Path, loops: str) -> None:
    shape, chunks = SHAPES[name]
    path = tmp_path / "a"
    zarr.create_array(path, shape=shape, chunks=chunks, dtype="u2", compressors=None)[...] = 1
    chunk = path / "c" / "/".join("0" * len(shape))
    chunk.write_bytes(chunk.read_bytes()[:-100])
    with pytest.raises(GpuZarrError, match=r"0.*bytes"):
        gpuzarr.open_array(path, device="cpu")[...]

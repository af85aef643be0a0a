"""Values, fields and fill values that nobody should give: typed errors before anything is written."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np
import pytest

import gpuzarr


def of_objects(fill: Any) -> dict[str, bytes]:
    document = {"zarr_format": 2, "shape": [4], "chunks": [2], "dtype": "|O", "compressor": None, "order": "C"}
    return {".zarray": json.dumps({**document, "filters": [{"id": "json2"}], "fill_value": fill}).encode()}


@pytest.mark.parametrize("fill", [[1, 2], [7], [[1], [2]], [], {"a": 1}])
def test_a_list_fills_as_one_element(fill: Any) -> None:
    """NumPy would spread its members over the elements."""
    a = gpuzarr.open(of_objects(fill), mode="r+", device="cpu")
    assert list(a[...]) == [fill] * 4 and list(a[1:3]) == [fill] * 2
    a[1] = "x"
    assert list(a[...]) == [fill, "x", fill, fill]


class OnNoGpu:
    __cuda_array_interface__: ClassVar[dict[str, Any]] = {"shape": "x"}


@pytest.mark.parametrize("value", [np.zeros(4, "V3"), np.int64, OnNoGpu(), range(10**18)])
def test_values_that_are_none(value: Any) -> None:
    store: dict[str, bytes] = {}
    a = gpuzarr.create_array(store, shape=4, chunks=2, dtype="f4", device="cpu")
    before = dict(store)
    for write in (lambda: a.__setitem__(..., value), lambda: a.append(value)):
        with pytest.raises(gpuzarr.ValueKindError):
            write()
    assert store == before


def test_a_field_named_twice() -> None:
    a = gpuzarr.create_array({}, shape=5, dtype=[("a", "i4"), ("b", "f8")], zarr_format=2)
    for read in (lambda: a["a", "a"], lambda: a.oindex["a", "a"], lambda: a.get_basic_selection(fields=["a", "a"])):
        with pytest.raises(gpuzarr.SelectionError, match="twice"):
            read()


def test_configurations_of_other_kinds() -> None:
    deep: list[Any] = []
    for _ in range(3000):
        deep = [deep]
    for options in (
        {"dtype": "str", "fill_value": deep},
        {"dtype": "i4", "chunk_key_encoding": {"name": "x", "configuration": []}},
    ):
        for zarr_format in (2, 3):
            with pytest.raises(gpuzarr.GpuZarrError):
                gpuzarr.create_array({}, shape=2, zarr_format=zarr_format, **options)

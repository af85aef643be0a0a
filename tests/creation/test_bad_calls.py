"""Calls that overwrite, with what cannot be made: an error, and what was there is as it was, byte by byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from tests.stores_of_tests import KINDS, objects

FORMATS: Any = [2, 3]
GOOD = np.arange(6)
BAD_TYPE = np.array([object(), 1])


class Broken:
    """Data with a shape and a dtype whose values cannot be had, or only the first of them."""

    shape, dtype, ndim = (6, 2), np.dtype("i8"), 2

    def __init__(self, error: BaseException, passes: int = 0) -> None:
        self.error, self.passes = error, passes

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self.error

    def __getitem__(self, selection: Any) -> Any:
        self.passes -= 1
        if self.passes < 0:
            raise self.error
        return np.ones((6, 2), int)[selection]


class BrokenList(list[Any]):
    def __iter__(self) -> Any:
        raise RuntimeError("an iteration that fails")

    def __len__(self) -> int:
        raise RuntimeError("a length that fails")


Call = Callable[[Any, str, Any], Any]
ARRAYS: dict[str, dict[str, Any]] = {
    "dtype": {"data": BAD_TYPE},
    "two dtypes": {"data": GOOD, "dtype": "i4", "shape": 7},
    "codec": {"data": GOOD, "compressors": {"name": "none of these", "configuration": {}}},
    "codec for other types": {"data": GOOD, "filters": {"name": "fixedscaleoffset", "configuration": {"x": 1}}},
    "chunks": {"data": GOOD, "chunks": (1, 2, 3)},
    "fill value": {"data": GOOD, "fill_value": "text"},
    "attributes": {"data": GOOD, "attributes": {"a": object()}},
    "device": {"data": GOOD, "device": "no such device"},
    "config": {"data": GOOD, "config": {"none": 1}},
    "format": {"data": GOOD, "zarr_format": 4},
    "ragged": {"data": [[1, 2], [3]]},
    "masked": {"data": np.ma.masked_array([1, 2], [True, False])},
    "broken": {"data": Broken(RuntimeError("values that fail"))},
    "interrupted": {"data": Broken(KeyboardInterrupt())},
    "broken list": {"data": BrokenList()},
}


def parent(store: Any, path: str) -> gpuzarr.Group:
    return gpuzarr.open_group(store, path.rpartition("/")[0], mode="r+", device="cpu")


def last(path: str) -> str:
    return path.rpartition("/")[2]


CALLS: dict[str, Call] = {
    f"create_array, {name}": lambda s, p, v, o=options: gpuzarr.create_array(
        s, name=p, **{"overwrite": True, "zarr_format": v, "device": "cpu"} | o
    )
    for name, options in ARRAYS.items()
}
CALLS |= {
    f"from_array, {name}": lambda s, p, v, o=options: gpuzarr.from_array(
        s, name=p, **{"overwrite": True, "zarr_format": v, "device": "cpu"} | o
    )
    for name, options in ARRAYS.items()
    if name not in ("two dtypes", "masked")
}
CALLS |= {
    f"open, {name}": lambda s, p, v, o=options: gpuzarr.open(s, p, mode="w", **{"zarr_format": v, "device": "cpu"} | o)
    for name, options in ARRAYS.items()
}
CALLS |= {
    "save": lambda s, p, v: gpuzarr.save(s, BAD_TYPE, path=p, zarr_format=v),
    "save, the second": lambda s, p, v: gpuzarr.save(s, GOOD, BAD_TYPE, GOOD, path=p, zarr_format=v),
    "save_group": lambda s, p, v: gpuzarr.save_group(s, path=p, zarr_format=v, a=GOOD, b=BAD_TYPE),
    "save_group, broken": lambda s, p, v: gpuzarr.save_group(
        s, path=p, zarr_format=v, a=GOOD, b=Broken(RuntimeError("values that fail"))
    ),
    "save_group, interrupted": lambda s, p, v: gpuzarr.save_group(
        s, path=p, zarr_format=v, a=GOOD, b=Broken(KeyboardInterrupt())
    ),
    "save_group, name": lambda s, p, v: gpuzarr.save_group(s, path=p, zarr_format=v, **{"a": GOOD, "..": GOOD}),
    "save_group, no name": lambda s, p, v: gpuzarr.save_group(s, path=p, zarr_format=v, **{"a": GOOD, "/": GOOD}),
    "save_group, below an array": lambda s, p, v: gpuzarr.save_group(
        s, path=p, zarr_format=v, **{"a": GOOD, "a/b": GOOD}
    ),
    "save_group, nothing": lambda s, p, v: gpuzarr.save_group(s, path=p, zarr_format=v),
    "create_group, attributes": lambda s, p, v: gpuzarr.create_group(
        s, path=p, zarr_format=v, overwrite=True, attributes={"a": {1, 2}}
    ),
    "create_group, device": lambda s, p, v: gpuzarr.create_group(
        s, path=p, zarr_format=v, overwrite=True, device="no such device"
    ),
    "group, consolidated": lambda s, p, v: gpuzarr.group(s, path=p, zarr_format=v, overwrite=True, consolidated=True),
    "open_group, an array": lambda s, p, v: gpuzarr.open_group(s, p, mode="w", zarr_format=v, shape=3),
    "open_array, no shape": lambda s, p, v: gpuzarr.open_array(s, p, mode="w", zarr_format=v),
    "open_consolidated": lambda s, p, v: gpuzarr.open_consolidated(s, p, mode="w", zarr_format=v),
    "from_array, later": lambda s, p, v: gpuzarr.from_array(
        s, name=p, data=Broken(RuntimeError("values that fail"), 2), chunks=(2, 2), overwrite=True, zarr_format=v
    ),
    "from_array, interrupted later": lambda s, p, v: gpuzarr.from_array(
        s, name=p, data=Broken(KeyboardInterrupt(), 2), chunks=(2, 2), overwrite=True, zarr_format=v
    ),
    "create_hierarchy": lambda s, p, v: gpuzarr.create_hierarchy(
        store=s,
        nodes={p: {"zarr_format": v, "node_type": "group"}, f"{p}/x": {"zarr_format": v, "node_type": "array"}},
        overwrite=True,
    ),
}
OF_GROUPS: dict[str, Call] = {
    "Group.__setitem__": lambda s, p, v: parent(s, p).__setitem__(last(p), BAD_TYPE),
    "Group.__setitem__, broken": lambda s, p, v: parent(s, p).__setitem__(last(p), Broken(RuntimeError("fails"))),
    "Group.create_array": lambda s, p, v: parent(s, p).create_array(last(p), data=BAD_TYPE, overwrite=True),
    "Group.create_group": lambda s, p, v: parent(s, p).create_group(last(p), attributes={"a": 1j}, overwrite=True),
    "Group.create_hierarchy": lambda s, p, v: parent(s, p).create_hierarchy({last(p): {"zarr_format": 7}}, True),
}
CASES = [(name, path) for name in CALLS for path in ("", "g/n")] + [(name, "g/n") for name in OF_GROUPS]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_fails_changes_nothing(kind: str, version: Any, tmp_path: Path) -> None:
    """Neither where a group is, nor an array, nor nothing."""
    stores = {}
    for old in ("group", "array", "nothing"):
        for path in ("", "g/n"):
            stores[old, path] = store = KINDS[kind](tmp_path / old / f"x{len(path)}")
            if old == "array":
                gpuzarr.create_array(store, name=path, data=GOOD, chunks=2, zarr_format=version)
            elif old == "group":
                gpuzarr.save_group(store, path=path, zarr_format=version, a=GOOD, c=GOOD)
            elif path:
                gpuzarr.create_group(store, path="g", zarr_format=version)
    for name, path in CASES:
        for old in ("group", "array", "nothing"):
            store = stores[old, path]
            before = objects(store)
            with pytest.raises((Exception, KeyboardInterrupt)):
                (CALLS | OF_GROUPS)[name](store, path, version)
            assert objects(store) == before, f"{name} where {old} is at {path!r}"

"""The emulated device as users see it who hold arrays of CuPy, and what they copy to the host."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from gpuzarr.devices import select
from gpuzarr.nodes import inputs, reading
from gpuzarr.nodes.array import Array
from tests import hardware
from tests.cupy_stand_in.array import ndarray, of_device
from tests.cupy_stand_in.functions import MODULE
from tests.emulator import Emulated
from tests.emulator.arrays import DeviceArray

INSIDE = "gpuzarr.", "cupy.", __name__  # the last one for what a noted method calls itself
COPIES = ("get", "item", "tolist", "tobytes", "__bool__", "__int__", "__float__", "__complex__", "__repr__", "__str__")


class Border(Emulated):
    """The emulated device, of which integrations get memory as arrays of the stand-in."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Border, (self._seed,)

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        made = super().array(shape, dtype)
        caller = sys._getframe(1).f_globals["__name__"]
        return of_device(made) if caller.startswith("gpuzarr.integrations") else made


def inside(value: Any) -> Any:
    """What the inside of the library has for what users have."""
    return value.memory.view(DeviceArray) if isinstance(value, ndarray) else value


def outside(value: Any) -> Any:
    """What users have for what the inside of the library has."""
    return of_device(value) if isinstance(value, DeviceArray) else value


def _read_elements(self: Array, elements: Any, *args: Any, **options: Any) -> Any:
    """`Array.read_elements`, between the inside and users."""
    result = reading.read_elements(self, elements, *map(inside, args), **{n: inside(o) for n, o in options.items()})
    return outside(result) if isinstance(self.device, Border) else result


def stand_in(monkeypatch: pytest.MonkeyPatch) -> Border:
    """The emulated device with arrays of the stand-in, which xarray and dask take for those of CuPy."""
    hardware.emulated()  # or the test is skipped
    monkeypatch.setattr(Array, "read_elements", _read_elements)
    taken = inputs._array
    monkeypatch.setattr(inputs, "_array", lambda value, dtype, device: taken(inside(value), dtype, device))
    monkeypatch.setattr(select, "why_not_cuda", lambda ordinal: "the stand-in of CuPy finds no GPU")
    monkeypatch.setitem(sys.modules, "cupy", MODULE)
    _make_known(monkeypatch)
    return Border()


def _make_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make xarray and dask look for CuPy anew, now and after the test: both remember what they found."""
    from dask.array import chunk_types, dispatch
    from dask.utils import Dispatch
    from xarray.namedarray import pycompat

    monkeypatch.setattr(pycompat, "_cached_duck_array_modules", {})
    known = [*chunk_types._HANDLED_CHUNK_TYPES, ndarray]
    monkeypatch.setattr(chunk_types, "_HANDLED_CHUNK_TYPES", known)
    for lookup in vars(dispatch).values():
        if isinstance(lookup, Dispatch):
            monkeypatch.setattr(lookup, "_lookup", dict(lookup._lookup))
            monkeypatch.setattr(lookup, "_lazy", dict(lookup._lazy))
    from dask.array.backends import register_cupy

    register_cupy()


@pytest.fixture(params=["stand-in", "cuda"])
def cupy_device(request: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A device whose arrays are those of CuPy: of the stand-in, or on a GPU."""
    return stand_in(monkeypatch) if request.param == "stand-in" else hardware.cuda()


@pytest.fixture
def cp(cupy_device: Any) -> Any:
    """The module `cupy`, or its stand-in."""
    return sys.modules["cupy"]


@pytest.fixture
def host_copies(cp: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done that copies from a GPU to the host, or waits for it, apart from the inside of reads and writes.

    What CuPy does inside its own functions is not among it: `nanmin` asks whether to warn of NaN.

    That are names of methods of arrays, and "mask" for arrays of bools between brackets, which CuPy has to count.
    """
    found: list[str] = []

    def note(what: str, array: Any) -> None:
        caller = sys._getframe(2).f_globals["__name__"]
        is_inside = caller.startswith(INSIDE) and not caller.startswith("gpuzarr.integrations.")
        if array.size and not is_inside:  # CuPy copies nothing of an array without elements, which dask has as `meta`
            found.append(what)

    def noted(name: str, method: Any) -> Any:
        def copying(self: Any, *args: Any, **options: Any) -> Any:
            note(name, self)
            return method(self, *args, **options)

        return copying

    def noted_masks(method: Any) -> Any:
        def indexing(self: Any, key: Any, *value: Any) -> Any:
            parts = key if isinstance(key, tuple) else (key,)
            if any(getattr(part, "dtype", None) == np.bool_ for part in parts):
                note("mask", self)
            return method(self, key, *value)

        return indexing

    for name in COPIES:
        monkeypatch.setattr(cp.ndarray, name, noted(name, getattr(cp.ndarray, name)))
    for name in ("__getitem__", "__setitem__"):
        monkeypatch.setattr(cp.ndarray, name, noted_masks(getattr(cp.ndarray, name)))
    return found

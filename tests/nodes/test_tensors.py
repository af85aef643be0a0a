"""Tensors of torch, as far as one need not have it: written, as dtypes, as integers of a selection."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.hardware import host_array


class Tensor:
    """What gpuzarr knows of a tensor: it has a dtype of torch, and can be seen as another one of the same size."""

    def __init__(self, data: np.ndarray, dtype: Any) -> None:
        self.data, self.dtype, self.shape = data, dtype, data.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if str(self.dtype) == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.data

    def view(self, dtype: np.dtype) -> Tensor:
        return Tensor(self.data.view(dtype), dtype)


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    vars(sys.modules["torch"]).update(int8=np.dtype("i1"), int16=np.dtype("i2"))
    kind = type("dtype", (SimpleNamespace,), {"__module__": "torch", "__repr__": lambda self: f"torch.{self.name}"})
    return lambda name: kind(name=name)


@pytest.mark.parametrize("name", ["float32", "bfloat16", "int64", "bool", "complex64", "float8_e5m2"])
def test_tensors(name: str, torch: Callable[[str], Any], device: Device) -> None:
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    tensor = Tensor(np.arange(12).reshape(4, 3).astype(dtype), torch(name))
    made = gpuzarr.create_array({}, data=tensor, chunks=(2, 2), device=device)
    same = gpuzarr.create_array({}, shape=(4, 3), dtype=tensor.dtype, chunks=(2, 2), device=device)
    same[...] = tensor
    assert made.append(tensor) == (8, 3) and made.dtype == same.dtype == dtype
    np.testing.assert_array_equal(host_array(made[4:]).astype("c8"), tensor.data.astype("c8"))
    np.testing.assert_array_equal(host_array(same[...]).astype("c8"), tensor.data.astype("c8"))


def test_an_integer_of_torch_is_an_integer(torch: Callable[[str], Any]) -> None:
    one, mask = Tensor(np.array(1), torch("int64")), Tensor(np.array(True), torch("bool"))
    a = gpuzarr.create_array({}, data=np.arange(12).reshape(3, 4), device="cpu")
    assert a[one].tolist() == a.oindex[one].tolist() == [4, 5, 6, 7] and a[one, one] == a.vindex[one, one] == 5
    assert a[one, [0, 2]].tolist() == [4, 6] and a[Tensor(np.array([0, 2]), torch("int64"))].shape == (2, 4)
    with pytest.raises(IndexError):
        a[mask]


def test_a_tensor_that_cannot_be_read_is_told(torch: Callable[[str], Any]) -> None:
    class Graph(Tensor):
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
            raise RuntimeError("requires grad. Use tensor.detach()")

    a = gpuzarr.create_array({}, shape=(3,), dtype="f4", device="cpu")
    with pytest.raises(gpuzarr.ValueKindError, match="detach"):
        a[...] = Graph(np.zeros(3, "f4"), torch("float32"))

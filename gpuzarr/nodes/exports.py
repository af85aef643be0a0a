"""Whole arrays, converted to those of other libraries: `numpy.asarray(a)`, `cupy.asarray(a)`, and DLPack.

DLPack is the protocol of the Python array API standard (https://data-apis.org/array-api/latest, "Data interchange"),
by which `torch.from_dlpack`, `jax.dlpack.from_dlpack`, `cupy.from_dlpack` and `numpy.from_dlpack` take an array.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from gpuzarr.checks import shown
from gpuzarr.devices.contract import Device
from gpuzarr.devices.select import device as device_of
from gpuzarr.errors import ArgumentError, ExportError

_HOST = (1, 0)  # kDLCPU. Source: dlpack.h


class Readable(Protocol):
    """The members of an array that these methods use."""

    device: Device

    @property
    def dtype(self) -> np.dtype: ...

    def __getitem__(self, selection: Any) -> Any: ...


def as_numpy(self: Readable, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    if copy is False:
        raise ArgumentError("a stored array cannot become a NumPy array without a copy")
    try:
        dtype = None if dtype is None else np.dtype(dtype)
    except Exception as error:  # NumPy raises many kinds
        raise ArgumentError(f"{shown(dtype)} is not a dtype: {error}") from error
    result = _on_host(self)
    try:
        return result if dtype is None else result.astype(dtype, copy=False)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{self!r} cannot become an array of {dtype}: {error}") from error


def as_cupy(self: Readable) -> Any:
    """The values on a GPU, for `cupy.asarray(a)`."""
    result = self[...]
    return result if self.device.gpu else device_of("cuda").upload(np.asarray(result))


def as_dlpack(
    self: Readable,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[int, int] | None = None,
    copy: bool | None = None,
) -> Any:
    """Read the whole array, and return a DLPack capsule of it, which other libraries use without another copy.

    Parameters
    ----------
    stream
        The stream of the GPU that will use the values, as the standard numbers it: it waits for them. None on a CPU.
    max_version
        The newest version of DLPack that the caller knows.
    dl_device
        Where the values should be: on the device of the array, which is the default, or `(1, 0)`, host memory.
    copy
        False is refused, as values are always read into new memory. So True costs no second copy.

    Raises
    ------
    ExportError
        DLPack does not have the dtype; `dl_device` is another device; or copy=False.
        It is a BufferError, as the standard wants it.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(6).reshape(2, 3))
    >>> np.from_dlpack(a)
    array([[0, 1, 2],
           [3, 4, 5]])
    """
    if copy is False:
        raise ExportError(f"{self!r} cannot be exported without a copy: its values are read from a store")
    there = dlpack_device(self)
    is_host = dl_device is not None and tuple(map(int, dl_device)) == _HOST
    if dl_device is not None and not is_host and tuple(map(int, dl_device)) != there:
        raise ExportError(f"{self!r} is read on {self.device.name}, not on the device {shown(dl_device)} of DLPack")
    options: dict[str, Any] = {} if max_version is None else {"max_version": max_version}
    if is_host or not self.device.gpu:
        _check(self, np, stream)
        return _on_host(self).__dlpack__(**options)
    with self.device.on():
        _check(self, self.device.xp, None)
        return self[...].__dlpack__(stream=stream, **options)


def dlpack_device(self: Readable) -> tuple[int, int]:
    """Where `__dlpack__` gives the values, as DLPack numbers devices: `(1, 0)` is host memory."""
    with self.device.on():
        kind, number = self.device.array((0,), np.dtype(np.uint8)).__dlpack_device__()
    return int(kind), int(number)


def _check(array: Readable, xp: Any, host_stream: Any) -> None:
    """ExportError, before anything is read, where values of the array could not be exported."""
    if host_stream is not None:
        raise ExportError(f"values in host memory have no stream: stream={shown(host_stream)}")
    try:
        xp.empty(0, array.dtype).__dlpack__()
    except Exception as error:  # NumPy and CuPy raise several kinds
        advice = "a.get(dtype='float32') converts numbers to a dtype that it has"
        name = f"the DLPack of {xp.__name__}"
        raise ExportError(f"{name} has no dtype {array.dtype}, which is that of {array!r} ({advice})") from error


def _on_host(array: Readable) -> np.ndarray:
    result = array[...]
    return array.device.download(result) if array.device.gpu else np.asarray(result)

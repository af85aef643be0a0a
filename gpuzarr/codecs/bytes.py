"""bytes: the elements of a chunk in C order, in a given byte order.

Source: Zarr v3 `bytes` codec. Zarr v2 stores chunks so too, in the byte order of the array's dtype.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.codecs import Kind
from gpuzarr.cpu.chunkwise import check_sizes
from gpuzarr.cpu.elements import part
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.on_gpu import fits_gpu
from gpuzarr.errors import MetadataError, UnsupportedError


@dataclass(frozen=True)
class Bytes:
    """`stored`: the dtype of the stored elements, where `endian` cannot express it (v2, mixed orders in a struct)."""

    names: ClassVar[tuple[str, ...]] = ("bytes",)
    ids: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[Kind] = "array->bytes"
    reads_headers: ClassVar[bool] = False

    endian: str | None = None
    stored: np.dtype | None = None

    def __post_init__(self) -> None:
        if self.endian not in (None, "little", "big"):
            raise MetadataError(f"codec 'bytes': endian must be 'little' or 'big', not {self.endian!r}")

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> Bytes:
        if unknown := set(configuration) - {"endian"}:
            raise MetadataError(f"codec 'bytes' does not take {sorted(unknown)}")
        return cls(**configuration)

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        if spec.nbytes is None:
            raise MetadataError(f"codec 'bytes' does not take elements of variable length ({spec.dtype})")
        if self.stored is None and self.endian is None and _has_order(spec.dtype):
            raise MetadataError(f"codec 'bytes' needs `endian` for elements of several bytes ({spec.dtype})")
        if self._swapped(spec.dtype) and _has_swapped_parts(spec.dtype):
            raise UnsupportedError(f"codec 'bytes': {spec.dtype} in the other byte order")
        if self.stored is not None and self.stored.itemsize != spec.dtype.itemsize:
            raise MetadataError(f"codec 'bytes': {self.stored} does not hold elements of {spec.dtype}")
        return BytesSpec(spec.nbytes)

    def why_host(self, spec: ChunkSpec) -> str | None:
        return None if fits_gpu(spec.dtype) else f"the GPU has no {spec.dtype}"

    def is_native(self, spec: ChunkSpec) -> bool:
        """Whether the stored bytes are the elements as NumPy holds them."""
        return self._stored(spec.dtype) == spec.dtype

    def memory_order(self, spec: ChunkSpec) -> tuple[tuple[int, ...], int]:
        return tuple(range(len(spec.shape))), _unit(spec.dtype) if self._swapped(spec.dtype) else 1

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        nbytes = spec.nbytes or 0
        check_sizes("bytes", chunks, nbytes)
        if nbytes == 0 or not len(chunks):
            return device.xp.zeros((len(chunks), *spec.shape), spec.dtype)
        rows = _rows(chunks, nbytes, device)
        if device.gpu:
            return _on_gpu(rows, spec, self._swapped(spec.dtype), device.xp)
        stored = self._stored(spec.dtype)
        if stored is None:
            return rows.view(_unsigned(spec.dtype)).byteswap().view(spec.dtype).reshape(len(chunks), *spec.shape)
        return rows.view(stored).reshape(len(chunks), *spec.shape)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        nbytes, count = self.encoded(spec).nbytes or 0, len(chunks)
        if nbytes and count and not device.gpu:  # the elements themselves, where they need no change
            rows = self._row_bytes(chunks, spec, device)
            return EncodedBatch(rows.reshape(-1), np.arange(count) * nbytes, np.full(count, nbytes, np.int64))
        encoded_batch = device.encoded_batch(np.full(len(chunks), nbytes, np.int64))
        if nbytes and len(chunks):
            step = nbytes if len(chunks) == 1 else int(encoded_batch.starts[1] - encoded_batch.starts[0])
            rows = _strided(encoded_batch.data[int(encoded_batch.starts[0]) :], len(chunks), nbytes, step, device.xp)
            rows[...] = self._row_bytes(chunks, spec, device)
        return encoded_batch

    def _row_bytes(self, chunks: Any, spec: ChunkSpec, device: Device) -> Any:
        """The stored bytes of each chunk as a row."""
        stored = None if device.gpu else self._stored(spec.dtype)
        data = device.xp.ascontiguousarray(chunks.astype(spec.dtype if stored is None else stored, copy=False))
        rows = data.reshape(len(chunks), -1).view(np.uint8)
        return _reversed(rows, spec.dtype) if stored is None and self._swapped(spec.dtype) else rows

    def _swapped(self, dtype: np.dtype) -> bool:
        """Whether the byte order of stored elements is not the native one."""
        if self.stored is not None:
            return not self.stored.isnative
        return self.endian is not None and _has_order(dtype) and (self.endian == "little") != np.little_endian

    def _stored(self, dtype: np.dtype) -> np.dtype | None:
        """The NumPy dtype of stored elements; None where NumPy cannot convert it: byte-swapped ml_dtypes and times."""
        if _is_plain_time(dtype) and self._swapped(dtype):
            return None
        if self.stored is not None:
            return self.stored
        if not self._swapped(dtype):
            return dtype
        return dtype.newbyteorder("S") if dtype.isbuiltin != 2 else None


def _has_order(dtype: np.dtype) -> bool:
    """Whether elements have parts of several bytes, so that a byte order must be given."""
    if dtype.names is not None:
        return any(_has_order(dtype[name].base) for name in dtype.names)
    if dtype.subdtype is not None:
        return _has_order(dtype.base)
    return dtype.itemsize > 1 and dtype.type is not np.void and dtype.kind != "S"


def _is_plain_time(dtype: np.dtype) -> bool:
    """True for times without a unit, whose bytes NumPy casts to the other byte order as they are."""
    return dtype.kind in "mM" and np.datetime_data(dtype)[0] == "generic"


def _has_swapped_parts(dtype: np.dtype) -> bool:
    """Whether a field is a complex number of ml_dtypes, which NumPy would swap as a whole."""
    if dtype.names is None:
        return False
    fields = [dtype[name].base for name in dtype.names]
    return any(_has_swapped_parts(field) or (field.isbuiltin == 2 and part(field)[1] > 1) for field in fields)


def _unit(dtype: np.dtype) -> int:
    """Bytes of the part of an element that has a byte order."""
    return 4 if dtype.kind == "U" else part(dtype)[0].itemsize


def _unsigned(dtype: np.dtype) -> np.dtype:
    return np.dtype(f"u{_unit(dtype)}")


def _reversed(rows: Any, dtype: np.dtype) -> Any:
    """Reverse the bytes of each unit of each row."""
    return rows.reshape(len(rows), -1, _unit(dtype))[..., ::-1].reshape(rows.shape)


def _on_gpu(rows: Any, spec: ChunkSpec, swapped: bool, xp: Any) -> Any:
    """Convert rows of bytes to an aligned batch in native order: CuPy knows no other, and kernels need alignment."""
    if swapped:
        rows = _reversed(rows, spec.dtype)
    rows = xp.ascontiguousarray(rows)
    address = rows.data.ptr if hasattr(rows.data, "ptr") else rows.ctypes.data
    if address % spec.dtype.itemsize:
        rows = rows.copy()
    return rows.view(spec.dtype).reshape(len(rows), *spec.shape)


def _rows(chunks: EncodedBatch, nbytes: int, device: Device) -> Any:
    """The bytes of each chunk as a row, shape (n, nbytes): a view where the starts allow it.

    Evenly spaced chunks are a strided view. Chunks at multiples of their size, in any order (an uncompressed shard in
    Morton order), are rows taken from one view. All others are copied chunk by chunk.
    """
    starts, data, xp = chunks.starts, chunks.data, device.xp
    first, n = int(starts[0]), len(chunks)
    if n == 1:
        return data[first : first + nbytes].reshape(1, nbytes)
    steps = np.diff(starts)
    step = int(steps[0])
    if step >= nbytes and (steps == step).all():
        return _strided(data[first:], n, nbytes, step, xp)
    low = int(starts.min())
    rows, remainders = np.divmod(starts - low, nbytes)
    if not remainders.any():
        base = data[low : low + (int(rows.max()) + 1) * nbytes].reshape(-1, nbytes)
        return base.take(device.upload(rows) if device.gpu else rows, axis=0)
    return _gathered(chunks, nbytes, device)


def _gathered(chunks: EncodedBatch, nbytes: int, device: Device) -> Any:
    """Copy chunks at any offsets to rows."""
    if device.gpu:
        made = device.encoded_batch(np.full(len(chunks), nbytes, np.int64))
        gpu.tables.copy(device, gpu.tables.addresses(chunks, device), gpu.tables.addresses(made, device), made.sizes)
        return _strided(made.data, len(chunks), nbytes, int(made.starts[1]), device.xp)
    out = np.empty((len(chunks), nbytes), np.uint8)
    for i, start in enumerate(chunks.starts.tolist()):
        out[i] = chunks.data[start : start + nbytes]
    return out


def _strided(data: Any, n: int, nbytes: int, step: int, xp: Any) -> Any:
    """View `data` as `n` rows of `nbytes` bytes, one every `step` bytes."""
    return xp.lib.stride_tricks.as_strided(data, (n, nbytes), (step, 1))


CODEC = Bytes

"""zarrs.vlen: the bytes of elements of variable length one after another, and an index of where each begins.

Source: https://docs.rs/zarrs, array_to_bytes::vlen. The index has the end of the last element, too, as in Apache
Arrow; it goes through `index_codecs`, the bytes (uint8, one axis) through `data_codecs`. A chunk is the size of
the encoded index in bytes (uint64, little-endian), the index, and the data; or data, index, size. No data, no bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any, ClassVar, Literal

import numpy as np

from gpuzarr import codecs
from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.checks import known, required
from gpuzarr.codecs import Codec, Kind
from gpuzarr.codecs.chain import Chain
from gpuzarr.cpu.chunkwise import check_declared, each, pack
from gpuzarr.cpu.objects import flat
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.dtypes.objects import is_text
from gpuzarr.errors import CodecError, MetadataError

_SIZE = 8  # bytes of the size of the index
_FIELDS = ("index_codecs", "data_codecs", "index_data_type", "index_location")


@dataclass(frozen=True)
class Vlen:
    """Strings (in UTF-8) where the array is of strings, else bytes."""

    names = ("zarrs.vlen",)
    ids = ()
    kind: ClassVar[Kind] = "array->bytes"

    index_codecs: tuple[Codec, ...]
    data_codecs: tuple[Codec, ...]
    index_data_type: Literal["uint32", "uint64"]
    index_location: Literal["start", "end"] = "start"

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> Vlen:
        known(configuration, "configuration of codec 'zarrs.vlen'", _FIELDS)
        index, data = (codecs.parse(required(configuration, name)) for name in _FIELDS[:2])
        offset, location = required(configuration, "index_data_type"), configuration.get("index_location", "start")
        if offset not in ("uint32", "uint64"):
            raise MetadataError(f"index_data_type must be 'uint32' or 'uint64', not {offset!r}")
        if location not in ("start", "end"):
            raise MetadataError(f"index_location must be 'start' or 'end', not {location!r}")
        return cls(index, data, offset, location)

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        if spec.dtype.kind not in "OT":
            raise MetadataError(f"codec 'zarrs.vlen' takes elements of variable length, not {spec.dtype}")
        self._index(spec)
        self._data(1)
        return BytesSpec(None, allowed=spec.allowed)

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "a GPU has no elements of variable length"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        index, out = self._index(spec), np.empty((len(chunks), prod(spec.shape)), spec.dtype)
        rows = each("zarrs.vlen", chunks, lambda chunk: self._decode_one(chunk, index, spec))
        for i, row in enumerate(rows):
            for j, element in enumerate(row):  # an array made of bytes objects would lose zeros at their ends
                out[i, j] = element
        return out.reshape(len(chunks), *spec.shape)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        index, rows = self._index(spec), flat(chunks).astype(object)
        return pack(each("zarrs.vlen", rows, lambda row: self._encode_one(row.tolist(), index)), device)

    def _index(self, spec: ChunkSpec) -> Chain:
        return Chain.build(self.index_codecs, ChunkSpec((prod(spec.shape) + 1,), np.dtype(self.index_data_type), 0))

    def _data(self, nbytes: int) -> Chain:
        return Chain.build(self.data_codecs, ChunkSpec((nbytes,), np.dtype(np.uint8), 0))

    def _decode_one(self, chunk: np.ndarray[Any, Any], index: Chain, spec: ChunkSpec) -> list[Any]:
        """The elements of one chunk."""
        raw_index, raw_data = self._parts(chunk)
        offsets = _decoded(index, raw_index).astype(np.uint64)
        if (offsets[1:] < offsets[:-1]).any():
            raise CodecError("the offsets of the elements do not rise")
        nbytes = int(offsets[-1])
        check_declared(nbytes, chunk.size, BytesSpec(None, allowed=spec.allowed))
        if (nbytes == 0) != (raw_data.size == 0):
            raise CodecError(f"the elements have {nbytes} bytes, and {raw_data.size} bytes hold them")
        data = _decoded(self._data(nbytes), raw_data).tobytes() if nbytes else b""
        pieces = (data[begin:end] for begin, end in pairwise(offsets.tolist()))
        return [str(piece, "utf-8") for piece in pieces] if is_text(spec.dtype) else list(pieces)

    def _parts(self, chunk: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The encoded index and the encoded data."""
        if chunk.size < _SIZE:
            raise CodecError(f"{chunk.size} bytes are too few for the size of the index")
        first = self.index_location == "start"
        size, rest = (chunk[:_SIZE], chunk[_SIZE:]) if first else (chunk[-_SIZE:], chunk[:-_SIZE])
        nbytes = int.from_bytes(size.tobytes(), "little")
        if nbytes > rest.size:
            raise CodecError(f"an index of {nbytes} bytes in a chunk of {chunk.size}")
        cut = nbytes if first else rest.size - nbytes
        return (rest[:cut], rest[cut:]) if first else (rest[cut:], rest[:cut])

    def _encode_one(self, elements: Sequence[Any], index: Chain) -> bytes:
        pieces = [element.encode() if isinstance(element, str) else element for element in elements]
        if not all(isinstance(piece, bytes) for piece in pieces):
            raise CodecError("an element is neither a string nor bytes")
        offsets = np.cumsum([0, *map(len, pieces)], dtype=np.uint64)
        if offsets[-1] > np.iinfo(index.spec.dtype).max:
            raise CodecError(f"{offsets[-1]} bytes are too many for offsets of {self.index_data_type}")
        raw_index = _encoded(index, offsets.astype(index.spec.dtype))
        data = np.frombuffer(b"".join(pieces), np.uint8)
        raw_data = _encoded(self._data(data.size), data) if data.size else b""
        size = len(raw_index).to_bytes(_SIZE, "little")
        return size + raw_index + raw_data if self.index_location == "start" else raw_data + raw_index + size


def _decoded(chain: Chain, raw: np.ndarray[Any, Any]) -> Any:
    """Decode one chunk by a chain."""
    raw = np.ascontiguousarray(raw)
    return chain.decode(EncodedBatch(raw, np.zeros(1, np.int64), np.array([raw.size], np.int64)), CPU)[0]


def _encoded(chain: Chain, chunk: np.ndarray[Any, Any]) -> bytes:
    """Encode one chunk by a chain."""
    return bytes(chain.encode(chunk[None], CPU)[0])


CODEC = Vlen

"""Chunks of codecs that only other packages have, such as those of GRIB and of images: they are decoded when read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from gpuzarr.errors import StoreError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.parts import INLINE, Places
from gpuzarr.stores.references.document import Columns, inline_bytes
from gpuzarr.stores.references.made import Made, Recent
from gpuzarr.stores.references.streams import fetched
from gpuzarr.stores.references.table import ReferenceTable

NATIVE = frozenset(
    ("zlib", "gzip", "zstd", "lz4", "lzma", "bz2", "blosc", "shuffle", "delta", "fletcher32", "astype", "packbits")
)  # ids of codecs that this library has itself, of those that files of other formats use
SAME = {"imagecodecs_zstd": "zstd", "imagecodecs_deflate": "zlib", "imagecodecs_zlib": "zlib"}  # by other ids
_ARRAY = ".zarray"


@dataclass(frozen=True)
class Decoder:
    """The codecs of an array, as numcodecs finds them, in the order of encoding; dtype and shape of its chunks."""

    codecs: list[dict[str, Any]]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    def decode(self, data: bytes, name: str) -> bytes:
        """The bytes of a chunk. StoreError, naming it, where a codec fails."""
        import numcodecs

        try:
            made: Any = data
            for each in reversed(self.codecs):
                made = numcodecs.get_codec(dict(each)).decode(made)
            found = made if isinstance(made, np.ndarray) else np.frombuffer(made, np.uint8)
            whole = np.ascontiguousarray(found if found.dtype == np.uint8 else found.astype(self.dtype)).tobytes()
        except Exception as error:  # of libraries' own classes
            raise StoreError(f"cannot decode {name}: {type(error).__name__}: {error}") from error
        if len(whole) != self.nbytes:
            raise StoreError(f"cannot decode {name}: {len(whole)} bytes, expected {self.nbytes}")
        return whole


def without_unknown_codecs(columns: Columns) -> tuple[Columns, dict[str, Decoder]]:
    """References whose arrays have only codecs of this library; and how the chunks of the others are decoded."""
    inline, decoders = dict(columns.inline), {}
    for row, key in enumerate(columns.keys):
        if key.rpartition("/")[2] != _ARRAY:
            continue
        document = json.loads(inline_bytes(inline[row], key))
        codecs = [*(document.get("filters") or []), *([document["compressor"]] if document.get("compressor") else [])]
        codecs = [{"id": SAME[each["id"]]} if each["id"] in SAME else each for each in codecs]
        if all(each["id"] in NATIVE for each in codecs):
            inline[row] = document | {"filters": codecs or None, "compressor": None}
            continue
        dtype, shape = np.dtype(document["dtype"]), tuple(document["chunks"])
        decoders[key.removesuffix(_ARRAY).removesuffix("/")] = Decoder(codecs, dtype, shape)
        inline[row] = document | {"filters": None, "compressor": None}
    return replace(columns, inline=inline), decoders


@dataclass(frozen=True)
class DecodedTable:
    """A table of one file, in which chunks of some arrays are decoded. See `Table`."""

    table: ReferenceTable
    decoders: Mapping[str, Decoder]
    source: tuple[Any, ...]
    version: Any = field(default=None)

    def __repr__(self) -> str:
        return repr(self.table)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.source

    def holders(self) -> Sequence[tuple[Store, str]]:
        return self.table.holders()

    def forget(self) -> None:
        self.table.forget()

    def places(self, keys: Sequence[str]) -> Places:
        found = self.table.places(keys)
        inline, recent = dict[int, Any](found.inline), Recent()
        for i in np.flatnonzero(found.holders >= 0).tolist():
            if (decoder := self.decoders.get(keys[i].rpartition("/")[0])) is not None:
                place = int(found.holders[i]), int(found.offsets[i]), int(found.sizes[i])
                make = partial(self._decoded, decoder, keys[i], *place)
                inline[i] = Made(keys[i], self.version, decoder.nbytes, make, recent)
                found.holders[i] = INLINE
        return replace(found, inline=inline)

    def _decoded(self, decoder: Decoder, key: str, holder: int, offset: int, size: int) -> bytes:
        store, inner = self.holders()[holder]
        return decoder.decode(fetched(store, inner, offset, size, self.version), f"{key!r} of {self!r}")

    def names(self, prefix: str) -> list[str]:
        return self.table.names(prefix)

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        for key, size in self.table.objects(prefix):
            decoder = self.decoders.get(key.rpartition("/")[0])
            is_chunk = decoder is not None and not key.rpartition("/")[2].startswith(".z")
            yield key, decoder.nbytes if decoder is not None and is_chunk else size

"""json2: Python objects as JSON. Source: numcodecs."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.checks import shown
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import ElementsDecoder, ElementsEncoder
from gpuzarr.cpu.chunkwise import each, pack, stacked
from gpuzarr.cpu.objects import document, flat, of_documents, row
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError, UnsupportedError

# Encodings that take time in proportion to the text, by the names that Python has for them. (Of the others "punycode"
# and "idna" take its square.)
_LINEAR = re.compile(
    r"utf-(8(-sig)?|(16|32)(-[bl]e)?)|ascii|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|euc_\w+|gbk|gb18030|big5|shift_jis"
)


@dataclass(frozen=True)
class Json2:
    """Options of Python's json module, and the encoding of the text."""

    names = ("numcodecs.json2", "json2")
    ids = ("json2",)
    kind: ClassVar[Kind] = "array->bytes"

    encoding: str = "utf-8"
    skipkeys: bool = False
    ensure_ascii: bool = True
    check_circular: bool = True
    allow_nan: bool = True
    sort_keys: bool = True
    indent: int | None = None
    separators: tuple[str, str] | None = None
    strict: bool = True

    def __post_init__(self) -> None:
        try:
            found = codecs.lookup(self.encoding)
        except (LookupError, TypeError, ValueError) as error:
            raise MetadataError(f"codec 'json2': unknown encoding {shown(self.encoding)}") from error
        if not _LINEAR.fullmatch(found.name):
            raise UnsupportedError(f"codec 'json2': the encoding {shown(self.encoding)} is not supported")

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        return of_documents(spec)

    def why_host(self, spec: ChunkSpec) -> str | None:
        return "a GPU has no Python objects"

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return stacked("json2", chunks, spec, self.elements_decoder(spec))

    def elements_decoder(self, spec: ChunkSpec) -> ElementsDecoder:
        decode = json.JSONDecoder(strict=self.strict).decode

        def fill(chunk: np.ndarray, target: np.ndarray) -> None:
            try:
                target.reshape(-1)[...] = row(decode(chunk.tobytes().decode(self.encoding)), spec)
            except RecursionError as error:
                raise CodecError("the document is nested too deeply") from error

        return fill

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch:
        return pack(each("json2", flat(chunks), self.elements_encoder(spec)), device)

    def elements_encoder(self, spec: ChunkSpec) -> ElementsEncoder:
        item, key = self.separators or ((",", ":") if self.indent is None else (", ", ": "))
        encoder = json.JSONEncoder(
            skipkeys=self.skipkeys,
            ensure_ascii=self.ensure_ascii,
            check_circular=self.check_circular,
            allow_nan=self.allow_nan,
            sort_keys=self.sort_keys,
            indent=self.indent,
            separators=(item, key),
        )
        return lambda chunk: encoder.encode(document(chunk, spec.shape)).encode(self.encoding)


CODEC = Json2

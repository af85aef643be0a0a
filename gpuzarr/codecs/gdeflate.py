"""zarrs.gdeflate: nvCOMP's variant of DEFLATE for GPUs, in pages. Source: `gpuzarr/formats/gdeflate.py`; zarrs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.codecs import Kind
from gpuzarr.cpu import chunkwise
from gpuzarr.cpu.gdeflate_library import Encoder, decode_page
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError
from gpuzarr.formats import gdeflate as chunk_format
from gpuzarr.formats.blocks import Blocks


@dataclass(frozen=True)
class Gdeflate:
    """`level`: 0 (no compression) to 12. nvCOMP has fewer levels, so chunks that a GPU encodes differ in size."""

    names = ("zarrs.gdeflate",)
    ids = ()
    kind: ClassVar[Kind] = "bytes->bytes"
    few_readers: ClassVar[str] = "zarr-python cannot read its chunks; zarrs can, if built with its feature `gdeflate`"

    level: int = 9

    def __post_init__(self) -> None:
        if type(self.level) is not int or not 0 <= self.level <= 12:
            raise MetadataError(f"codec 'zarrs.gdeflate': level must be 0 to 12, not {self.level!r}")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        """A page may grow: nvCOMP's bound is a little more than twice its size."""
        return spec.resized(chunk_format.max_stored_bytes).compressed()

    def why_host(self, spec: BytesSpec) -> str | None:
        return gpu.gdeflate.why_host(spec)

    def why_host_to_encode(self, spec: BytesSpec) -> str | None:
        return gpu.gdeflate.why_host_to_encode(self.level, spec)

    @classmethod
    def warm_up_examples(cls) -> tuple[Gdeflate, ...]:
        return (cls(),)

    @property
    def body_offset(self) -> int:
        return 0  # the header and the pages are whole words, so pages are aligned where their chunk is

    def streams(self, spec: BytesSpec) -> tuple[Algorithm, int]:
        return gpu.algorithms.GDEFLATE, chunk_format.count_of(spec.nbytes or 0) or 1

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        return nbytes + stored

    def encode_scratch_bytes(self, nbytes: int, before: int, device: Device) -> tuple[int, int]:
        return gpu.gdeflate.encode_scratch_bytes(self.level, nbytes, before, device)

    def blocks(self, chunks: EncodedBatch, nbytes: int) -> Blocks:
        """The pages of chunks, whose bytes are in host memory, that decode to `nbytes` bytes each."""
        data = chunks.data if chunks.host is None else chunks.host
        return chunk_format.pages(data, chunks.starts, chunks.sizes, nbytes)

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        if device.gpu:
            return gpu.gdeflate.decode(self, chunks, spec, device, into)
        if spec.nbytes is None:
            return chunkwise.unmeasured("gdeflate", chunks, device, lambda chunk: _decode_declared(chunk, spec))
        return chunkwise.filled("gdeflate", chunks, spec.nbytes, device, into, _fill)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        if device.gpu:
            return gpu.gdeflate.encode(self.level, chunks, spec, device)
        return chunkwise.encoded("gdeflate", chunks, device, self._encode)

    def _encode(self, chunk: np.ndarray) -> bytes:
        size = chunk_format.PAGE_BYTES
        encoder = Encoder(self.level)
        pages = [encoder.encode(chunk[at : at + size]) for at in range(0, len(chunk), size)]
        return b"".join([chunk_format.header(len(chunk), [len(page) for page in pages]), *pages])


def _fill(chunk: np.ndarray, target: np.ndarray) -> None:
    pages = chunk_format.pages(chunk, np.zeros(1, np.int64), np.array([len(chunk)], np.int64), len(target))
    if not pages.good[0]:
        raise CodecError(f"the header does not fit a chunk of {len(chunk)} bytes that decodes to {len(target)} bytes")
    columns = pages.source, pages.size, pages.target, pages.nbytes
    for source, size, at, nbytes in zip(*(column.tolist() for column in columns), strict=True):
        decode_page(chunk[source : source + size], target[at : at + nbytes])


def _decode_declared(chunk: np.ndarray, spec: BytesSpec) -> np.ndarray:
    """Decode a chunk whose decoded size only its header declares."""
    nbytes = chunk_format.declared(chunk)
    chunkwise.check_declared(nbytes, len(chunk), spec)
    target = np.empty(nbytes, np.uint8)
    _fill(chunk, target)
    return target


CODEC = Gdeflate

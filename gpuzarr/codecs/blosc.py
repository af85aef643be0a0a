"""blosc: chunks in blocks, shuffled, then compressed by one of several codecs (Blosc 1). Source: numcodecs; c-blosc."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import AddressDecoder
from gpuzarr.cpu import chunkwise
from gpuzarr.cpu.blosc_library import compressor, decoder
from gpuzarr.cpu.blosc_snappy import decode_snappy
from gpuzarr.cpu.chunkwise import Decode, Encoder
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError
from gpuzarr.formats.blosc_frame import HEADER, SNAPPY, cut_out, parse_headers
from gpuzarr.formats.blosc_shape import FrameShape, frame_shape
from gpuzarr.gpu import blosc as gpu
from gpuzarr.gpu import blosc_encode as gpu_encode
from gpuzarr.gpu.planes import Planes

_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
_AUTO = -1
_LARGEST = 2**31 - 17  # bytes of a chunk
_HEADER = struct.Struct("<BBBBiii")
_CNAMES = ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd")


@dataclass(frozen=True)
class Blosc:
    """Only writing asks for the fields: a chunk says itself what it is.

    `shuffle`: 0 none, 1 byte, 2 bit, -1 bit for single bytes and byte for others. `typesize`: bytes of an
    element; None (v2, where the array's dtype says it) counts as 1.
    """

    names = ("blosc", "numcodecs.blosc")
    ids = ("blosc",)
    kind: ClassVar[Kind] = "bytes->bytes"

    cname: str = "lz4"
    clevel: int = 5
    shuffle: int = 1
    blocksize: int = 0
    typesize: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.shuffle, str):
            object.__setattr__(self, "shuffle", _SHUFFLES.get(self.shuffle, self.shuffle))
        if type(self.shuffle) is not int or self.shuffle not in (0, 1, 2, _AUTO):
            raise MetadataError(f"codec 'blosc': shuffle must be one of {list(_SHUFFLES)}, not {self.shuffle!r}")
        if self.cname not in _CNAMES:
            raise MetadataError(f"codec 'blosc': cname must be one of {list(_CNAMES)}, not {self.cname!r}")
        if type(self.clevel) is not int or not 0 <= self.clevel <= 9:
            raise MetadataError(f"codec 'blosc': clevel must be 0 to 9, not {self.clevel!r}")
        if type(self.blocksize) is not int or self.blocksize < 0:
            raise MetadataError(f"codec 'blosc': blocksize must be a number of bytes, not {self.blocksize!r}")
        if self.typesize is not None and (type(self.typesize) is not int or self.typesize < 1):
            raise MetadataError(f"codec 'blosc': typesize must be a number of bytes, not {self.typesize!r}")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return BytesSpec(None)

    def why_host(self, spec: BytesSpec) -> str | None:
        return gpu.why_host(spec)

    def why_host_to_encode(self, spec: BytesSpec) -> str | None:
        why = gpu_encode.why_host(self.cname, self.clevel, spec)
        return why or gpu_encode.too_large(self.frame(spec.nbytes or 0))

    @classmethod
    def warm_up_examples(cls) -> tuple[Blosc, ...]:
        return cls("lz4", shuffle=1, typesize=4), cls("zstd", shuffle=2, typesize=4)

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        return gpu.decode_scratch_bytes(self.cname, nbytes, stored)

    def encode_scratch_bytes(self, nbytes: int, before: int, device: Device) -> tuple[int, int]:
        return gpu_encode.scratch_bytes(self.frame(nbytes), device)

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        if device.gpu:
            return gpu.decode(self, chunks, spec, device, into)
        if spec.nbytes is not None and _all_plain(chunks, spec.nbytes):
            target = chunkwise.room(chunks, spec.nbytes, device, into)
            if (decode := decoder()) is not None:
                return chunkwise.by_address("blosc", chunks, target, spec.nbytes, decode)
            _decode_others(chunks, target, range(len(chunks)))
            return target
        headers = parse_headers(chunks, spec.nbytes)
        target = _room(headers.nbytes, device) if into is None else into
        snappy = np.flatnonzero((headers.codec == SNAPPY) & ~headers.copied)
        if len(snappy):
            _decode_snappy(chunks, target, snappy)
        others = np.setdiff1d(np.flatnonzero(headers.nbytes), snappy, assume_unique=True)
        _decode_others(chunks, target, others.tolist())
        return target

    def chunk_decoder(self) -> AddressDecoder | None:
        """A decoder that decodes only those blocks of a chunk that have wanted bytes."""
        return None if (decode := decoder()) is None else _chunk_decoder(decode)

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        if device.gpu:
            return gpu_encode.encode(self.frame(spec.nbytes or 0), chunks, device)
        if (chunks.sizes < _LARGEST).all() and (encoder := self.chunk_encoder()) is not None:
            return chunkwise.encoded_by_address("blosc", chunks, device, encoder)
        from numcodecs.blosc import compress

        def encode(chunk: np.ndarray) -> Any:
            element = np.dtype(f"V{self._element(len(chunk))}")
            return compress(chunk.view(element), self.cname.encode(), self.clevel, self._shuffle(), self.blocksize)

        return chunkwise.encoded("blosc", chunks, device, encode)

    def chunk_encoder(self) -> Encoder | None:
        """c-blosc, for chunks of less than 2 GiB on the host; None where it cannot be called by address."""
        run, shuffle, cname = compressor(), self._shuffle(), self.cname
        if run is None or (self.typesize or 1) > 255:
            return None

        def encode(target: int, room: int, source: int, nbytes: int) -> int:
            element = self._element(nbytes)
            return run(target, room, source, nbytes, element, cname, self.clevel, shuffle, self.blocksize)

        return Encoder(lambda nbytes: nbytes + HEADER, encode)

    def planes(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, width: int, bits: np.ndarray
    ) -> EncodedBatch | Planes:
        """As `decode` on a GPU, but what placement can undo is left to it, and chunks stored plain are not copied."""
        return gpu.planes(self, chunks, spec, device, width, bits)

    def frame(self, nbytes: int) -> FrameShape:
        """What a frame of a chunk of `nbytes` bytes looks like, as a GPU makes it."""
        element, shuffle = self._element(nbytes), self._shuffle()
        return frame_shape(self.cname, self.clevel, shuffle, element, nbytes, self.blocksize)

    def _element(self, nbytes: int) -> int:
        """Bytes of an element of a chunk of `nbytes` bytes."""
        typesize = self.typesize or 1
        return typesize if nbytes and nbytes % typesize == 0 else 1

    def _shuffle(self) -> int:
        return self.shuffle if self.shuffle != _AUTO else 2 if (self.typesize or 1) == 1 else 1


def _chunk_decoder(decode: Decode) -> AddressDecoder:
    def run(target: int, nbytes: int, stored: memoryview, source: int, first: int, last: int) -> None:
        size = len(stored)
        if size < HEADER or not _plain(stored, 0, size, nbytes):
            raise CodecError("the header of the chunk is unusual")
        if stored.readonly or last - first == nbytes:
            return decode(target, nbytes, source, size)
        cut = cut_out(stored, first, last)
        try:
            decode(target + cut.skipped, cut.nbytes, source + cut.start, size - cut.start)
        except CodecError:
            cut.undo(stored)
            raise

    return run


def _room(sizes: np.ndarray, device: Device) -> EncodedBatch:
    """An encoded batch for chunks of the sizes that their headers say."""
    try:
        return device.encoded_batch(sizes)
    except MemoryError as error:
        raise CodecError(f"blosc: the headers say {int(sizes.sum())} bytes, for which there is no memory") from error


def _all_plain(chunks: EncodedBatch, nbytes: int) -> bool:
    """Whether the headers of all chunks are what they mostly are, so that c-blosc may decode them.

    `parse_headers` takes all chunks at once, but 50 microseconds; this takes half of one a chunk.
    """
    data = memoryview(chunks.data)
    for start, size in zip(chunks.starts.tolist(), chunks.sizes.tolist(), strict=True):
        if size < HEADER or not _plain(data, start, size, nbytes):
            return False
    return True


def _plain(data: Any, start: int, size: int, nbytes: int) -> bool:
    """Whether the header at `start` of a chunk of `size` bytes is what it mostly is."""
    version, lz_version, flags, typesize, decoded, blocksize, stored = _HEADER.unpack_from(data, start)
    if version != 2 or lz_version != 1 or flags & 8 or flags >> 5 in (SNAPPY, 5, 6, 7) or not typesize:
        return False
    return bool(decoded == nbytes and stored == size and 0 < blocksize <= nbytes and not blocksize % typesize)


def _decode_others(chunks: EncodedBatch, target: EncodedBatch, which: Iterable[int]) -> None:
    """Chunks of any codec but snappy, by c-blosc; the interpreter is free for other threads meanwhile."""
    from numcodecs.blosc import decompress

    i = 0
    try:
        for i in which:
            decompress(chunks[i], target[i])
    except Exception as error:
        raise chunkwise.blamed("blosc", error, i) from error


def _decode_snappy(chunks: EncodedBatch, target: EncodedBatch, which: np.ndarray) -> None:
    """Chunks of snappy streams, which numcodecs' build of c-blosc cannot read."""
    try:
        decode_snappy(chunks.take(which), target.take(which))
    except CodecError as error:
        raise CodecError(str(error), None if error.index is None else int(which[error.index])) from error


CODEC = Blosc

"""blosc: chunks cut into blocks, shuffled, and compressed by one of several codecs (Blosc 1).

Source: numcodecs; c-blosc.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr import gpu, native
from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured, address
from gpuzarr.codecs import Kind
from gpuzarr.codecs.contract import AddressDecoder
from gpuzarr.cpu import chunkwise
from gpuzarr.cpu.blosc_library import decoder, encoder
from gpuzarr.cpu.blosc_snappy import decode_snappy, encode_snappy
from gpuzarr.cpu.chunkwise import Encoder
from gpuzarr.cpu.functions import Function, One
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError
from gpuzarr.formats.blosc_frame import HEADER, MAX_SMALL_BYTES, MIN_BLOCK_BYTES, SNAPPY, cut_out, parse_headers
from gpuzarr.formats.blosc_shape import FrameShape, frame_shape

_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}
_AUTO = -1
_MAX_CHUNK_BYTES = 2**31 - 17
_HEADER = struct.Struct("<BBBBiii")
_CNAMES = ("blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd")


@dataclass(frozen=True)
class Blosc:
    """The fields are used for writing only: the header of a chunk describes it completely.

    A GPU decodes streams of every `cname`, by nvCOMP or, for blosclz, by a kernel of ours. It encodes all of them
    except lz4hc, and zstd of levels above 5: nvCOMP has one level of each, which compresses less.

    `shuffle`: 0 none, 1 byte, 2 bit, -1 bit for elements of one byte and byte for others. `typesize`: bytes of an
    element; None (v2, where it is the array's dtype) counts as 1.
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

    @property
    def few_readers(self) -> str | None:
        return "zarr-python cannot read snappy in blosc; tensorstore can" if self.cname == "snappy" else None

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return spec.compressed()

    def why_host(self, spec: BytesSpec) -> str | None:
        return gpu.blosc.why_host(spec)

    def why_host_to_encode(self, spec: BytesSpec) -> str | None:
        why = gpu.blosc_encode.why_host(self.cname, self.clevel, spec)
        return why or gpu.blosc_encode.too_large(self.frame(spec.nbytes or 0))

    @classmethod
    def warm_up_examples(cls) -> tuple[Blosc, ...]:
        return cls("lz4", shuffle=1, typesize=4), cls("zstd", shuffle=2, typesize=4), cls("blosclz")

    def streams(self, spec: BytesSpec) -> tuple[Algorithm, int] | None:
        if not spec.nbytes:
            return None
        return gpu.blosc.algorithm(self.cname), max(1, self.frame(spec.nbytes).streams)

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        return gpu.blosc.decode_scratch_bytes(self.cname, nbytes, stored)

    def encode_scratch_bytes(self, nbytes: int, before: int, device: Device) -> tuple[int, int]:
        return gpu.blosc_encode.scratch_bytes(self.frame(nbytes), self.clevel, device)

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None = None
    ) -> EncodedBatch:
        if device.gpu:
            return gpu.blosc.decode(self, chunks, spec, device, into)
        if spec.nbytes is not None and _all_common(chunks, spec.nbytes):
            target = chunkwise.target_batch(chunks, spec.nbytes, device, into)
            if (decode := decoder()) is not None:
                return chunkwise.by_address("blosc", chunks, target, spec.nbytes, decode)
            _decode_others(chunks, target, range(len(chunks)))
            return target
        headers = parse_headers(chunks, spec.nbytes)
        target = _declared_batch(chunks, headers.nbytes, spec, device) if into is None else into
        snappy = np.flatnonzero((headers.codec == SNAPPY) & ~headers.copied)
        if len(snappy):
            _decode_snappy(chunks, target, snappy)
        others = np.setdiff1d(np.flatnonzero(headers.nbytes), snappy, assume_unique=True)
        _decode_others(chunks, target, others.tolist())
        return target

    def chunk_decoder(self) -> AddressDecoder | None:
        """Make a decoder that decodes only the blocks of a chunk that have wanted bytes."""
        return None if (decode := decoder()) is None else _chunk_decoder(decode.one)

    def decode_function(self) -> Function | None:
        return decoder()

    def encode(self, chunks: EncodedBatch, spec: BytesSpec, device: Device) -> EncodedBatch | Unmeasured:
        if device.gpu:
            return gpu.blosc_encode.encode(self.frame(spec.nbytes or 0), self.clevel, chunks, device)
        if self.cname == "snappy":
            return chunkwise.encoded("blosc", chunks, device, lambda one: encode_snappy(one, self.frame(len(one))))
        if (chunks.sizes < _MAX_CHUNK_BYTES).all() and (encoder := self.chunk_encoder()) is not None:
            return chunkwise.encoded_by_address("blosc", chunks, device, encoder)
        from numcodecs.blosc import compress

        def encode(chunk: np.ndarray) -> Any:
            element = np.dtype(f"V{self._element(len(chunk))}")
            return compress(chunk.view(element), self.cname.encode(), self.clevel, self._shuffle(), self.blocksize)

        return chunkwise.encoded("blosc", chunks, device, encode)

    def chunk_encoder(self) -> Encoder | None:
        """Make an encoder of chunks of less than 2 GiB; None where c-blosc has none, or cannot be called by address."""
        typesize = self.typesize or 1
        if typesize > 255 or self.cname == "snappy":
            return None
        encode = encoder(self.cname, self.clevel, self._shuffle(), typesize, self.blocksize)
        return None if encode is None else Encoder(lambda nbytes: nbytes + HEADER, encode)

    def planes(
        self, chunks: EncodedBatch, spec: BytesSpec, device: Device, width: int, bits: np.ndarray
    ) -> EncodedBatch | gpu.planes.Planes:
        """Decode on a GPU, but leave shuffles that placement can undo, and do not copy chunks that are stored raw."""
        return gpu.blosc.planes(self, chunks, spec, device, width, bits)

    def frame(self, nbytes: int) -> FrameShape:
        """The layout of the frame that a GPU makes of a chunk of `nbytes` bytes."""
        element, shuffle = self._element(nbytes), self._shuffle()
        return frame_shape(self.cname, self.clevel, shuffle, element, nbytes, self.blocksize)

    def _element(self, nbytes: int) -> int:
        """Bytes of an element, for a chunk of `nbytes` bytes: 1 where it is no multiple of `typesize`."""
        typesize = self.typesize or 1
        return typesize if nbytes and nbytes % typesize == 0 else 1

    def _shuffle(self) -> int:
        return self.shuffle if self.shuffle != _AUTO else 2 if (self.typesize or 1) == 1 else 1


def _chunk_decoder(decode: One) -> AddressDecoder:
    def run(target: int, nbytes: int, stored: memoryview, source: int, first: int, last: int) -> None:
        size = len(stored)
        if size < HEADER or not _is_common(stored, 0, size, nbytes):
            raise CodecError("the header of the chunk is unusual")
        if stored.readonly or last - first == nbytes:
            decode(target, nbytes, source, size)
            return
        cut = cut_out(stored, first, last)
        try:
            decode(target + cut.skipped, cut.nbytes, source + cut.start, size - cut.start)
        except CodecError:
            cut.undo(stored)
            raise

    return run


def _declared_batch(chunks: EncodedBatch, sizes: np.ndarray, spec: BytesSpec, device: Device) -> EncodedBatch:
    """Allocate a batch for decoded chunks of the sizes that their headers declare. CodecError where `spec` has less."""
    for i, (nbytes, stored) in enumerate(zip(sizes.tolist(), chunks.sizes.tolist(), strict=True)):
        try:
            chunkwise.check_declared(nbytes, stored, spec)
        except CodecError as error:
            raise CodecError(f"blosc: {error}", i) from error
    chunkwise.check_together(int(sizes.sum()), len(chunks))
    try:
        return device.encoded_batch(sizes)
    except MemoryError as error:
        raise CodecError(
            f"blosc: the headers declare {int(sizes.sum())} bytes, for which there is no memory"
        ) from error


def _all_common(chunks: EncodedBatch, nbytes: int) -> bool:
    """Whether the headers of all chunks are the common case, which c-blosc may decode unchecked."""
    if (library := native.library()) is not None:
        places, sizes = np.ascontiguousarray(chunks.places), np.ascontiguousarray(chunks.sizes)
        return bool(
            library.gpuzarr_count_common_blosc(len(sizes), address(places), address(sizes), nbytes) == len(sizes)
        )
    data = memoryview(chunks.data)
    for start, size in zip(chunks.starts.tolist(), chunks.sizes.tolist(), strict=True):
        if size < HEADER or not _is_common(data, start, size, nbytes):
            return False
    return True


def _is_common(data: Any, start: int, size: int, nbytes: int) -> bool:
    """Whether the header of the chunk of `size` bytes at `start` is that common case."""
    version, lz_version, flags, typesize, decoded, blocksize, stored = _HEADER.unpack_from(data, start)
    if version != 2 or lz_version != 1 or flags & 8 or flags >> 5 in (SNAPPY, 5, 6, 7) or not typesize:
        return False
    if blocksize < MIN_BLOCK_BYTES and nbytes > MAX_SMALL_BYTES:
        return False
    return bool(decoded == nbytes and stored == size and 0 < blocksize <= nbytes and not blocksize % typesize)


def _decode_others(chunks: EncodedBatch, target: EncodedBatch, which: Iterable[int]) -> None:
    """Decode chunks of any inner codec but snappy by c-blosc, which releases the GIL."""
    from numcodecs.blosc import decompress

    i = 0
    try:
        for i in which:
            decompress(chunks[i], target[i])
    except Exception as error:
        raise chunkwise.blamed("blosc", error, i) from error


def _decode_snappy(chunks: EncodedBatch, target: EncodedBatch, which: np.ndarray) -> None:
    """Decode chunks of snappy streams, which numcodecs' build of c-blosc cannot."""
    try:
        decode_snappy(chunks.take(which), target.take(which))
    except CodecError as error:
        raise CodecError(str(error), None if error.index is None else int(which[error.index])) from error


CODEC = Blosc

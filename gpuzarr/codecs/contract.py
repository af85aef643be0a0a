"""The contract of a codec, one step of a chain; and its optional abilities, one small Protocol each.

A codec is a frozen dataclass whose fields are the parsed configuration. Its abilities are looked up once for each step
of a chain (`gpuzarr.codecs.step.Step`), which also has the default of each. Readers, writers, budgets, reports and
`warmup` ask the step, and compare no names: so a codec is one file, two with a kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.cpu.chunkwise import Encoder
from gpuzarr.cpu.functions import Function
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.element_program import Program

# decode(target, nbytes, stored, source, first, last): the chunk `stored`, whose bytes are at address `source`, becomes
# `nbytes` > 0 bytes at address `target`, of which those from `first` to before `last` are wanted; others may be left as
# they were. `stored` may be changed where it is not read-only, but not where CodecError is raised: for what is
# damaged, and for what is unusual, which `Codec.decode` then decodes.
AddressDecoder = Callable[[int, int, memoryview, int, int, int], None]
# fill(stored, target): decode a chunk to `target`, a C-contiguous array of its shape and dtype. CodecError for damage.
ElementsDecoder = Callable[[np.ndarray, np.ndarray], None]
# encode(chunk): a bytes-like object, of a C-contiguous array of the chunk's shape.
ElementsEncoder = Callable[[np.ndarray], Any]
Direction = Literal["decode", "encode"]
Kind = Literal["array->array", "array->bytes", "bytes->bytes"]


class Codec(Protocol):
    """One step of a chain.

    Chunks come as whole batches: an array with a leading chunk axis on the array side, an `EncodedBatch` on the bytes
    side. `spec` is always the spec on the decoded side of this codec: a ChunkSpec for array->array and array->bytes, a
    BytesSpec for bytes->bytes.
    """

    names: ClassVar[tuple[str, ...]]  # Zarr v3 names, the registered one first
    ids: ClassVar[tuple[str, ...]]  # Zarr v2 (numcodecs) ids
    kind: ClassVar[Kind]

    def encoded(self, spec: Any) -> Any:
        """The spec after this codec. MetadataError where the codec cannot take `spec`.

        Where the size varies, `BytesSpec.at_most` says the most that any encoder makes of a chunk: it bounds what the
        codecs nearer the store may decode to. None: nothing is known, and a limit stands in its place.
        """
        ...

    def why_host(self, spec: Any) -> str | None:
        """None where a GPU decodes this step; else, in a few words, why only the host does."""
        ...

    def decode(self, chunks: Any, spec: Any, device: Device, into: Any = None) -> Any:
        """Decode a batch. CodecError(message, index) for a bad chunk; nothing else may be raised for bad bytes.

        bytes->bytes: where `spec.nbytes` is known, every decoded chunk must have exactly that size (else CodecError
        with its index); where it is not, a chunk must not become more than `spec.most(its stored bytes)`. `into`, if
        given, is the encoded batch to decode into (with sizes as in the spec; its starts need not be aligned or evenly
        spaced), and is what must be returned.
        array->bytes: on the host a batch of swapped byte order may be returned.
        """
        ...

    def encode(self, chunks: Any, spec: Any, device: Device) -> Any:
        """Encode a batch; on a GPU only where `why_host_to_encode` (else `why_host`) is None.

        A GPU's result is on the device: an array, or an EncodedBatch, whose sizes are on the host; or, so that it waits
        for nothing where only the device knows the sizes yet, a batch.Unmeasured.
        """
        ...


@runtime_checkable
class EncodesElsewhere(Protocol):
    """A codec that does not encode on a GPU wherever it decodes there."""

    def why_host_to_encode(self, spec: Any) -> str | None:
        """None where a GPU encodes this step; else, in a few words, why only the host does."""
        ...


@runtime_checkable
class TakesUnmeasured(Protocol):
    """A bytes->bytes codec that also encodes a `batch.Unmeasured`, and so does not wait for sizes."""

    takes_unmeasured: ClassVar[bool]


class StandsForSeveral(Protocol):
    """A codec that is a name for several: a chain has these as its steps instead."""

    def parts(self, spec: Any) -> tuple[Codec, ...]:
        """The codecs that are run, in encode order. MetadataError where the codec cannot take `spec`."""
        ...


def parts_of(codec: Codec, spec: Any) -> tuple[Codec, ...]:
    """The codecs that are run for one, in encode order. See `StandsForSeveral`; to ask for a Protocol takes longer."""
    parts = getattr(codec, "parts", None)
    found: tuple[Codec, ...] = (codec,) if parts is None else parts(spec)
    return found


@runtime_checkable
class StoresElements(Protocol):
    """An array->bytes codec that may store elements as NumPy holds them."""

    def is_native(self, spec: ChunkSpec) -> bool:
        """Whether the stored bytes are the elements as NumPy holds them."""
        ...


@runtime_checkable
class KeepsElements(Protocol):
    """An array codec that changes nothing of an element but its place and its byte order."""

    def memory_order(self, spec: ChunkSpec) -> tuple[tuple[int, ...], int]:
        """The decoded axis of each encoded one; and bytes of the units in the other byte order, 1 for none."""
        ...


@runtime_checkable
class ChangesShape(Protocol):
    """An array codec that gives a chunk another shape, and leaves its elements in C order."""

    changes_only_shape: ClassVar[bool]


@runtime_checkable
class ChangesElements(Protocol):
    """An array codec that changes each element by itself, without regard to others or to its place."""

    def program(self, spec: ChunkSpec, direction: Direction) -> Program | None:
        """What becomes of elements when chunks of this spec are decoded, or encoded; None where no program says that.

        `why_host`, and `why_host_to_encode`, are None where there is one.
        """
        ...


@runtime_checkable
class LeavesShuffle(Protocol):
    """A bytes->bytes codec that shuffles, and on a GPU can leave the unshuffle to the kernel that places chunks."""

    def planes(self, chunks: EncodedBatch, spec: BytesSpec, device: Device, width: int, bits: np.ndarray) -> Any:
        """Decode on a GPU, but leave shuffles of elements of `width` bytes: of bytes, and of bits where `bits` (bool,
        one a chunk) allows it.

        Returns gpu.planes.Planes where some are left. `spec.nbytes` is known.
        """
        ...


@runtime_checkable
class DecodesByAddress(Protocol):
    """A bytes->bytes codec whose library decodes one chunk, or a part of one, by address on the calling thread.

    All others decode a chunk as a batch of one.
    """

    def chunk_decoder(self) -> AddressDecoder | None:
        """Make a decoder for the calling thread; None where the library cannot be called by address."""
        ...

    def decode_function(self) -> Function | None:
        """The library's function, for the calling thread, that decodes whole chunks; None where there is none."""
        ...


@runtime_checkable
class TakesElements(Protocol):
    """An array->bytes codec that decodes and encodes single chunks on the host, to and from memory of the caller."""

    def elements_decoder(self, spec: ChunkSpec) -> ElementsDecoder:
        """Make a decoder of single chunks, for the calling thread."""
        ...

    def elements_encoder(self, spec: ChunkSpec) -> ElementsEncoder:
        """Make an encoder of single chunks, for the calling thread. It may raise any error for a chunk."""
        ...


@runtime_checkable
class EncodesByAddress(Protocol):
    """A bytes->bytes codec whose library encodes one chunk by address on the calling thread."""

    def chunk_encoder(self) -> Encoder | None:
        """Make an encoder for the calling thread; None where the library cannot be called by address."""
        ...


@runtime_checkable
class CheckedOnHost(Protocol):
    """A checksum: decoding on the host compares it and moves no byte, so it goes before all that a GPU decodes."""

    checked_on_host: ClassVar[bool]


@runtime_checkable
class ReadsHeaders(Protocol):
    """A codec that declares whether decoding on a GPU reads bytes of chunks in host memory; by default it does.

    Chunks of which the host reads nothing may be loaded from storage straight to the GPU.
    """

    reads_headers: ClassVar[bool]


@runtime_checkable
class HasAlignedBody(Protocol):
    """A bytes->bytes codec of whose chunks a GPU takes what follows a header, and copies that first where it lies at no
    multiple of 4 bytes."""

    @property
    def body_offset(self) -> int:
        """Bytes of the header."""
        ...


@runtime_checkable
class KnowsDecodeScratch(Protocol):
    """A bytes->bytes codec that takes more or less of a GPU's memory to decode than the decoded chunk."""

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        """Device bytes that decoding a chunk takes, at most: the result of `nbytes` bytes, and scratch.

        `stored`: estimated bytes of the stored chunk.
        """
        ...


@runtime_checkable
class HasStreams(Protocol):
    """A bytes->bytes codec whose chunks a GPU decodes as streams, by nvCOMP or by a kernel of ours."""

    def streams(self, spec: BytesSpec) -> tuple[Algorithm, int] | None:
        """The algorithm, and about how many streams a chunk has; None where it has none. `spec.nbytes` is known."""
        ...


@runtime_checkable
class KnowsEncodeScratch(Protocol):
    """A bytes->bytes codec that takes more of a GPU's memory to encode than a copy of its input."""

    def encode_scratch_bytes(self, nbytes: int, before: int, device: Device) -> tuple[int, int]:
        """Device bytes that encoding a chunk of `nbytes` bytes takes, at most, the result included; and the result's.

        `before`: bytes of the memory that holds the input.
        """
        ...


@runtime_checkable
class HasFewReaders(Protocol):
    """A codec that few other libraries read: to make an array with it warns."""

    @property
    def few_readers(self) -> str | None:
        """Which library cannot read its chunks, and which can; None if most can, with this configuration."""
        ...


@runtime_checkable
class WarmsUp(Protocol):
    """A codec class that decodes on a GPU by kernels or by nvCOMP."""

    @classmethod
    def warm_up_examples(cls) -> tuple[Codec, ...]:
        """Codecs that together use every kernel and algorithm of decoding; each must take chunks of 4 KiB."""
        ...

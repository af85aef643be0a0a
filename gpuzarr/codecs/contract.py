"""The contract of a codec, one step of a chain; and what a codec may say besides, one small Protocol each.

A codec is a frozen dataclass whose fields are the parsed configuration. What it says besides is looked up once for each
step of a chain (`gpuzarr.codecs.step.Step`), where the default of each is, too. Readers, writers, budgets, reports and
`warmup` ask the step, and compare no names: so a codec is one file, two with a kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.cpu.chunkwise import Encoder
from gpuzarr.devices.contract import Device

# decode(target, nbytes, stored, source, first, last): the chunk `stored`, whose bytes lie at address `source`, becomes
# `nbytes` > 0 bytes at address `target`, of which those from `first` to before `last` are wanted; others may be left as
# they were. `stored` may be changed where it is not read-only, but not where CodecError is raised: for what is
# damaged, and for what is unusual, which `Codec.decode` then decodes.
AddressDecoder = Callable[[int, int, memoryview, int, int, int], None]
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
        """The spec after this codec. MetadataError where the codec cannot take `spec`."""
        ...

    def why_host(self, spec: Any) -> str | None:
        """None where a GPU decodes this step; else, in a few words, why only the host does."""
        ...

    def decode(self, chunks: Any, spec: Any, device: Device, into: Any = None) -> Any:
        """Decode a batch. CodecError(message, index) for a bad chunk; nothing else may be raised for bad bytes.

        bytes->bytes: where `spec.nbytes` is known, every decoded chunk must have exactly that size (else CodecError
        with its index). `into`, if given, is the encoded batch to decode into (sizes as the spec says; its starts need
        not be aligned or evenly spaced), and is what must be returned.
        array->bytes: on the host a batch of swapped byte order may be returned.
        """
        ...

    def encode(self, chunks: Any, spec: Any, device: Device) -> Any:
        """Encode a batch; on a GPU only where `EncodesElsewhere`, or else `why_host`, says that it can.

        A GPU's result is on the device: an array, or an EncodedBatch, whose sizes are on the host; or, so that it waits
        for nothing where only the device knows the sizes yet, a batch.Unmeasured.
        """
        ...


@runtime_checkable
class EncodesElsewhere(Protocol):
    """A codec that does not encode wherever it decodes."""

    def why_host_to_encode(self, spec: Any) -> str | None:
        """None where a GPU encodes this step; else, in a few words, why only the host does."""
        ...


@runtime_checkable
class TakesUnmeasured(Protocol):
    """A bytes->bytes codec that encodes a batch.Unmeasured, too, and so waits for no sizes."""

    takes_unmeasured: ClassVar[bool]


@runtime_checkable
class StoresElements(Protocol):
    """An array->bytes codec whose bytes may be those of the elements."""

    def is_native(self, spec: ChunkSpec) -> bool:
        """Whether the stored bytes are the elements as NumPy holds them."""
        ...


@runtime_checkable
class KeepsElements(Protocol):
    """An array codec that changes no element but its place and its byte order."""

    def memory_order(self, spec: ChunkSpec) -> tuple[tuple[int, ...], int]:
        """The decoded axis of each encoded one; and the bytes of what is in the other byte order, 1 for nothing."""
        ...


@runtime_checkable
class LeavesShuffle(Protocol):
    """A bytes->bytes codec that shuffles, and on a GPU can leave the undoing to the kernel that places chunks."""

    def planes(self, chunks: EncodedBatch, spec: BytesSpec, device: Device, width: int, bits: np.ndarray) -> Any:
        """As `decode` on a GPU, without `into`; but chunks whose bytes are shuffled by elements of `width` bytes may be
        left so, and where `bits` (bool, one a chunk) says so, those whose bits are.

        Where some are left, gpu.planes.Planes is returned. `spec.nbytes` is known.
        """
        ...


@runtime_checkable
class DecodesByAddress(Protocol):
    """A bytes->bytes codec whose library decodes one chunk, or a part of one, by address on the calling thread.

    All others decode a chunk as a batch of one.
    """

    def chunk_decoder(self) -> AddressDecoder | None:
        """Make a decoder for the calling thread; None where the library cannot be called so."""
        ...


@runtime_checkable
class EncodesByAddress(Protocol):
    """A bytes->bytes codec whose library encodes one chunk by address on the calling thread."""

    def chunk_encoder(self) -> Encoder | None:
        """Make an encoder for the calling thread; None where the library cannot be called so."""
        ...


@runtime_checkable
class CheckedOnHost(Protocol):
    """A checksum: decoding on the host compares it and moves no byte, so it goes before all that a GPU decodes."""

    checked_on_host: ClassVar[bool]


@runtime_checkable
class ReadsHeaders(Protocol):
    """A codec that says whether its GPU lines look at the bytes of chunks in host memory. Others do.

    Bytes that nobody looks at on the host may come from the storage straight to the GPU.
    """

    reads_headers: ClassVar[bool]


@runtime_checkable
class KnowsDecodeScratch(Protocol):
    """A bytes->bytes codec that takes more or less of a GPU's memory to decode than its result."""

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        """Bytes of the device that decoding a chunk takes, at most: its result of `nbytes` bytes, and scratch.

        `stored`: bytes that the chunk has as it is stored, about.
        """
        ...


@runtime_checkable
class KnowsEncodeScratch(Protocol):
    """A bytes->bytes codec that takes more of a GPU's memory to encode than a copy of what it is given."""

    def encode_scratch_bytes(self, nbytes: int, before: int, device: Device) -> tuple[int, int]:
        """Bytes of the device that encoding a chunk takes, at most, its result included; and those of the result.

        `nbytes`: of the chunk; `before`: of the memory that it lies in.
        """
        ...


@runtime_checkable
class WarmsUp(Protocol):
    """A codec class that decodes on a GPU by kernels or by nvCOMP."""

    @classmethod
    def warm_up_examples(cls) -> tuple[Codec, ...]:
        """Codecs that between them use all that decoding needs; each takes chunks of 4 KiB."""
        ...

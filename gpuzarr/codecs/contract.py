"""What a codec is: one step of a chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from gpuzarr.devices.contract import Device

# decode(target, nbytes, stored, source, first, last): the chunk `stored`, whose bytes lie at address `source`, becomes
# `nbytes` > 0 bytes at address `target`, of which those from `first` to before `last` are wanted; others may be left as
# they were. `stored` may be changed where it is not read-only, but not where CodecError is raised: for what is
# damaged, and for what is unusual, which `Codec.decode` then decodes.
AddressDecoder = Callable[[int, int, memoryview, int, int, int], None]
Kind = Literal["array->array", "array->bytes", "bytes->bytes"]


class Codec(Protocol):
    """One step of a chain: a frozen dataclass whose fields are the parsed configuration.

    Chunks come as whole batches: an array with a leading chunk axis on the array side, a `EncodedBatch` on
    the bytes side. `spec` is always the spec on the decoded side of this codec: a ChunkSpec for
    array->array and array->bytes, a BytesSpec for bytes->bytes.

    decode of bytes->bytes: where spec.nbytes is known, every decoded chunk must have exactly that
    size (else CodecError with its index). `into`, if given, is the encoded batch to decode into (sizes as
    spec says; its starts need not be aligned or evenly spaced), and is what must be returned.
    On the host, decode of array->bytes may return a batch of swapped byte order.
    A codec that shuffles may have `planes(chunks, spec, device, width, bits)`: as decode on a GPU, without `into`, but
    chunks whose bytes (or bits, where `bits` says so) are shuffled by elements of `width` bytes may be left so; then
    gpu.planes.Planes is returned. `spec.nbytes` is known.
    A bytes->bytes codec may have `chunk_encoder()`, which makes for the calling thread of the host a
    cpu.chunkwise.Encoder: one chunk at a time, by address.
    A bad chunk gives CodecError(message, index). Nothing else may be raised for bad bytes.

    encode on a GPU is asked for where `why_host_to_encode(spec)` is None; a codec without that method
    encodes where it decodes. Its result is on the device: an array, or an EncodedBatch, whose sizes are on the host;
    or, so that it waits for nothing where only the device knows the sizes yet, a batch.Unmeasured. A codec with
    `unmeasured = True` takes one, too.
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

    def decode(self, chunks: Any, spec: Any, device: Device, into: Any = None) -> Any: ...

    def encode(self, chunks: Any, spec: Any, device: Device) -> Any: ...


@runtime_checkable
class DecodesByAddress(Protocol):
    """A bytes->bytes codec whose library decodes one chunk, or a part of one, by address on the calling thread.

    All others decode a chunk as a batch of one.
    """

    def chunk_decoder(self) -> AddressDecoder | None:
        """Make a decoder for the calling thread; None where the library cannot be called so."""
        ...

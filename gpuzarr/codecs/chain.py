"""A chain of codecs, run over a whole batch of chunks, or over one chunk by the calling thread.

Decoding for a GPU, the steps nearest the store that only the host can do run on host threads, then the chunks are
uploaded, once, and the GPU does the rest. Encoding is the mirror image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np

from gpuzarr.batch import PACKED, BytesSpec, ChunkSpec, EncodedBatch, StoredSize, joined
from gpuzarr.codecs.contract import Codec, DecodesByAddress, parts_of
from gpuzarr.codecs.decoding import as_stored, decode_on_host, decode_runs, decode_steps, on_threads, within
from gpuzarr.codecs.encoding import copy_back, encode_steps, unless_refused
from gpuzarr.codecs.memory_order import MemoryOrder, memory_order
from gpuzarr.codecs.single_chunk import (
    ChunkDecoder,
    address_decoder,
    copier,
    filler,
    looped_decoder,
    ordered_decoder,
    whole_decoder,
)
from gpuzarr.codecs.single_chunk_encoder import chunk_encoder
from gpuzarr.codecs.step import Step
from gpuzarr.codecs.strides import contiguous
from gpuzarr.cpu.functions import Function
from gpuzarr.cpu.programs import Loop
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import MetadataError, UnsupportedError

_BEFORE = {"array->array": "array", "array->bytes": "array", "bytes->bytes": "bytes"}
_AFTER = {"array->array": "array", "array->bytes": "bytes", "bytes->bytes": "bytes"}
MAX_CODECS = 64  # of a chain; each takes time for every byte


@dataclass(frozen=True)
class Chain:
    """Codecs with the specs between them, in encode order. `stored`: of chunks as encoders store them."""

    spec: ChunkSpec
    steps: tuple[Step, ...]
    stored: BytesSpec
    all_on_host: str | None = None  # why the host decodes all steps, where it was asked to

    @classmethod
    def build(cls, codecs: Iterable[Codec], spec: ChunkSpec) -> Chain:
        """Make a chain. MetadataError where the codecs do not follow each other, or do not fit the chunks."""
        steps: list[Step] = []
        side, at = "array", cast(Any, spec)
        if len(codecs := tuple(codecs)) > MAX_CODECS:
            raise UnsupportedError(f"a chain of {len(codecs)} codecs; at most {MAX_CODECS} are supported")
        for given in codecs:
            if _BEFORE[given.kind] != side:
                wants = "an array" if side == "bytes" else "bytes"
                gets = f"the bytes that {steps[-1].name!r} makes" if side == "bytes" else "an array"
                raise MetadataError(
                    f"codec {Step(given, at).name!r} takes {wants}, but gets {gets}: one codec makes bytes of "
                    "the array (`serializer`), `filters` are before it, and `compressors` behind it"
                )
            for codec in parts_of(given, at):
                steps.append(Step(codec, at))
                at, side = codec.encoded(at), _AFTER[codec.kind]
        if side != "bytes":
            raise MetadataError("the codecs have none that makes bytes of an array")
        return cls(spec, tuple(steps), at)

    @cached_property
    def stored_size(self) -> StoredSize:
        return StoredSize.of(self.steps[-1].name, self.stored)

    def allowing(self, nbytes: int) -> Chain:
        """The chain for a caller that allows chunks of elements of variable length `nbytes` bytes: see BytesSpec."""
        made = Chain.build((step.codec for step in self.steps), replace(self.spec, allowed=nbytes))
        return replace(made, all_on_host=self.all_on_host)

    @cached_property
    def widest_bytes(self) -> int | None:
        """Bytes of a chunk's elements where array codecs make them widest; None where these vary in length."""
        found = [step.spec.nbytes for step in self.steps if isinstance(step.spec, ChunkSpec)]
        return None if None in found else max(nbytes or 0 for nbytes in found)

    @cached_property
    def is_contiguous(self) -> bool:
        """Whether the first step makes bytes of the chunk that are its elements as NumPy holds them."""
        return self.steps[0].is_native

    @cached_property
    def stores_elements(self) -> bool:
        """Whether a chunk is stored as the bytes of its elements as NumPy holds them, and nothing else."""
        return self.is_contiguous and len(self.steps) == 1

    @cached_property
    def array_steps(self) -> int:
        """Steps before the first bytes->bytes codec."""
        return sum(step.codec.kind != "bytes->bytes" for step in self.steps)

    @cached_property
    def leaves_elements(self) -> bool:
        """Whether array codecs have nothing to decode: what they get is the elements as NumPy holds them."""
        order = self.memory_order
        return self.is_contiguous or (self._is_straight and order is not None and order.program is None)

    @cached_property
    def _is_straight(self) -> bool:
        """Whether array codecs get elements in native byte order, each at its place."""
        order, native = self.memory_order, self.steps[self.array_steps - 1].is_native
        return order is not None and native and order.strides == contiguous(self.spec.shape)

    @cached_property
    def is_uncompressed(self) -> bool:
        """Whether the bytes of a stored chunk are its decoded elements as NumPy holds them, and nothing else."""
        return self.leaves_elements and len(self.steps) == self.array_steps

    @cached_property
    def memory_order(self) -> MemoryOrder | None:
        """The order of elements before the first bytes->bytes codec; None where an array codec does more to them."""
        return memory_order(self.steps)

    @cached_property
    def _decodes_by_address(self) -> DecodesByAddress | None:
        """The codec, if it alone stands between stored bytes and native elements, and can be called by address."""
        alone = self.leaves_elements and len(self.steps) == self.array_steps + 1 and self.spec.nbytes
        return self.steps[-1].decodes_by_address if alone else None

    @cached_property
    def has_decode_function(self) -> bool:
        """Whether stored bytes are the elements, or become them by one function of a library: `decode_function`."""
        return self.is_uncompressed or self.decode_function() is not None

    def decode_function(self) -> Function | None:
        """The function, for the calling thread, by which stored bytes become elements; None where they are these."""
        codec = self._decodes_by_address
        return None if codec is None else codec.decode_function()

    def chunk_decoder(self) -> ChunkDecoder:
        """Make a decoder of single chunks, for the calling thread of the CPU alone, into memory of the caller.

        Errors are those of `decode`, with index 0.
        """
        in_place, nbytes = self.decodes_in_place(CPU), self.spec.nbytes
        default = whole_decoder(self.spec, in_place, lambda stored, device, into: self.decode(stored, device, into))
        if self.is_uncompressed and nbytes is not None:
            return copier(self.spec, nbytes, default)
        if self._decodes_by_address is not None and (decode := self._decodes_by_address.chunk_decoder()) is not None:
            return address_decoder(self.spec, nbytes or 0, decode, default)
        if len(self.steps) == 1 and (alone := self.steps[0].takes_elements) is not None:
            return filler(alone.elements_decoder(self.spec), default)
        return self._ordered_decoder(default) or default

    def _ordered_decoder(self, otherwise: ChunkDecoder) -> ChunkDecoder | None:
        """Make a decoder that also reorders elements, or runs a program on each; None if that cannot be done here."""
        order = self.memory_order
        if order is None or not self.spec.nbytes or len(self.steps) > order.steps + 1:
            return None
        codec = self.steps[-1].decodes_by_address
        decode = codec.chunk_decoder() if codec is not None else None
        if decode is None and len(self.steps) > order.steps:
            return None
        if order.program is not None:
            loop = Loop.of(order.program) if self._is_straight else None
            return None if loop is None else looped_decoder(self.spec, loop, decode, otherwise)
        if decode is None:
            return None
        return ordered_decoder(self.spec, self.spec.nbytes, order.strides, order.swap, decode, otherwise)

    def decodes_in_place(self, device: Device) -> bool:
        """Whether `decode` can be given `into`, and decodes elements straight to it."""
        if device.gpu:
            return self.is_contiguous and self.host_steps[0] > 1
        return self.leaves_elements and len(self.steps) > self.array_steps

    @cached_property
    def host_steps(self) -> tuple[int, str | None]:
        """The first step, in encode order, from which on the host decodes, and why; (number of steps, None) if none."""
        if self.all_on_host:
            return 0, self.all_on_host
        for i, step in enumerate(self.steps):
            if (why := step.why_host) is not None:
                return i, f"{step.name}: {why}"
        return len(self.steps), None

    @property
    def is_all_on_gpu(self) -> bool:
        """Whether a GPU decodes all steps."""
        return self.host_steps[0] == len(self.steps)

    @cached_property
    def lead(self) -> int:
        """Bytes to leave free before each stored chunk in memory for a GPU, of those that begin at multiples of PACKED,
        so that no stream in it has to be moved (`HasAlignedBody`). Other places are as good, but not as fast."""
        offsets = [step.body_offset for step in self.steps[: self.host_steps[0]] if step.body_offset is not None]
        return -offsets[-1] % PACKED if offsets else 0

    def chunks_to_fill(self, device: Device, count: int) -> float:
        """Chunks whose streams, decoded together, keep all of a GPU busy, for a read of `count`; 0 where there are no
        streams, or where even then the host decodes all of them, because it is faster."""
        found = [(step.streams, step.spec.nbytes) for step in self.steps[: self.host_steps[0]]]
        filling = [device.cost.chunks_to_fill(*streams, nbytes, count) for streams, nbytes in found if streams]
        return max(filling, default=0.0)

    def where(self) -> list[tuple[str, bool]]:
        """The name of each step, in encode order, and whether a GPU decodes it."""
        return [(step.name, i < self.host_steps[0]) for i, step in enumerate(self.steps)]

    def decode(
        self,
        encoded_batch: EncodedBatch,
        device: Device,
        into: EncodedBatch | None = None,
        stop: int = 0,
        shuffled: tuple[int, np.ndarray] | None = None,
    ) -> Any:
        """Decode an encoded batch that is in host memory to a batch, shape (n, *spec.shape), on the device.

        `into`, allowed where `decodes_in_place`: memory for the decoded chunks; then None is returned.
        `stop`: this many steps, the first in encode order, are not undone; the device must be able to do them all.
        `shuffled`, (bytes of an element, bool for each chunk): a shuffle of bytes may be left, and a shuffle of bits
        for chunks where this is True; then gpu.planes.Planes is returned.
        CodecError, with the chunk's index and `codec`, for a chunk that cannot be decoded.
        """
        crossing = self.host_steps[0] if device.gpu else 0
        if crossing < len(self.steps) and device.gpu:
            chunks = _upload(decode_on_host(encoded_batch, self.steps[crossing:], device), device)
        elif device.gpu:
            chunks = _upload(encoded_batch, device)
        else:
            chunks, crossing = encoded_batch, len(self.steps)
        return decode_steps(chunks, self.steps[stop:crossing], device, into, shuffled)

    def run(self, encoded_batch: EncodedBatch, device: Device) -> Any:
        """Decode an encoded batch that is on the device already."""
        return decode_steps(encoded_batch, self.steps, device, None)

    def run_encoding(self, batch: Any, device: Device) -> Any:
        """Encode a batch that is on the device already, by all steps, there: an EncodedBatch, or an Unmeasured; None
        where it refused a chunk."""
        return encode_steps(batch, self.steps, device)

    @cached_property
    def host_steps_to_encode(self) -> tuple[int, str | None]:
        """The first step from which on the host encodes, and why; (number of steps, None) if none."""
        for i, step in enumerate(self.steps):
            if (why := step.why_host_to_encode) is not None:
                return i, f"{step.name}: {why}"
        return len(self.steps), None

    def where_encoded(self) -> list[tuple[str, bool]]:
        """The name of each step, in encode order, and whether a GPU encodes it."""
        return [(step.name, i < self.host_steps_to_encode[0]) for i, step in enumerate(self.steps)]

    def encode(self, batch: Any, device: Device) -> EncodedBatch:
        """Encode a batch, shape (n, *spec.shape), to an encoded batch in host memory.

        The result may be the batch's own memory. For a GPU the batch may be there or in host memory; bytes cross once,
        and the steps after that run on host threads. CodecError, with the chunk's index and `codec`, for a chunk that
        cannot be encoded.
        """
        chunks = self.encoding(batch, device)()
        return self.encode_on_host(batch, device) if chunks is None else self.encode_rest(chunks, device)

    def encoding(self, batch: Any, device: Device) -> Callable[[], Any]:
        """Launch the device's part of `encode`, and do not wait for it.

        Returns a function that waits, and returns the chunks in host memory, for `encode_rest`; or None where the GPU
        refused some, and `encode_on_host` must encode the batch. Any thread may call it, once.
        """
        crossing = self._crossing(device)
        if device.gpu and crossing and not isinstance(batch, device.xp.ndarray):
            batch = device.upload(batch)
        chunks, first, nbytes = batch, 0, self.spec.nbytes
        stored = self.is_contiguous and batch.flags.c_contiguous and batch.dtype == self.spec.dtype
        if stored and crossing and nbytes:
            chunks, first = as_stored(batch, nbytes), 1
        chunks = encode_steps(chunks, self.steps[first:crossing], device)
        if not device.gpu:
            return lambda: chunks
        may_refuse = any(step.may_refuse_on_gpu for step in self.steps[first:crossing])
        return unless_refused(copy_back(chunks, device), device.checked() if may_refuse else None)

    def encode_rest(self, chunks: Any, device: Device) -> EncodedBatch:
        """Encode by the steps that only the host does, on its threads."""
        return self._encode_on_threads(chunks, self.steps[self._crossing(device) :])

    def encode_on_host(self, batch: Any, device: Device) -> EncodedBatch:
        """Encode by all steps on the host: for batches that nvCOMP refused."""
        device.count(host_chunks=len(batch))
        on_device = isinstance(batch, device.xp.ndarray)
        return self._encode_on_threads(device.download(batch) if on_device else batch, self.steps)

    def _crossing(self, device: Device) -> int:
        """The first step from which on the host encodes for the device."""
        return self.host_steps_to_encode[0] if device.gpu else len(self.steps)

    def encoder(self) -> Callable[[np.ndarray], Any]:
        """Make an encoder, for the calling thread of the CPU, of single chunks (spec.shape, C-contiguous).

        It returns a bytes-like object that is valid until the next call, or until the chunk changes. CodecError as of
        `encode`.
        """
        if self.stores_elements:
            return lambda chunk: memoryview(chunk.reshape(-1).view(np.uint8))
        return chunk_encoder(self.steps, lambda chunk: self.encode(chunk[None], CPU).on_host(0))

    @staticmethod
    def _encode_on_threads(chunks: Any, steps: tuple[Step, ...]) -> EncodedBatch:
        if not steps or not len(chunks):
            return encode_steps(chunks, steps, CPU)
        take = chunks.take if isinstance(chunks, EncodedBatch) else chunks.__getitem__
        return joined(on_threads(len(chunks), lambda run: encode_steps(take(run), steps, CPU)))

    def verified(self, encoded_batch: EncodedBatch) -> tuple[Chain, EncodedBatch]:
        """Verify the checksum nearest the store on host threads: the chain and the encoded batch without it.

        It goes before all launches, so that nvCOMP never sees damage that can be known. Both as they are where there is
        no such checksum. CodecError, with the chunk's index, where it does not match.
        """
        if not self.steps[-1].is_checked_on_host or self.host_steps[0] < len(self.steps) or not len(encoded_batch):
            return self, encoded_batch
        data = encoded_batch.data if encoded_batch.host is None else encoded_batch.host
        done = decode_runs(replace(encoded_batch, data=data), self.steps[-1:])
        return replace(self, steps=self.steps[:-1], stored=self.steps[-1].spec), within(encoded_batch, done)


def _upload(chunks: Any, device: Device) -> Any:
    if isinstance(chunks, EncodedBatch):
        if isinstance(chunks.data, device.xp.ndarray):  # read there by GDS
            return chunks
        return EncodedBatch(device.upload(chunks.data), chunks.starts, chunks.sizes, host=chunks.data)
    return device.upload(chunks)

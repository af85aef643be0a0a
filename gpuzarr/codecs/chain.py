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

from gpuzarr.batch import PACKED, BytesSpec, ChunkSpec, EncodedBatch, StoredSize, Unmeasured, joined, measured
from gpuzarr.codecs.contract import Codec, DecodesByAddress, parts_of
from gpuzarr.codecs.decoding import as_stored, blame, decode_on_host, decode_runs, decode_steps, on_threads, within
from gpuzarr.codecs.single_chunk import ChunkDecoder, address_decoder, copier, ordered_decoder, whole_decoder
from gpuzarr.codecs.step import Step
from gpuzarr.codecs.strides import contiguous, reshaped
from gpuzarr.cpu.functions import Function
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.dtypes.element_program import Program
from gpuzarr.errors import BAD_DATA_ERRORS, CodecError, MetadataError, UnsupportedError

_BEFORE = {"array->array": "array", "array->bytes": "array", "bytes->bytes": "bytes"}
_AFTER = {"array->array": "array", "array->bytes": "bytes", "bytes->bytes": "bytes"}
MAX_CODECS = 64  # of a chain; each takes time for every byte
MAX_ADDRESSED_BYTES = 1 << 30  # of a chunk that a codec encodes by address


@dataclass(frozen=True)
class MemoryOrder:
    """A chunk as it is before its first `steps` steps are undone: decoded but for byte order, the order of axes, and
    what is done with each element by itself.

    `strides`: elements from one to the next along each axis of the decoded chunk. `swap`: bytes of the units that are
    in the other byte order, 1 for none. `dtype`: of the elements as they are. `program`: what becomes of each, which
    refuses none; None where it stays as it is.
    """

    steps: int
    strides: tuple[int, ...]
    swap: int
    dtype: np.dtype
    program: Program | None = None


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
    def is_uncompressed(self) -> bool:
        """Whether a chunk is stored as the bytes of its elements as NumPy holds them, and nothing else."""
        return self.is_contiguous and len(self.steps) == 1

    @cached_property
    def memory_order(self) -> MemoryOrder | None:
        """The order of elements before the first bytes->bytes codec; None where an array codec does more to them."""
        last = next(i for i, step in enumerate(self.steps) if step.codec.kind == "array->bytes")
        made, program = self.steps[last].memory_order, None
        if made is None:
            return None
        spec, (_, swap) = self.steps[last].spec, made
        strides: tuple[int, ...] = contiguous(spec.shape)
        for i, step in reversed(tuple(enumerate(self.steps[:last]))):
            if step.memory_order is not None:
                axes, _ = step.memory_order
                strides = tuple(strides[axes.index(axis)] for axis in range(len(axes)))
            elif step.changes_only_shape:
                if (turned := reshaped(strides, self.steps[i + 1].spec.shape, step.spec.shape)) is None:
                    return None
                strides = turned
            elif step.program is None or step.program.may_refuse or len(step.spec.shape) != len(strides):
                return None
            elif step.program.instructions:
                program = step.program if program is None else program.then(step.program)
        return MemoryOrder(last + 1, strides, swap, spec.dtype, program)

    @cached_property
    def _decodes_by_address(self) -> DecodesByAddress | None:
        """The codec, if it alone stands between stored bytes and native elements, and can be called by address."""
        alone = self.is_contiguous and len(self.steps) == 2 and self.spec.nbytes
        return self.steps[1].decodes_by_address if alone else None

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
        return self._ordered_decoder(default) or default

    def _ordered_decoder(self, otherwise: ChunkDecoder) -> ChunkDecoder | None:
        """A decoder of chunks whose elements are in another order; None where a library cannot be called by address."""
        order, codec = self.memory_order, self.steps[-1].decodes_by_address
        if order is None or order.program is not None or not self.spec.nbytes:
            return None
        if len(self.steps) != order.steps + 1 or codec is None:
            return None
        if (decode := codec.chunk_decoder()) is None:
            return None
        return ordered_decoder(self.spec, self.spec.nbytes, order.strides, order.swap, decode, otherwise)

    def decodes_in_place(self, device: Device) -> bool:
        """Whether `decode` can be given `into`, and decodes elements straight to it."""
        last = self.host_steps[0] if device.gpu else len(self.steps)
        return self.is_contiguous and last > 1

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
        return _encode(batch, self.steps, device)

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
        chunks = _encode(chunks, self.steps[first:crossing], device)
        if not device.gpu:
            return lambda: chunks
        may_refuse = any(step.may_refuse_on_gpu for step in self.steps[first:crossing])
        return _unless_refused(_copy_back(chunks, device), device.checked() if may_refuse else None)

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
        if self.is_uncompressed:
            return lambda chunk: memoryview(chunk.reshape(-1).view(np.uint8))
        codec, nbytes = self.steps[-1].encodes_by_address, self.spec.nbytes or 0
        is_addressed = self.is_contiguous and len(self.steps) == 2 and 0 < nbytes <= MAX_ADDRESSED_BYTES
        encoder = codec.chunk_encoder() if codec and is_addressed else None
        if encoder is None:
            return lambda chunk: self.encode(chunk[None], CPU).on_host(0)
        encode, capacity = encoder.encode.one, encoder.capacity(nbytes)
        memory = CPU.empty(capacity)
        target, view = memory.ctypes.data, memoryview(memory)

        def encoded(chunk: np.ndarray) -> Any:
            try:
                return view[: encode(target, capacity, chunk.ctypes.data, nbytes)]
            except BAD_DATA_ERRORS:
                return self.encode(chunk[None], CPU).on_host(0)  # which raises the error in its own words

        return encoded

    @staticmethod
    def _encode_on_threads(chunks: Any, steps: tuple[Step, ...]) -> EncodedBatch:
        if not steps or not len(chunks):
            return _encode(chunks, steps, CPU)
        take = chunks.take if isinstance(chunks, EncodedBatch) else chunks.__getitem__
        return joined(on_threads(len(chunks), lambda run: _encode(take(run), steps, CPU)))

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


def _encode(chunks: Any, steps: tuple[Step, ...], device: Device) -> Any:
    """Encode by `steps`; None where the GPU refused a chunk, and a step had to wait for the sizes."""
    for step in steps:
        if not step.takes_unmeasured and (chunks := measured(chunks, device)) is None:
            return None
        try:
            chunks = step.codec.encode(chunks, step.spec, device)
        except BAD_DATA_ERRORS as error:
            blame(step, error)
            raise
    return chunks


def _copy_back(chunks: Any, device: Device) -> Callable[[], Any]:
    """Return a function that copies chunks to host memory, in one copy, when their sizes are known.

    It returns None where the GPU refused some.
    """
    if isinstance(chunks, Unmeasured):
        measure, copy_back = chunks.measuring(device), device.copy_back(chunks.data)
        return lambda: (
            None if (encoded_batch := measure()) is None else _moved(encoded_batch, copy_back(len(encoded_batch.data)))
        )
    if isinstance(chunks, EncodedBatch):
        copy_back = device.copy_back(chunks.data)
        return lambda: _moved(chunks, copy_back())
    return device.copy_back(chunks) if isinstance(chunks, device.xp.ndarray) else lambda: chunks


def _unless_refused(copied: Callable[[], Any], check: Callable[[], None] | None) -> Callable[[], Any]:
    """The same function, but it returns None where only the device saw that a codec refuses an element: the host then
    says so in its own words."""

    if check is None:
        return copied

    def wait() -> Any:
        chunks = copied()
        try:
            check()
        except CodecError:
            return None
        return chunks

    return wait


def _moved(encoded_batch: EncodedBatch, data: np.ndarray) -> EncodedBatch:
    """The same chunks in the copy `data` of their memory."""
    return EncodedBatch(data, encoded_batch.starts, encoded_batch.sizes)


def _upload(chunks: Any, device: Device) -> Any:
    if isinstance(chunks, EncodedBatch):
        if isinstance(chunks.data, device.xp.ndarray):  # read there by GDS
            return chunks
        return EncodedBatch(device.upload(chunks.data), chunks.starts, chunks.sizes, host=chunks.data)
    return device.upload(chunks)

"""A chain of codecs, run over a whole batch of chunks.

Decoding, bytes cross from the host to the device once: after the last step that only the host can
do. The steps nearer the store than that run on host threads. Encoding is the mirror image: bytes cross
before the first step that only the host can do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from gpuzarr.batch import ChunkSpec, EncodedBatch, Unmeasured, measured
from gpuzarr.codecs.contract import Codec, DecodesByAddress
from gpuzarr.codecs.single_chunk import ChunkDecoder, address_decoder, copier, whole_decoder
from gpuzarr.codecs.step import Step
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import BAD_DATA_ERRORS, CodecError, GpuZarrError, MetadataError

_BEFORE = {"array->array": "array", "array->bytes": "array", "bytes->bytes": "bytes"}
_AFTER = {"array->array": "array", "array->bytes": "bytes", "bytes->bytes": "bytes"}
MAX_ADDRESSED_BYTES = 1 << 30  # of a chunk that a codec encodes by address


@dataclass(frozen=True)
class MemoryOrder:
    """Decoded but for byte order and the order of axes: what a chunk is before its first `steps` steps are undone.

    Its elements follow each other with strides of `strides` elements, along each axis of the decoded chunk;
    `swap` is the bytes of what is in the other byte order (1: nothing).
    """

    steps: int
    strides: tuple[int, ...]
    swap: int


@dataclass(frozen=True)
class Chain:
    """Codecs with the specs between them, in encode order."""

    spec: ChunkSpec
    steps: tuple[Step, ...]
    all_on_host: str | None = None  # why no GPU shall decode, if none shall

    @classmethod
    def build(cls, codecs: Iterable[Codec], spec: ChunkSpec) -> Chain:
        """MetadataError where the codecs do not follow each other, or do not fit the chunks."""
        steps, at, side = [], spec, "array"
        for codec in codecs:
            step = Step(codec, at)
            if _BEFORE[codec.kind] != side:
                raise MetadataError(f"codec {step.name!r} ({codec.kind}) cannot stand where {side} comes in")
            steps.append(step)
            at, side = codec.encoded(at), _AFTER[codec.kind]
        if side != "bytes":
            raise MetadataError("the codecs have none that makes bytes of an array")
        return cls(spec, tuple(steps))

    @cached_property
    def is_contiguous(self) -> bool:
        """Whether the first step makes bytes of the chunk that are its elements as NumPy holds them."""
        return self.steps[0].is_native

    @cached_property
    def is_uncompressed(self) -> bool:
        """Whether what is stored is the elements of the chunk, as NumPy holds them."""
        return self.is_contiguous and len(self.steps) == 1

    @cached_property
    def memory_order(self) -> MemoryOrder | None:
        """How the elements lie before the first bytes->bytes codec; None where the array codecs change elements."""
        axes, swap = tuple(range(len(self.spec.shape))), 1
        for number, step in enumerate(self.steps, 1):
            if step.memory_order is None:
                return None
            order, unit = step.memory_order
            axes, swap = tuple(axes[i] for i in order), max(swap, unit)
            if step.codec.kind == "array->bytes":
                strides = {axis: prod(self.spec.shape[a] for a in axes[i + 1 :]) for i, axis in enumerate(axes)}
                return MemoryOrder(number, tuple(strides[axis] for axis in range(len(axes))), swap)
        return None

    @cached_property
    def _decodes_by_address(self) -> DecodesByAddress | None:
        """The codec, if it is the only one between the stored bytes and the elements, and can be called by address."""
        alone = self.is_contiguous and len(self.steps) == 2 and self.spec.nbytes
        return self.steps[1].decodes_by_address if alone else None

    def chunk_decoder(self) -> ChunkDecoder:
        """Make a decoder of one chunk after another, by the calling thread of the CPU, into memory of the caller.

        It is for that thread alone. CodecError as of `decode`, with index 0.
        """
        in_place, nbytes = self.decodes_in_place(CPU), self.spec.nbytes
        default = whole_decoder(self.spec, in_place, lambda stored, device, into: self.decode(stored, device, into))
        if self.is_uncompressed and nbytes is not None:
            return copier(self.spec, nbytes, default)
        if self._decodes_by_address is None or (decode := self._decodes_by_address.chunk_decoder()) is None:
            return default
        return address_decoder(self.spec, nbytes or 0, decode, default)

    def decodes_in_place(self, device: Device) -> bool:
        """Whether `decode` can put the elements straight to where the caller wants them."""
        last = self.host_steps[0] if device.gpu else len(self.steps)
        return self.is_contiguous and last > 1

    @cached_property
    def host_steps(self) -> tuple[int, str | None]:
        """From which step on (in encode order) only the host decodes, and why (None: the device does all)."""
        if self.all_on_host:
            return 0, self.all_on_host
        for i, step in enumerate(self.steps):
            if (why := step.why_host) is not None:
                return i, f"{step.name}: {why}"
        return len(self.steps), None

    def where(self) -> list[tuple[str, bool]]:
        """Each step's name, in encode order, and whether a GPU decodes it."""
        return [(step.name, i < self.host_steps[0]) for i, step in enumerate(self.steps)]

    def decode(
        self,
        encoded_batch: EncodedBatch,
        device: Device,
        into: EncodedBatch | None = None,
        stop: int = 0,
        shuffled: tuple[int, np.ndarray] | None = None,
    ) -> Any:
        """The batch (n, *spec.shape) that the encoded batch, in host memory, holds.

        `into`, allowed where `direct`: the encoded batch that gets the elements; then None is returned.
        `stop`: the first so many steps, all of which the device can do, are not undone. With `shuffled`, the bytes of
        an element and of which chunks bits too, the last shuffle may also be left: then gpu.planes.Planes is returned.
        CodecError, with the chunk's index and `codec`, for what cannot be decoded.
        """
        crossing = self.host_steps[0] if device.gpu else 0
        if crossing < len(self.steps) and device.gpu:
            done = self._decode_on_threads(encoded_batch, self.steps[crossing:])
            chunks = _upload(_joined(done) if isinstance(done[0], EncodedBatch) else np.concatenate(done), device)
        elif device.gpu:
            chunks = _upload(encoded_batch, device)
        else:
            chunks, crossing = encoded_batch, len(self.steps)
        return _decode(chunks, self.steps[stop:crossing], device, into, shuffled)

    def run(self, encoded_batch: EncodedBatch, device: Device) -> Any:
        """As `decode`, for an encoded batch that is on the device already."""
        return _decode(encoded_batch, self.steps, device, None)

    @cached_property
    def host_steps_to_encode(self) -> tuple[int, str | None]:
        """From which step on only the host encodes, and why (None: the device does all)."""
        for i, step in enumerate(self.steps):
            if (why := step.why_host_to_encode) is not None:
                return i, f"{step.name}: {why}"
        return len(self.steps), None

    def where_encoded(self) -> list[tuple[str, bool]]:
        """Each step's name, in encode order, and whether a GPU encodes it."""
        return [(step.name, i < self.host_steps_to_encode[0]) for i, step in enumerate(self.steps)]

    def encode(self, batch: Any, device: Device) -> EncodedBatch:
        """The encoded batch, in host memory, that holds the batch (n, *spec.shape), encoded.

        It may be the batch's own memory. For a GPU the batch may lie there or in host memory; bytes cross once, and
        the steps behind that run on host threads. CodecError, with the chunk's index and `codec`, for what cannot be
        encoded.
        """
        brought = self.encoding(batch, device)()
        return self.encode_on_host(batch, device) if brought is None else self.encode_rest(brought, device)

    def encoding(self, batch: Any, device: Device) -> Callable[[], Any]:
        """The first part of `encode`: what the device does is launched now, and nothing waits for it.

        The function that is returned waits for it, and gives the chunks in host memory, for `encode_rest`; None where
        the GPU refused some, so that `encode_on_host` must encode the batch. Any thread may call it, once.
        """
        crossing = self._crossing(device)
        if device.gpu and crossing and not isinstance(batch, device.xp.ndarray):
            batch = device.upload(batch)
        chunks, first, nbytes = batch, 0, self.spec.nbytes
        stored = self.is_contiguous and batch.flags.c_contiguous and batch.dtype == self.spec.dtype
        if stored and crossing and nbytes:
            chunks, first = _as_stored(batch, nbytes), 1
        chunks = _encode(chunks, self.steps[first:crossing], device)
        return _copy_back(chunks, device) if device.gpu else lambda: chunks

    def encode_rest(self, chunks: Any, device: Device) -> EncodedBatch:
        """The steps that only the host does, on its threads."""
        return self._encode_on_threads(chunks, self.steps[self._crossing(device) :])

    def encode_on_host(self, batch: Any, device: Device) -> EncodedBatch:
        """All steps, by the host. What nvCOMP refused, so hardly ever."""
        device.count(host_chunks=len(batch))
        there = isinstance(batch, device.xp.ndarray)
        return self._encode_on_threads(device.download(batch) if there else batch, self.steps)

    def _crossing(self, device: Device) -> int:
        """From which step on the host encodes for the device."""
        return self.host_steps_to_encode[0] if device.gpu else len(self.steps)

    def encoder(self, chunk: np.ndarray) -> Callable[[], Any]:
        """What encodes, on this thread of the host, what lies in `chunk` (spec.shape, contiguous) when it is called.

        What it returns, bytes of the host, is good until the next call. CodecError as of `encode`.
        """
        batch = chunk[None]
        if self.is_uncompressed:
            data = memoryview(chunk.reshape(-1).view(np.uint8))
            return lambda: data
        codec = self.steps[-1].encodes_by_address if self.is_contiguous and len(self.steps) == 2 else None
        encoder = codec.chunk_encoder() if codec and 0 < chunk.nbytes <= MAX_ADDRESSED_BYTES else None
        if encoder is None:
            return lambda: self.encode(batch, CPU).on_host(0)
        encode, room, source, nbytes = encoder.encode, encoder.room(chunk.nbytes), chunk.ctypes.data, chunk.nbytes
        made = CPU.empty(room)
        place, view = made.ctypes.data, memoryview(made)

        def encoded() -> Any:
            try:
                return view[: encode(place, room, source, nbytes)]
            except BAD_DATA_ERRORS:
                return self.encode(batch, CPU).on_host(0)  # which knows how to say it

        return encoded

    @staticmethod
    def _encode_on_threads(chunks: Any, steps: tuple[Step, ...]) -> EncodedBatch:
        if not steps or not len(chunks):
            return _encode(chunks, steps, CPU)
        take = chunks.take if isinstance(chunks, EncodedBatch) else chunks.__getitem__
        return _joined(_on_threads(len(chunks), lambda run: _encode(take(run), steps, CPU)))

    @staticmethod
    def _decode_on_threads(encoded_batch: EncodedBatch, steps: tuple[Step, ...]) -> list[Any]:
        """Steps of a GPU's batch that the host does, run by run."""
        return _on_threads(len(encoded_batch), lambda run: _decode(encoded_batch.take(run), steps, CPU, None))

    def verified(self, encoded_batch: EncodedBatch) -> tuple[Chain, EncodedBatch]:
        """This chain without the checksum nearest the store, and the encoded batch without it, where there is one.

        Host threads compare it before anything is launched: nvCOMP must not see damage that can be known.
        """
        if not self.steps[-1].is_checked_on_host or self.host_steps[0] < len(self.steps) or not len(encoded_batch):
            return self, encoded_batch
        done = self._decode_on_threads(encoded_batch, self.steps[-1:])
        starts, sizes = (np.concatenate(column) for column in zip(*((s.starts, s.sizes) for s in done), strict=True))
        return replace(self, steps=self.steps[:-1]), EncodedBatch(encoded_batch.data, starts, sizes, encoded_batch.host)


def _on_threads(count: int, function: Callable[[slice], Any]) -> list[Any]:
    """What `function` makes of runs of `count` > 0 chunks, on all threads of the host.

    CodecError with the index in all of them.
    """
    each = -(-count // (4 * CPU.threads))
    runs = [slice(first, min(first + each, count)) for first in range(0, count, each)]
    done: list[Any] = [None] * len(runs)

    def work(i: int) -> None:
        try:
            done[i] = function(runs[i])
        except CodecError as error:
            error.index = None if error.index is None else error.index + runs[i].start
            raise

    CPU.each(work, range(len(runs)))
    return done


def _encode(chunks: Any, steps: tuple[Step, ...], device: Device) -> Any:
    """None where the GPU refused a chunk, and a step had to wait for the sizes."""
    for step in steps:
        if not step.takes_unmeasured and (chunks := measured(chunks, device)) is None:
            return None
        try:
            chunks = step.codec.encode(chunks, step.spec, device)
        except BAD_DATA_ERRORS as error:
            _blame(step, error)
            raise
    return chunks


def _decode(
    chunks: Any,
    steps: tuple[Step, ...],
    device: Device,
    into: EncodedBatch | None,
    shuffled: tuple[int, np.ndarray] | None = None,
) -> Any:
    last_bytes = 1 if steps and steps[0].codec.kind == "array->bytes" else 0
    for i in reversed(range(len(steps))):
        codec, spec = steps[i].codec, steps[i].spec
        try:
            if shuffled and not i and (shuffling := steps[i].leaves_shuffle) is not None:
                chunks = shuffling.planes(chunks, spec, device, *shuffled)
            elif codec.kind == "bytes->bytes":
                chunks = codec.decode(chunks, spec, device, into if i == last_bytes else None)
            elif into is not None:
                return None
            else:
                chunks = codec.decode(chunks, spec, device)
        except BAD_DATA_ERRORS as error:
            _blame(steps[i], error)
            raise
    return chunks


def _blame(step: Step, error: Exception) -> None:
    """Give an error the codec's name; what NumPy says of numbers that do not fit is an error of the codec too."""
    if isinstance(error, CodecError):
        error.codec = error.codec or step.name
    elif not isinstance(error, GpuZarrError):
        raise CodecError(f"{type(error).__name__}: {error}", None, step.name) from error


def _as_stored(batch: Any, nbytes: int) -> EncodedBatch:
    """A batch whose elements lie as they are stored, seen as the encoded batch of their bytes."""
    n = len(batch)
    return EncodedBatch(batch.reshape(-1).view(np.uint8), np.arange(n) * nbytes, np.full(n, nbytes, np.int64))


def _joined(encoded_batches: list[EncodedBatch]) -> EncodedBatch:
    """Encoded batches of the host as one."""
    bases = np.cumsum([0] + [len(s.data) for s in encoded_batches[:-1]])
    starts = np.concatenate([s.starts + base for s, base in zip(encoded_batches, bases, strict=True)])
    return EncodedBatch(
        np.concatenate([s.data for s in encoded_batches]), starts, np.concatenate([s.sizes for s in encoded_batches])
    )


def _copy_back(chunks: Any, device: Device) -> Callable[[], Any]:
    """The chunks in host memory, by one copy that begins when their sizes are known; None where some were refused."""
    if isinstance(chunks, Unmeasured):
        measure, copy_back = chunks.measuring(device), device.copy_back(chunks.data)
        return lambda: (
            None if (encoded_batch := measure()) is None else _there(encoded_batch, copy_back(len(encoded_batch.data)))
        )
    if isinstance(chunks, EncodedBatch):
        copy_back = device.copy_back(chunks.data)
        return lambda: _there(chunks, copy_back())
    return device.copy_back(chunks) if isinstance(chunks, device.xp.ndarray) else lambda: chunks


def _there(encoded_batch: EncodedBatch, data: np.ndarray) -> EncodedBatch:
    """The same chunks in other memory."""
    return EncodedBatch(data, encoded_batch.starts, encoded_batch.sizes)


def _upload(chunks: Any, device: Device) -> Any:
    if isinstance(chunks, EncodedBatch):
        if isinstance(chunks.data, device.xp.ndarray):  # it came there by GDS
            return chunks
        return EncodedBatch(device.upload(chunks.data), chunks.starts, chunks.sizes, host=chunks.data)
    return device.upload(chunks)

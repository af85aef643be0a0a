"""One step of a chain: a codec, the spec on its decoded side, and the codec's abilities, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gpuzarr.batch import ALIGNMENT
from gpuzarr.codecs.contract import (
    ChangesElements,
    ChangesShape,
    CheckedOnHost,
    Codec,
    DecodesByAddress,
    EncodesByAddress,
    EncodesElsewhere,
    HasAlignedBody,
    HasStreams,
    KeepsElements,
    KnowsDecodeScratch,
    KnowsEncodeScratch,
    LeavesShuffle,
    ReadsHeaders,
    StoresElements,
    TakesElements,
    TakesUnmeasured,
)
from gpuzarr.cpu.programs import Loop
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.dtypes.element_program import Program


@dataclass(frozen=True)
class Step:
    """`spec`: of the decoded side; a ChunkSpec, or a BytesSpec for bytes->bytes."""

    codec: Codec
    spec: Any

    @property
    def name(self) -> str:
        return self.codec.names[0] if self.codec.names else self.codec.ids[0]

    @cached_property
    def why_host(self) -> str | None:
        """None where a GPU decodes this step; else the reason why not."""
        return self.codec.why_host(self.spec)

    @cached_property
    def why_host_to_encode(self) -> str | None:
        """None where a GPU encodes this step; else the reason why not."""
        codec = self.codec
        return codec.why_host_to_encode(self.spec) if isinstance(codec, EncodesElsewhere) else self.why_host

    @cached_property
    def takes_unmeasured(self) -> bool:
        """Whether the codec encodes a batch whose sizes only the device knows."""
        return isinstance(self.codec, TakesUnmeasured) and self.codec.takes_unmeasured

    @cached_property
    def is_native(self) -> bool:
        """Whether this is an array->bytes step whose bytes are the elements as NumPy holds them."""
        return isinstance(self.codec, StoresElements) and self.codec.is_native(self.spec)

    @cached_property
    def memory_order(self) -> tuple[tuple[int, ...], int] | None:
        """The axes and byte order of `KeepsElements`; None where the codec changes elements."""
        return self.codec.memory_order(self.spec) if isinstance(self.codec, KeepsElements) else None

    @cached_property
    def changes_only_shape(self) -> bool:
        """Whether the elements stay as they are, and in C order."""
        return isinstance(self.codec, ChangesShape) and self.codec.changes_only_shape

    @cached_property
    def program(self) -> Program | None:
        """What decoding does with each element; None if there is no program of that."""
        return self.codec.program(self.spec, "decode") if isinstance(self.codec, ChangesElements) else None

    @cached_property
    def encode_program(self) -> Program | None:
        """What encoding does with each element; None if there is no program of that."""
        return self.codec.program(self.spec, "encode") if isinstance(self.codec, ChangesElements) else None

    @cached_property
    def may_refuse_on_gpu(self) -> bool:
        """Whether a GPU that encodes may find an element which the codec refuses."""
        return self.encode_program is not None and self.encode_program.may_refuse

    @cached_property
    def _decode_loop(self) -> Loop | None:
        """The program of decoding; None if the C library does not run it."""
        return Loop.of(self.program)

    @cached_property
    def _encode_loop(self) -> Loop | None:
        """The program of encoding; None if the C library does not run it."""
        return Loop.of(self.encode_program)

    def decode(self, chunks: Any, device: Device) -> Any:
        """Decode a batch by an array codec; on a CPU by the C library, where it runs the codec's program."""
        made = None if device.gpu else _run(self.program, self._decode_loop, chunks)
        return self.codec.decode(chunks, self.spec, device) if made is None else made

    def encode(self, chunks: Any, device: Device) -> Any:
        """Encode a batch; on a CPU by the C library, where it runs the codec's program."""
        made = None if device.gpu else _run(self.encode_program, self._encode_loop, chunks)
        return self.codec.encode(chunks, self.spec, device) if made is None else made

    @cached_property
    def leaves_shuffle(self) -> LeavesShuffle | None:
        """The codec, if it can leave its shuffle to placement."""
        return self.codec if isinstance(self.codec, LeavesShuffle) and self.spec.nbytes is not None else None

    @cached_property
    def decodes_by_address(self) -> DecodesByAddress | None:
        return self.codec if isinstance(self.codec, DecodesByAddress) else None

    @cached_property
    def takes_elements(self) -> TakesElements | None:
        return self.codec if isinstance(self.codec, TakesElements) else None

    @cached_property
    def encodes_by_address(self) -> EncodesByAddress | None:
        return self.codec if isinstance(self.codec, EncodesByAddress) else None

    @cached_property
    def is_checked_on_host(self) -> bool:
        """Whether this is a checksum that host threads verify before a GPU decodes."""
        return isinstance(self.codec, CheckedOnHost) and self.codec.checked_on_host

    @cached_property
    def reads_headers(self) -> bool:
        """Whether the host reads bytes of chunks that a GPU decodes. Array codecs are given arrays of the GPU."""
        if isinstance(self.codec, ReadsHeaders):
            return self.codec.reads_headers
        return self.codec.kind != "array->array"

    @cached_property
    def body_offset(self) -> int | None:
        """Where in a chunk the bytes begin that a GPU wants at a multiple of 4; None where it does not matter."""
        return self.codec.body_offset if isinstance(self.codec, HasAlignedBody) else None

    @property
    def may_decode_on_host(self) -> bool:
        """Whether the host decodes some chunks instead of the GPU: unusual ones, or those that it decodes sooner."""
        return isinstance(self.codec, KnowsDecodeScratch)

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        """Device bytes that decoding a chunk takes, the result of `nbytes` included. `stored`: of the stored chunk."""
        codec = self.codec
        return codec.decode_scratch_bytes(nbytes, stored) if isinstance(codec, KnowsDecodeScratch) else nbytes

    @cached_property
    def streams(self) -> tuple[Algorithm, int] | None:
        """The algorithm of a chunk's streams, and about how many there are; None where there are none."""
        return self.codec.streams(self.spec) if isinstance(self.codec, HasStreams) else None

    def encode_scratch_bytes(self, nbytes: int, before: int, device: Device) -> tuple[int, int]:
        """Device bytes that encoding a chunk of `nbytes` bytes takes, the result included; and the result's.

        `before`: bytes of the memory that holds the input.
        """
        if isinstance(self.codec, KnowsEncodeScratch):
            return self.codec.encode_scratch_bytes(nbytes, before, device)
        if self.codec.kind != "bytes->bytes":
            made = self.codec.encoded(self.spec).nbytes or nbytes
            return made, made
        return before + ALIGNMENT, before + ALIGNMENT


def _run(program: Program | None, loop: Loop | None, chunks: Any) -> Any:
    """Run a program on a batch on the CPU; None where the codec has to do it."""
    if program is None or (program.instructions and loop is None):
        return None
    return chunks if loop is None else loop.of_batch(chunks)

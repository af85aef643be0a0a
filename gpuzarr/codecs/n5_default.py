"""n5_default: N5 blocks in their default mode. Source: Zarr extension `n5_default`; N5 4.0.

It stands for three steps: `transpose`, since the first axis of N5 is the one whose elements are neighbours; `bytes`,
big-endian; and the block around them, with its compressor (`n5_block.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch, Unmeasured
from gpuzarr.codecs import Codec, Kind, parse
from gpuzarr.codecs.chain import Chain
from gpuzarr.codecs.n5_block import N5Block
from gpuzarr.devices.contract import Device
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import MetadataError
from gpuzarr.formats.n5_header import MAX_AXES, MAX_SIDE


@dataclass(frozen=True)
class N5Default:
    names = ("n5_default",)
    ids = ()
    kind: ClassVar[Kind] = "array->bytes"

    codecs: tuple[Codec, ...]

    @classmethod
    def from_v3(cls, configuration: dict[str, Any]) -> N5Default:
        if set(configuration) != {"codecs"}:
            raise MetadataError(f"codec 'n5_default' takes codecs, not {sorted(configuration)}")
        return cls(parse(configuration["codecs"]))

    def __post_init__(self) -> None:
        names = [codec.names[0] for codec in self.codecs]
        if names[:2] != ["transpose", "bytes"] or len(names) > 3 or self.codecs[-1].kind == "array->array":
            raise MetadataError(f"codec 'n5_default' takes transpose, bytes and at most one more codec, not {names}")
        if len(names) == 3 and self.codecs[2].kind != "bytes->bytes":
            raise MetadataError(f"codec 'n5_default' takes a compressor behind bytes, not {names[2]!r}")
        if getattr(self.codecs[1], "endian", None) == "little":
            raise MetadataError("codec 'n5_default': N5 blocks are big-endian")

    def parts(self, spec: ChunkSpec) -> tuple[Codec, ...]:
        """The codecs for which this one stands. MetadataError where N5 has no blocks of such chunks."""
        turn, to_bytes, *inner = self.codecs
        turned: ChunkSpec = turn.encoded(spec)
        to_bytes.encoded(turned)
        if turn.axes(ndim := len(spec.shape)) != tuple(range(ndim))[::-1]:  # type: ignore[attr-defined]
            raise MetadataError("codec 'n5_default': its transpose must reverse the axes")
        if ndim > MAX_AXES or any(side > MAX_SIDE for side in spec.shape):
            raise MetadataError(f"codec 'n5_default': no header of N5 holds the shape {spec.shape}")
        element = np.full((1, 1), 0 if spec.fill_value is None else spec.fill_value, spec.dtype)
        fill = to_bytes.encode(element, ChunkSpec((1,), spec.dtype), CPU)
        return turn, to_bytes, N5Block(spec.shape, fill[0].tobytes(), *inner)

    def encoded(self, spec: ChunkSpec) -> BytesSpec:
        return self._chain(spec).stored

    def why_host(self, spec: ChunkSpec) -> str | None:
        return self._chain(spec).host_steps[1]

    def why_host_to_encode(self, spec: ChunkSpec) -> str | None:
        return self._chain(spec).host_steps_to_encode[1]

    def decode(self, chunks: EncodedBatch, spec: ChunkSpec, device: Device, into: Any = None) -> Any:
        return self._chain(spec).run(chunks, device)

    def encode(self, chunks: Any, spec: ChunkSpec, device: Device) -> EncodedBatch | Unmeasured:
        chain = self._chain(spec)
        return chain.run_encoding(chunks, device) if device.gpu else chain.encode(chunks, device)

    def _chain(self, spec: ChunkSpec) -> Chain:
        return Chain.build(self.parts(spec), spec)


CODEC = N5Default

"""zstd: Zstandard frames (RFC 8878). Source: Zarr extension `zstd`; numcodecs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpuzarr import chunkwise
from gpuzarr.batch import BytesSpec, Slab
from gpuzarr.codecs import Kind
from gpuzarr.devices import Device
from gpuzarr.errors import CodecError, MetadataError
from gpuzarr.gpu import streams
from gpuzarr.zstd_frame import content_size, walk


@dataclass(frozen=True)
class Zstd:
    names = ("zstd", "numcodecs.zstd")
    ids = ("zstd",)
    kind: ClassVar[Kind] = "bytes->bytes"

    level: int = 0
    checksum: bool = False

    def __post_init__(self) -> None:
        if type(self.level) is not int or not -131072 <= self.level <= 22:
            raise MetadataError(f"codec 'zstd': level must be -131072 to 22, not {self.level!r}")
        if type(self.checksum) is not bool:
            raise MetadataError(f"codec 'zstd': checksum must be true or false, not {self.checksum!r}")

    def encoded(self, spec: BytesSpec) -> BytesSpec:
        return BytesSpec(None)

    def why_host(self, spec: BytesSpec) -> str | None:
        return streams.why_host("zstd", spec)

    def decode(self, chunks: Slab, spec: BytesSpec, device: Device, into: Slab | None = None) -> Slab:
        if device.gpu:
            return streams.decode("zstd", self, chunks, spec, device, into)
        from numcodecs.zstd import decompress

        if spec.nbytes is None:
            return chunkwise.pack(chunkwise.each("zstd", chunks, _grown), device)

        def fill(chunk: np.ndarray, target: np.ndarray) -> None:
            if len(target) and content_size(chunk[:18].tobytes()) == len(target):
                decompress(chunk, target)  # refuses what is cut, and what follows the frame
            else:
                _fill_any(chunk, target)

        return chunkwise.filled("zstd", chunks, spec.nbytes, device, into, fill)

    def encode(self, chunks: Slab, spec: BytesSpec, device: Device) -> Slab:
        from numcodecs.zstd import compress

        return chunkwise.encoded("zstd", chunks, device, lambda chunk: compress(chunk, self.level, self.checksum))


def _fill_any(chunk: np.ndarray, target: np.ndarray) -> None:
    """Decode frames of any number, with and without content sizes, to exactly `target`."""
    frames = walk(chunk.tobytes())
    if (frames.nbytes is not None and frames.nbytes != len(target)) or frames.bound < len(target):
        raise CodecError(f"the frames hold {frames.nbytes or frames.bound} bytes, and {len(target)} are due")
    if (found := _stream(chunk, target)) != len(target):
        raise CodecError(f"decoded to {found} bytes, not {len(target)}")


def _grown(chunk: np.ndarray) -> Any:
    """The decoded bytes of a chunk whose size only its frames say. No memory is taken beyond what they justify."""
    frames = walk(chunk.tobytes())
    if frames.bound > chunkwise.LARGEST:
        raise CodecError(f"the frames may hold {frames.bound} bytes, which is more than a chunk of unknown size may have")
    target = np.empty(frames.bound, np.uint8)
    found = _stream(chunk, target)
    if frames.nbytes not in (None, found):
        raise CodecError(f"decoded to {found} bytes, and the frames say {frames.nbytes}")
    return target[:found].copy()


def _stream(chunk: np.ndarray, target: np.ndarray) -> int:
    """Decode into `target` as a stream; how many bytes came out. An error if they do not fit."""
    from cramjam import zstd

    return int(zstd.decompress_into(chunk, target))


CODEC = Zstd

"""A compressed format that nvCOMP decodes and encodes: what devices and budgets need to know of it. Pure data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """Decoded bytes a second of one algorithm: of one stream on the GPU, of a GPU full of streams, of one core."""

    stream: float
    full: float
    core: float


@dataclass(frozen=True)
class Scratch:
    """Bytes of nvCOMP's scratch, at most: for each byte that is not compressed, and for each stream."""

    each_byte: float = 0.0
    each_stream: int = 0

    def of(self, nbytes: int) -> int:
        """For one stream of `nbytes` bytes."""
        return int(self.each_byte * nbytes) + self.each_stream


@dataclass(frozen=True)
class Algorithm:
    """One of nvCOMP's formats. The ones that codecs here use are in `gpuzarr.gpu.algorithms`."""

    name: str  # in reports, in error messages, and in the costs that `make calibrate` keeps
    nvcomp_name: str  # in the names of nvCOMP's functions: nvcompBatched<nvcomp_name>DecompressAsync
    max_decoded_bytes: int  # of a stream, that nvCOMP decodes to
    rate: Rate  # that is assumed until one is measured
    decode_scratch: Scratch = Scratch()
    encode_scratch: Scratch | None = None  # None: nvCOMP tells it without a GPU

"""Compressed formats that a GPU decodes, as devices and memory budgets need to know them. Pure data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """Decoded bytes per second of one algorithm: one stream on the GPU, a GPU full of streams, one core of the CPU."""

    stream: float
    full: float
    core: float


@dataclass(frozen=True)
class Scratch:
    """Upper bound of nvCOMP's scratch in bytes: for each uncompressed byte, and for each stream."""

    each_byte: float = 0.0
    each_stream: int = 0

    def of(self, nbytes: int) -> int:
        """Bytes of scratch for one stream of `nbytes`, uncompressed."""
        return int(self.each_byte * nbytes) + self.each_stream


@dataclass(frozen=True)
class Algorithm:
    """One of nvCOMP's formats, or one that a kernel of ours decodes. Those that codecs here use are in
    `gpuzarr.gpu.algorithms`."""

    name: str  # in reports, error messages, and the costs that `make calibrate` writes
    nvcomp_name: str | None  # in nvCOMP's functions: nvcompBatched<nvcomp_name>DecompressAsync; None: a kernel of ours
    max_decoded_bytes: int  # of one stream
    rate: Rate  # assumed until it is measured
    decode_scratch: Scratch = Scratch()
    encode_scratch: Scratch | None = None  # None: nvCOMP can be asked for it without a GPU

"""Decode chunks that are one stream of nvCOMP each, in the container that a codec describes by a `StreamFormat`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.gpu.compact import Ends
from gpuzarr.gpu.fallback import decode_on_host, decode_scratch, faster_on_host, targets, with_host
from gpuzarr.gpu.tables import addresses

# known(host, starts, sizes, nbytes): mask (n,) of the chunks that nvCOMP may be given, by their bytes in host memory;
# the host decodes the others. Each must decode to `nbytes` bytes.
Known = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
# launch(device, sources, sizes, targets, nbytes, chunk): decode whole chunks; arguments: see `Device.decompress`.
Launch = Callable[[Device, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]
# ends(device, chunks, sources): the bytes before and behind the streams of chunks at addresses `sources`.
MakeEnds = Callable[[Device, EncodedBatch, np.ndarray], Ends]


@dataclass(frozen=True)
class StreamFormat:
    """How a codec stores chunks that are one stream of `algorithm` each.

    `launch` and `ends` decode and make the container; None: there is none. `copied`: whether `launch` copies the
    streams first.
    """

    algorithm: Algorithm
    known: Known
    launch: Launch | None = None
    ends: MakeEnds | None = None
    copied: bool = False
    max_chunk_bytes: int = 2**32 - 1  # decoded

    def why_host(self, spec: BytesSpec) -> str | None:
        """None where a GPU decodes chunks of this spec; else the reason why not."""
        if spec.nbytes is None:
            return "decoded size is not known from metadata"
        most = min(self.max_chunk_bytes, self.algorithm.max_decoded_bytes)
        return f"nvCOMP decodes at most {most} bytes a chunk" if spec.nbytes > most else None

    def decode_scratch_bytes(self, nbytes: int, stored: int) -> int:
        """See `codecs.contract.KnowsDecodeScratch`."""
        return nbytes + decode_scratch(self.algorithm, nbytes) + (stored if self.copied else 0)

    def decode(
        self, codec: Any, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None
    ) -> EncodedBatch:
        """Decode a batch whose decoded size `spec.nbytes` is known. `codec` decodes what nvCOMP is not given."""
        nbytes = spec.nbytes or 0
        into = targets(chunks, nbytes, device, into)
        if not len(chunks):
            return into
        chunks = with_host(chunks, device)
        on_gpu = self._decoded_on_gpu(chunks, nbytes, device)
        if on_gpu.any():
            self._launch(chunks, into, np.flatnonzero(on_gpu), device)
        decode_on_host(
            codec, chunks, np.flatnonzero(~on_gpu), spec, device, into
        )  # meanwhile the GPU decodes the others
        return into

    def _decoded_on_gpu(self, chunks: EncodedBatch, nbytes: int, device: Device) -> np.ndarray:
        on_gpu = np.zeros(len(chunks), bool)
        if not nbytes or chunks.host is None or not len(chunks.host):
            return on_gpu
        known = np.flatnonzero(self.known(chunks.host, chunks.starts, chunks.sizes, nbytes))
        each = np.full(len(known), nbytes)
        host = faster_on_host(self.algorithm, each, each, each, 1.0 if self.copied else 0.0, device)
        on_gpu[np.delete(known, host)] = True
        return on_gpu

    def _launch(self, chunks: EncodedBatch, into: EncodedBatch, which: np.ndarray, device: Device) -> None:
        sources, sizes = addresses(chunks, device)[which], chunks.sizes[which]
        places, nbytes = addresses(into, device)[which], into.sizes[which]
        if self.launch is None:
            device.decompress(self.algorithm, sources, sizes, places, nbytes, which)
        else:
            self.launch(device, sources, sizes, places, nbytes, which)

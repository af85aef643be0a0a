"""Checksums of 4 bytes, little-endian, at the start or the end of chunks: verified and appended on any device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr import gpu
from gpuzarr.batch import BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.cpu.checksums import SIZE, compare
from gpuzarr.cpu.chunkwise import check_sizes, moved
from gpuzarr.devices.contract import Device
from gpuzarr.errors import CodecError, MetadataError


@dataclass(frozen=True)
class Checksum:
    """A checksum, and how it is computed.

    `of_host(chunks)`: that of each chunk, uint32 (n,). `of_gpu(device, ranges, longest)`: the same, an array of the
    device, of ranges in a table there (addresses, then sizes, uint64), at most `longest` bytes each.
    """

    name: str
    of_host: Callable[[EncodedBatch], np.ndarray]
    of_gpu: Callable[[Device, Any, int], Any]

    def decode(
        self, chunks: EncodedBatch, spec: BytesSpec, location: str, device: Device, into: EncodedBatch | None
    ) -> EncodedBatch:
        """Verify: the chunks without their checksums, as views, or copied to `into` if given."""
        payload, at_end = self._payload(chunks, spec, location), location == "end"
        if device.gpu:
            problem = f"{self.name}: the checksum does not match"
            gpu.checksums.verify(chunks, payload, at_end, device, self.of_gpu, problem)
            return gpu.tables.moved(payload, into, device)
        compare(self.name, chunks, payload, at_end, self.of_host(payload))
        return moved(payload, into)

    def encode(self, chunks: EncodedBatch | Unmeasured, location: str, device: Device) -> EncodedBatch | Unmeasured:
        """Copy chunks, each with its checksum."""
        if device.gpu or isinstance(chunks, Unmeasured):
            return gpu.append.append(chunks, location == "end", device, self.of_gpu)
        made, found = device.encoded_batch(chunks.sizes + SIZE), self.of_host(chunks)
        moved(chunks, self._payload(made, BytesSpec(None), location))
        at = made.starts + chunks.sizes if location == "end" else made.starts
        made.data[at[:, None] + np.arange(SIZE)] = found.astype("<u4").view(np.uint8).reshape(-1, SIZE)
        return made

    def _payload(self, chunks: EncodedBatch, spec: BytesSpec, location: str) -> EncodedBatch:
        """The chunks without their checksums, as views. CodecError for a chunk of a wrong size."""
        if spec.nbytes is not None:
            check_sizes(self.name, chunks, spec.nbytes + SIZE)
        elif (short := chunks.sizes < SIZE).any():
            raise CodecError(f"{self.name}: the chunk is shorter than its checksum", int(np.argmax(short)))
        return chunks.part(0, SIZE) if location == "end" else chunks.part(SIZE, 0)


def with_checksum(spec: BytesSpec) -> BytesSpec:
    """The spec behind a checksum."""
    return spec.resized(lambda nbytes: nbytes + SIZE)


def checked_location(location: Any, default: str, codec: str) -> str:
    """The location in a configuration; `default` where there is none. MetadataError where it is no such word."""
    if location not in ("start", "end", "", None):
        raise MetadataError(f"codec {codec!r}: location must be 'start' or 'end', not {location!r}")
    return location or default

"""Decode Blosc chunks on the GPU: one call for all streams of each inner codec of a batch, then one unshuffle.

The calls are of nvCOMP, but for blosclz, which a kernel of ours decodes. Raw streams are not copied before the
unshuffle, which reads them in place. Chunks that were not shuffled are decoded directly to their target. `planes`
leaves the unshuffle to the kernel that places chunks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import BytesSpec, EncodedBatch
from gpuzarr.devices.algorithm import Algorithm
from gpuzarr.devices.contract import Device
from gpuzarr.formats import blosc_frame as frame
from gpuzarr.gpu import blosclz
from gpuzarr.gpu.algorithms import BLOSCLZ, DEFLATE, LZ4, SNAPPY, ZSTD
from gpuzarr.gpu.containers import decode_zlib
from gpuzarr.gpu.fallback import decode_on_host, decode_scratch, faster_on_host, targets, with_host
from gpuzarr.gpu.frames import zlib_streams, zstd_frames
from gpuzarr.gpu.planes import Planes, placeable, table
from gpuzarr.gpu.shuffle import Blocks, bitunshuffle, unshuffle
from gpuzarr.gpu.tables import addresses, copy

_RAW_STREAMS = {frame.LZ4: LZ4, frame.SNAPPY: SNAPPY, frame.ZSTD: ZSTD}
_ALGORITHMS = _RAW_STREAMS | {frame.ZLIB: DEFLATE, frame.BLOSCLZ: BLOSCLZ}
_BY_NAME = {"blosclz": BLOSCLZ, "lz4": LZ4, "lz4hc": LZ4, "snappy": SNAPPY, "zstd": ZSTD, "zlib": DEFLATE}


def why_host(spec: BytesSpec) -> str | None:
    return "decoded size is not known from metadata" if spec.nbytes is None else None


def algorithm(cname: str) -> Algorithm:
    """The algorithm that decodes streams of Blosc's codec of this name."""
    return _BY_NAME[cname]


def decode_scratch_bytes(cname: str, nbytes: int, stored: int) -> int:
    """See `codecs.contract.KnowsDecodeScratch`: a chunk, a stage that blocks are unshuffled from, and tables."""
    inner = algorithm(cname)
    return nbytes + nbytes + nbytes // 32 + decode_scratch(inner, nbytes) + (stored if inner is DEFLATE else 0)


def decode(
    codec: Any, chunks: EncodedBatch, spec: BytesSpec, device: Device, into: EncodedBatch | None
) -> EncodedBatch:
    """Decode a batch whose decoded size `spec.nbytes` is known."""
    into = targets(chunks, spec.nbytes or 0, device, into)
    if not len(chunks):
        return into
    chunks = with_host(chunks, device)
    streams, on_host = _parsed(chunks, spec, device)
    plan = _Plan.of(streams, ~on_host[streams.chunk], chunks, into, device)
    plan.launch(device, np.zeros(len(chunks), bool))
    decode_on_host(codec, chunks, np.flatnonzero(on_host), spec, device, into)  # meanwhile the GPU decodes the others
    return into


def planes(codec: Any, chunks: EncodedBatch, spec: BytesSpec, device: Device, width: int, bits: np.ndarray) -> Planes:
    """Decode, but leave raw chunks where they are, and leave shuffles of elements of `width` bytes: of bytes, and of
    bits where `bits` (bool, one a chunk) allows it."""
    chunks = with_host(chunks, device)
    streams, on_host = _parsed(chunks, spec, device)
    headers, plain = streams.headers, streams.headers.copied & ~on_host
    of_bits = (headers.shuffle == frame.BIT_SHUFFLE) & placeable(width, headers.blocksize, headers.nbytes, bits=True)
    of_bytes = (headers.shuffle == frame.BYTE_SHUFFLE) & placeable(width, headers.blocksize, headers.nbytes)
    left = ~on_host & (headers.typesize == width) & (of_bytes | (of_bits & bits))
    into = device.encoded_batch(np.where(plain | left, 0, headers.nbytes))
    plan = _Plan.of(streams, ~(on_host | plain)[streams.chunk], chunks, into, device)
    plan.launch(device, left)
    decode_on_host(codec, chunks, np.flatnonzero(on_host), spec, device, into)
    places = np.where(plain, addresses(chunks, device) + np.uint64(frame.HEADER), addresses(into, device))
    held = chunks.data, plan.stage.data, into.data
    blocks, nbytes = np.where(left, headers.blocksize, 0), np.where(left & of_bits, headers.nbytes, 0)
    return Planes(width, np.where(left, np.uint64(0), places), blocks, *plan.planes(left, width), nbytes, held)


def _parsed(chunks: EncodedBatch, spec: BytesSpec, device: Device) -> tuple[frame.Streams, np.ndarray]:
    """Parse a batch: its streams, and a mask of the chunks that the host decodes."""
    streams = frame.parse(chunks, spec.nbytes)
    on_host = np.zeros(len(chunks), bool)
    on_host[streams.chunk[~_known(streams, chunks.host)]] = True
    return streams, on_host | _slower(streams, ~on_host, device)


def _slower(streams: frame.Streams, known: np.ndarray, device: Device) -> np.ndarray:
    """Mask of those of the `known` chunks that the host decodes faster."""
    headers, slower = streams.headers, np.zeros(len(known), bool)
    nbytes = np.where(streams.raw, 0, streams.nbytes)
    total, largest = np.zeros((2, len(known)), np.int64)
    np.add.at(total, streams.chunk, nbytes)
    np.maximum.at(largest, streams.chunk, nbytes)
    for kind, algorithm in _ALGORITHMS.items():
        some = np.flatnonzero(known & (headers.codec == kind) & (total > 0))
        if len(some):
            host = faster_on_host(algorithm, total[some], largest[some], headers.nbytes[some], 1.0, device)
            slower[some[host]] = True
    return slower


def _known(streams: frame.Streams, data: np.ndarray | None) -> np.ndarray:
    """Mask of the streams that the GPU can decode: raw ones, and valid ones of the algorithms that it has."""
    codec = streams.headers.codec[streams.chunk]
    known = streams.raw | (codec == frame.LZ4) | (codec == frame.SNAPPY) | (codec == frame.BLOSCLZ)
    for kind, check in ((frame.ZSTD, _zstd), (frame.ZLIB, _zlib)):
        some = np.flatnonzero(~streams.raw & (codec == kind))
        if len(some) and data is not None:
            known[some] = check(data, streams, some)
    return np.asarray(known)


def _zstd(data: np.ndarray, streams: frame.Streams, some: np.ndarray) -> np.ndarray:
    return zstd_frames(data, streams.source[some], streams.size[some], streams.nbytes[some])


def _zlib(data: np.ndarray, streams: frame.Streams, some: np.ndarray) -> np.ndarray:
    return zlib_streams(data, streams.source[some], streams.size[some])


@dataclass(frozen=True)
class _Plan:
    """Source and target of every stream: arrays of one item a stream, sorted by chunk and offset; addresses are uint64.

    `stage` holds streams before the unshuffle, and must be referenced until the last launch.
    """

    headers: frame.Headers
    chunk: np.ndarray
    raw: np.ndarray
    source: np.ndarray  # address
    size: np.ndarray
    nbytes: np.ndarray
    target: np.ndarray  # address: in the decoded chunk, or in the stage
    shuffled: np.ndarray  # whether its block was shuffled
    block: np.ndarray  # offset of its block in the decoded chunk
    block_nbytes: np.ndarray
    final: np.ndarray  # address of its block in the decoded chunk
    stage: EncodedBatch

    @classmethod
    def of(
        cls, streams: frame.Streams, keep: np.ndarray, chunks: EncodedBatch, into: EncodedBatch, device: Device
    ) -> _Plan:
        headers, chunk = streams.headers, streams.chunk[keep]
        offset = streams.target[keep]
        width, blocksize, total = headers.typesize[chunk], headers.blocksize[chunk], headers.nbytes[chunk]
        blocksize = np.where(headers.copied[chunk], total, blocksize)
        block = offset // np.maximum(blocksize, 1) * blocksize
        block_nbytes = np.minimum(blocksize, total - block)
        kind = headers.shuffle[chunk]
        bits = (kind == frame.BIT_SHUFFLE) & (block_nbytes >= width) & (block_nbytes // width % 8 == 0)
        shuffled = (kind == frame.BYTE_SHUFFLE) | bits
        staged = np.zeros(len(chunks), np.int64)
        staged[chunk[shuffled]] = total[shuffled]
        stage, end = device.encoded_batch(staged), addresses(into, device)
        target = np.where(shuffled, addresses(stage, device)[chunk], end[chunk]) + offset.astype(np.uint64)
        source = np.uint64(device.address(chunks.data)) + streams.source[keep].astype(np.uint64)
        final = end[chunk] + block.astype(np.uint64)
        raw, size, nbytes = streams.raw[keep], streams.size[keep], streams.nbytes[keep]
        return cls(headers, chunk, raw, source, size, nbytes, target, shuffled, block, block_nbytes, final, stage)

    def launch(self, device: Device, left: np.ndarray) -> None:
        """Launch everything but the unshuffle of chunks `left` (bool, one a chunk)."""
        self._decompress(device)
        self._copy_raw(device)
        self._unshuffle(device, ~left[self.chunk])

    def planes(self, left: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """The columns `first` and `planes` of `Planes`; only chunks `left` have planes."""
        some = np.flatnonzero(left[self.chunk])
        starts = np.where(self.raw, self.source, self.target)[some]
        return table(starts, self.nbytes[some], self.block_nbytes[some], self.chunk[some], len(left), width)

    def _decompress(self, device: Device) -> None:
        codec = self.headers.codec[self.chunk]
        columns = (self.source, self.size, self.target, self.nbytes, self.chunk)
        for kind, algorithm in _RAW_STREAMS.items():
            if (some := ~self.raw & (codec == kind)).any():
                device.decompress(algorithm, *(column[some] for column in columns))
        for kind, decode in ((frame.ZLIB, decode_zlib), (frame.BLOSCLZ, blosclz.decode)):
            some = ~self.raw & (codec == kind)
            decode(device, *(column[some] for column in columns))

    def _copy_raw(self, device: Device) -> None:
        """Copy raw streams of blocks that were not shuffled."""
        some = self.raw & ~self.shuffled
        copy(device, self.source[some], self.target[some], self.nbytes[some])

    def _unshuffle(self, device: Device, which: np.ndarray) -> None:
        """Unshuffle blocks from their streams: raw ones in the stored chunk, others in the stage."""
        some = np.flatnonzero(self.shuffled & which)
        planes = np.where(self.raw, self.source, self.target)[some]
        chunk, block = self.chunk[some], self.block[some]
        begins = np.ones(len(some), bool)
        begins[1:] = (chunk[1:] != chunk[:-1]) | (block[1:] != block[:-1])
        first = np.flatnonzero(begins)
        own = np.diff(first, append=len(some)) > 1
        at = some[first]
        width, bits = self.headers.typesize[chunk[first]], self.headers.shuffle[chunk[first]] == frame.BIT_SHUFFLE
        blocks = Blocks(self.final[at], self.block_nbytes[at], width, first, own, planes)
        unshuffle(device, blocks.take(~bits))
        bitunshuffle(device, blocks.take(bits))

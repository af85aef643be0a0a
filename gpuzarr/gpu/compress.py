"""Encode chunks to one stream of nvCOMP each; `gpuzarr.gpu.nvcomp_streams` decodes them."""

from __future__ import annotations

from gpuzarr.batch import ALIGNMENT, BytesSpec, EncodedBatch, Unmeasured
from gpuzarr.devices.contract import Device
from gpuzarr.devices.nvcomp.compress import MAX_INPUT_BYTES
from gpuzarr.gpu.compact import Ends, aligned, compacted, in_slots
from gpuzarr.gpu.nvcomp_streams import StreamFormat
from gpuzarr.gpu.tables import addresses, are_aligned, copy, table


def why_host(spec: BytesSpec) -> str | None:
    """None where a GPU encodes chunks of this spec; else the reason why not."""
    if spec.nbytes is None:
        return "the size to compress is not known from metadata"
    if spec.nbytes == 0:
        return "there is nothing to compress"
    return f"nvCOMP compresses at most {MAX_INPUT_BYTES} bytes a chunk" if spec.nbytes > MAX_INPUT_BYTES else None


def effort(level: int) -> int:
    """nvCOMP's effort for a level of zlib: 2 compresses about as level 1, 4 as level 6 (the default), 5 better."""
    return 4 if level in (-1, 6) else 5 if level > 6 else 2


def encode(
    form: StreamFormat, chunks: EncodedBatch, spec: BytesSpec, device: Device, effort: int = 0
) -> EncodedBatch | Unmeasured:
    """Encode a batch of chunks of `spec.nbytes` bytes each. Chunks that nvCOMP refuses get 0 bytes."""
    if not len(chunks):
        return EncodedBatch(device.empty(0), chunks.starts, chunks.sizes)
    slot_bytes = aligned(device.compressed_capacity(form.algorithm, spec.nbytes or 0))
    chunks = at_multiples(4, chunks, device)
    sources = addresses(chunks, device)
    _slots, where = in_slots(len(chunks), slot_bytes, device)
    sizes = device.compress(form.algorithm, sources, chunks.sizes, where, effort)
    ends = Ends() if form.ends is None else form.ends(device, chunks, sources)
    return compacted(device, table(device, where), sizes, slot_bytes, ends)


def scratch_bytes(form: StreamFormat, nbytes: int, before: int, device: Device, effort: int = 0) -> tuple[int, int]:
    """See `codecs.contract.KnowsEncodeScratch`: an aligned copy, a slot, the packed stream, and scratch."""
    slot_bytes = device.compressed_capacity(form.algorithm, nbytes) + ALIGNMENT
    return before + 2 * slot_bytes + device.compression_scratch(form.algorithm, nbytes, effort), slot_bytes


def at_multiples(alignment: int, chunks: EncodedBatch, device: Device) -> EncodedBatch:
    """Align chunks to multiples of `alignment`, by a copy where they are not."""
    if are_aligned(chunks, alignment, device):
        return chunks
    aligned_copy = device.encoded_batch(chunks.sizes)
    copy(device, addresses(chunks, device), addresses(aligned_copy, device), chunks.sizes)
    return aligned_copy

"""Chunks that a GPU encodes, as bytes."""

import numpy as np
import pytest

from gpuzarr.batch import BytesSpec, EncodedBatch, measured
from tests.chunks import batch_on


def encoded(gpu, codec, chunks, starts=None, gap=16):
    """The encoded chunks, as bytes; and that they are packed, less than `gap` bytes apart."""
    spec = BytesSpec(len(chunks[0]))
    assert codec.why_host_to_encode(spec) is None
    made = measured(codec.encode(batch_on(gpu, chunks) if starts is None else crowded(gpu, chunks), spec, gpu), gpu)
    assert made.starts.dtype == made.sizes.dtype == np.int64
    ends = made.starts + made.sizes
    assert (made.starts[1:] >= ends[:-1]).all() and (made.starts[1:] - ends[:-1] < gap).all()
    assert ends[-1] <= len(made.data) < ends[-1] + gap
    gpu.checked()  # looks at the guards of the emulator
    data = gpu.download(made.data)
    return [data[s : s + n].tobytes() for s, n in zip(made.starts, made.sizes, strict=True)]


def crowded(gpu, chunks):
    """The chunks at odd places."""
    starts = 1 + np.arange(len(chunks), dtype=np.int64) * (len(chunks[0]) + 3)
    data = np.full(int(starts[-1]) + len(chunks[0]) + 4, 0xEE, np.uint8)
    for start, chunk in zip(starts, chunks, strict=True):
        data[start : start + len(chunk)] = np.frombuffer(chunk, np.uint8)
    return EncodedBatch(gpu.upload(data), starts, np.full(len(chunks), len(chunks[0])))


def failing_at_every_third(gpu, monkeypatch):
    """Have nvCOMP's encoder refuse every third stream. The list of what it was asked for. Skips the real one."""
    if gpu.name != "emulated":
        pytest.skip("nvCOMP does not fail on demand")
    from tests.emulator.library import Library

    one, seen = Library.compressor.one, []

    def fail(*arguments):
        seen.append(arguments)
        return one(*arguments) if len(seen) % 3 else (1, 7)

    monkeypatch.setattr(Library.compressor, "one", fail)
    return seen

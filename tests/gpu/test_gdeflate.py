"""Chunks of gdeflate on a GPU: pages of many chunks in one batch, both ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuzarr.batch import BytesSpec, ChunkSpec
from gpuzarr.codecs import find
from gpuzarr.codecs.chain import Chain
from gpuzarr.formats.gdeflate import PAGE_BYTES, header_bytes, max_stored_bytes
from gpuzarr.gpu.gdeflate import effort, encode_scratch_bytes
from tests.chunks import CPU, KINDS, batch_on, decode, plain, whole
from tests.gpu.encoding import encoded, failing_at_every_third
from tests.hardware import emulated

CODEC = find("zarrs.gdeflate", {"level": 6})


def check(gpu: Any, nbytes: int, kinds: tuple[str, ...] = KINDS) -> None:
    """The host and the GPU decode what the GPU encodes, wherever the chunks lie in memory."""
    chunks = [plain(nbytes, kind) for kind in kinds] + [bytes(nbytes)]
    for starts in (None, "crowded"):
        made = encoded(gpu, CODEC, chunks, starts)
        assert whole(CODEC.decode(batch_on(CPU, made), BytesSpec(nbytes), CPU)) == chunks
        assert header_bytes(nbytes) < max(map(len, made)) <= max_stored_bytes(nbytes)
        assert decode(gpu, CODEC, made, nbytes) == chunks


@pytest.mark.parametrize("nbytes", [1, 2, 5003, PAGE_BYTES, PAGE_BYTES + 1, 3 * PAGE_BYTES + 77])
def test_sizes(gpu: Any, nbytes: int) -> None:
    check(gpu, nbytes)


@settings(max_examples=20, deadline=None)
@given(nbytes=st.integers(1, 2 * PAGE_BYTES), kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=3))
def test_any_size(nbytes: int, kinds: list[str]) -> None:
    check(emulated(), nbytes, tuple(kinds))


def test_more_pages_than_a_block_of_threads_takes_in_a_round() -> None:
    """Only the kernels, with pages of random bytes: 256 of them in a round."""
    gpu, pages, slot = emulated(), 700, 48
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, slot, (2, pages))
    slots = rng.integers(0, 256, (2 * pages, slot), np.uint8)
    made, total = gpu.upload(sizes.reshape(-1).astype(np.uint64)), gpu.empty(16).view(np.uint64)
    offset, target = gpu.empty(16 * pages).view(np.uint64), gpu.empty(2 * (pages * 60 + 64))
    count = np.uint32(2)
    layout, write = (gpu.kernel("gdeflate_write.cu", f"gdeflate_{name}") for name in ("layout", "write"))
    layout((2,), (256,), (made, np.uint64(pages), offset, total, count))
    starts = gpu.upload(np.array([0, len(target) // 2], np.uint64))
    arguments = gpu.upload(slots.reshape(-1)), np.uint64(slot), made, offset, total, starts, np.uint64(pages)
    write((2 * pages, 1), (256,), (*arguments, np.uint64(12345), target, np.uint64(len(target)), count))
    found, totals = gpu.download(target), gpu.download(total).tolist()
    for chunk, start in enumerate((0, len(target) // 2)):
        body = b"".join(slots[chunk * pages + i, :size].tobytes() for i, size in enumerate(sizes[chunk]))
        wanted = np.array([12345, pages, *sizes[chunk]], "<u8").tobytes() + body
        assert found[start : start + totals[chunk]].tobytes() == wanted


def test_what_nvcomp_fails_at_is_encoded_all_the_same(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = failing_at_every_third(gpu, monkeypatch)
    nbytes = PAGE_BYTES + 3000
    batch = np.frombuffer(b"".join(plain(nbytes, KINDS[i % 3]) for i in range(4)), np.uint8).reshape(4, nbytes)
    chain = Chain.build([find("bytes", {}), CODEC, find("crc32c", {})], ChunkSpec((nbytes,), batch.dtype, 0))
    made = chain.encode(gpu.upload(batch), gpu)
    assert np.array_equal(chain.decode(made, CPU), batch) and len(seen) == 8


def test_what_the_host_does_and_why(gpu: Any) -> None:
    assert CODEC.why_host(BytesSpec(1000)) is CODEC.why_host_to_encode(BytesSpec(1000)) is None
    assert "not known" in CODEC.why_host(BytesSpec(None)) and "not known" in CODEC.why_host_to_encode(BytesSpec(None))
    assert "nothing to compress" in CODEC.why_host_to_encode(BytesSpec(0))
    assert "level 0" in find("zarrs.gdeflate", {"level": 0}).why_host_to_encode(BytesSpec(1000))
    assert [effort(level) for level in range(1, 13)] == [2, 2, 2, 4, 4, 4, 4, 4, 5, 5, 5, 5]
    taken, made = encode_scratch_bytes(6, 100_000, 100_000, gpu)
    assert 100_000 < made < taken

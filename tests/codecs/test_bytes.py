"""bytes and transpose: every dtype, both byte orders, chunks that lie anywhere; on the host, and as GPU expressions."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpuzarr
from gpuzarr.batch import BytesSpec, ChunkSpec, EncodedBatch
from gpuzarr.codecs import find
from gpuzarr.codecs.bytes import Bytes
from gpuzarr.codecs.transpose import Transpose
from gpuzarr.errors import CodecError, MetadataError
from tests.chunks import CPU, spec_of

STRUCT = np.dtype([("a", "<i2"), ("b", [("c", ">f8"), ("d", "S3")]), ("e", "<u4", (2,))])
NUMBERS = ["b1", "i1", "u1", "i2", "u2", "i4", "u8", "f2", "f4", "f8", "c8", "c16"]
NEWER = [getattr(ml_dtypes, name) for name in ("complex32", "bcomplex32") if hasattr(ml_dtypes, name)]
NARROW = [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4, *NEWER]
OTHERS = ["S5", "U3", "V3", "M8[s]", "m8[ns]", *NARROW]


def batch_of(dtype: np.dtype, n: int = 5, shape: tuple[int, ...] = (3, 4)) -> np.ndarray:
    rng = np.random.default_rng(3)
    if dtype.names:
        return np.frombuffer(rng.bytes(n * 12 * dtype.itemsize), dtype).reshape(n, *shape)
    values = rng.integers(0, 7, (n, *shape))
    return values.astype("U").astype(dtype) if dtype.kind in "SV" and dtype.type is np.void else values.astype(dtype)


def placed(batch: np.ndarray, stored: bytes, order: np.ndarray, gap: int, offset: int) -> EncodedBatch:
    """The chunks' bytes (all in `stored`) in another order, `gap` bytes apart."""
    nbytes = len(stored) // len(batch)
    data = np.full(offset + len(batch) * (nbytes + gap) + 8, 0xEE, np.uint8)
    starts = offset + order * (nbytes + gap)
    for i, start in enumerate(starts):
        data[start : start + nbytes] = np.frombuffer(stored[i * nbytes : (i + 1) * nbytes], np.uint8)
    return EncodedBatch(data, starts.astype(np.int64), np.full(len(batch), nbytes, np.int64))


def same(one: np.ndarray, other: np.ndarray) -> bool:
    native = np.ascontiguousarray(one.astype(other.dtype, copy=False))
    return native.tobytes() == np.ascontiguousarray(other).tobytes()


@pytest.mark.parametrize("dtype", [*map(np.dtype, NUMBERS + OTHERS), STRUCT.newbyteorder("=")], ids=str)
@pytest.mark.parametrize("endian", ["little", "big"])
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [3, 1, 4, 0, 2], [4, 3, 2, 1, 0]])
@pytest.mark.parametrize("gap, offset", [(0, 0), (0, 3), (5, 1), (8, 8)])
def test_round_trip(dtype, endian, order, gap, offset, device):
    batch = batch_of(dtype)
    codec, spec = Bytes(endian), spec_of(batch)
    if device.gpu and codec.why_host(spec):
        pytest.skip(codec.why_host(spec))
    swapped = dtype.newbyteorder(">" if endian == "big" else "<")
    if dtype in NARROW and dtype.itemsize > 1 and endian == "big":
        expected = batch.view("u2").byteswap().tobytes()
    else:
        expected = np.ascontiguousarray(batch.astype(swapped)).tobytes()
    made = codec.encode(device.upload(batch) if device.gpu else batch, spec, device)
    data = device.download(made.data) if device.gpu else made.data
    stored = b"".join(data[start : start + size].tobytes() for start, size in zip(made.starts, made.sizes, strict=True))
    assert stored == expected
    encoded = placed(batch, stored, np.array(order), gap, offset)
    if device.gpu:
        encoded = EncodedBatch(device.upload(encoded.data), encoded.starts, encoded.sizes, encoded.data)
    found = codec.decode(encoded, spec, device)
    if device.gpu:
        assert found.dtype == spec.dtype and device.address(found) % spec.dtype.itemsize == 0
        found = device.download(found)
    assert same(found, batch)


def test_even_chunks_are_a_view_and_rows_of_a_shard_are_taken_at_once():
    data = np.arange(4096, dtype=np.uint8)
    even = EncodedBatch(data, np.arange(0, 4096, 256), np.full(16, 64))
    assert np.shares_memory(Bytes("little").decode(even, ChunkSpec((16,), np.dtype("i4")), CPU), data)
    shuffled = EncodedBatch(data, np.random.default_rng(0).permutation(16) * 256, np.full(16, 256))
    made = Bytes().decode(shuffled, ChunkSpec((256,), np.dtype("u1")), CPU)
    assert made.base is None or not np.shares_memory(made, data)


def test_mixed_byte_orders_of_v2():
    batch = batch_of(STRUCT)
    codec, spec = Bytes(stored=STRUCT), spec_of(batch)
    made = codec.encode(batch.astype(spec.dtype), spec, CPU)
    assert made[0].tobytes() == batch[0].tobytes()
    assert same(codec.decode(made, spec, CPU), batch)


def test_endian_is_needed_only_where_elements_have_several_bytes():
    for name in ("u1", "b1", "S4", "V7", ml_dtypes.float8_e5m2, ml_dtypes.uint4, np.dtype([("a", "u1")])):
        assert Bytes().encoded(ChunkSpec((2,), np.dtype(name))).nbytes == 2 * np.dtype(name).itemsize
    for name in ("u2", "c8", "U1", "M8[s]", ml_dtypes.bfloat16, np.dtype([("a", "u1"), ("b", "f4")])):
        with pytest.raises(MetadataError, match="endian"):
            Bytes().encoded(ChunkSpec((2,), np.dtype(name)))
    for dtype in (np.dtype(object), np.dtypes.StringDType()):
        with pytest.raises(MetadataError, match="variable length"):
            Bytes("little").encoded(ChunkSpec((2,), dtype))
    for bad in ({"endian": "middle"}, {"endian": 1}, {"order": "C"}, {"stored": "u1"}):
        with pytest.raises(MetadataError, match="bytes"):
            find("bytes", bad)


def test_wrong_size_names_the_chunk():
    encoded = EncodedBatch(np.zeros(100, np.uint8), np.array([0, 8, 16]), np.array([8, 8, 7]))
    with pytest.raises(CodecError, match="7 bytes, expected 8") as caught:
        Bytes("big").decode(encoded, ChunkSpec((2,), np.dtype("f4")), CPU)
    assert caught.value.index == 2


def test_empty_chunks_and_batches():
    for shape, n in (((0, 3), 2), ((2,), 0), ((), 3)):
        batch = np.zeros((n, *shape), "f4")
        made = Bytes("little").encode(batch, spec_of(batch), CPU)
        assert Bytes("little").decode(made, spec_of(batch), CPU).shape == batch.shape


@given(st.permutations(range(4)), st.integers(0, 3))
def test_transpose(order, n):
    batch = np.arange(n * 120).reshape(n, 2, 3, 4, 5)
    codec = find("transpose", {"order": list(order)})
    made = codec.encode(batch, spec_of(batch), CPU)
    assert made.shape[1:] == codec.encoded(spec_of(batch)).shape
    assert all((made[i] == batch[i].transpose(order)).all() for i in range(n))
    assert (codec.decode(made, spec_of(batch), CPU) == batch).all()


def test_transpose_orders():
    spec = ChunkSpec((2, 3, 4), np.dtype("u1"))
    assert Transpose("F").encoded(spec).shape == (4, 3, 2)
    assert Transpose("C").encoded(spec).shape == (2, 3, 4)
    for bad in ([0, 0], [1, 2], [0, -1], "A", [0.0], 3, None, [True, False]):
        with pytest.raises(MetadataError, match="transpose"):
            find("transpose", {"order": bad})
    with pytest.raises(MetadataError, match="3 axes"):
        Transpose((1, 0)).encoded(spec)


def test_sizes_of_bytes_are_known():
    assert Bytes("little").encoded(ChunkSpec((3, 4), np.dtype("f8"))) == BytesSpec(96)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("given", "<>")
@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("kind", ["M8", "m8", "M8[3generic]", "M8[us]"])
def test_times_without_a_unit_have_a_byte_order(kind, zarr_format, given, order, device):
    """NumPy casts them to the other order as they are."""
    numbers = np.array([0, 1, -2, 100, 7], f"{given}i8")
    values = numbers.view(f"{given}{kind}")
    store: dict[str, bytes] = {}
    a = gpuzarr.create_array(store, shape=5, dtype=f"{order}{kind}", chunks=2, zarr_format=zarr_format, device=device)
    a[...] = values
    a[1:4] = values[1:4]
    a[3] = values[3]
    for array in (a, gpuzarr.open_array(store, device=device)):
        assert np.datetime_data(array.dtype) == np.datetime_data(values.dtype)  # new arrays of NumPy lose the scale
        for part in (slice(None), slice(1, 4)):
            found = array[part]
            assert found.dtype.isnative
            assert found.view("i8").tolist() == numbers[part].tolist()

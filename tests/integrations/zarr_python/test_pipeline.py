"""How zarr-python gets our pipeline, what is left to its own one, and what else may happen to an array."""

import asyncio
import multiprocessing
import pickle
import subprocess
import sys
import threading
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

import gpuzarr
from gpuzarr.errors import ChunkError, DefaultPipelineWarning, GpuZarrError

zarr = pytest.importorskip("zarr", minversion="3.1")
from zarr.abc.codec import BytesBytesCodec  # noqa: E402 (without zarr-python there is nothing to import)
from zarr.codecs import ShardingCodec  # noqa: E402
from zarr.storage import LocalStore, MemoryStore, WrapperStore, ZipStore  # noqa: E402

from tests.integrations.zarr_python.pairs import OWN, STORES, Pair, by_own, keys, outcome  # noqa: E402

pytestmark = pytest.mark.filterwarnings("error::gpuzarr.errors.DefaultPipelineWarning")
HAS_WRITE_ORDERS = "subchunk_write_order" in ShardingCodec.__dataclass_fields__
NUMBERS = np.arange(400, dtype="i4").reshape(20, 20)


def created(store, data=NUMBERS, **options):
    """An array that was created with our pipeline."""
    with gpuzarr.zarr.enable():
        array = zarr.create_array(store, shape=data.shape, dtype=data.dtype, chunks=(6, 7), **options)
    array[...] = data
    return array


def pipeline(array):
    return type(array.async_array.codec_pipeline)


@pytest.fixture(params=list(STORES))
def store(request, tmp_path):
    return STORES[request.param](tmp_path / "store")


@pytest.fixture
def refused(monkeypatch):
    """Call what is to be left to zarr-python's own pipeline: no other warning of it was there before."""
    monkeypatch.setattr("gpuzarr.integrations.zarr_python.warning._NOTED", gpuzarr.per_process.PerProcess(set))
    return lambda: pytest.warns(DefaultPipelineWarning)


def test_it_is_switched_on_by_a_call_by_a_setting_and_for_a_block():
    with gpuzarr.zarr.enable():
        assert pipeline(zarr.zeros(3)) is gpuzarr.zarr.Pipeline
    with zarr.config.set({"codec_pipeline.path": "gpuzarr.zarr.Pipeline"}):
        assert pipeline(zarr.zeros(3)) is gpuzarr.zarr.Pipeline
    assert pipeline(zarr.zeros(3)) is not gpuzarr.zarr.Pipeline


def test_members_of_groups_have_it_while_it_is_switched_on():
    group = zarr.group({})
    with gpuzarr.zarr.enable():
        group.create_array("a", data=NUMBERS)
        assert pipeline(group["a"]) is gpuzarr.zarr.Pipeline
    assert pipeline(group["a"]) is not gpuzarr.zarr.Pipeline


def test_bytes_are_what_other_libraries_read(store):
    a = created(store, shards=(12, 14))
    with by_own():
        assert (zarr.open_array(store)[...] == NUMBERS).all()
    a[3:5, 2:9] = 0
    with by_own():
        assert (zarr.open_array(store)[3:5, 2:9] == 0).all()


def test_an_array_of_this_library_sees_what_is_written_through_zarr_python(tmp_path):
    """Also where it keeps indexes of shards, and files of the same size take the place of others."""
    a = created(LocalStore(tmp_path), shards=(24, 28), compressors=None)
    b = gpuzarr.open(tmp_path, mode="r+", device="cpu")
    numbers = np.random.default_rng(0)
    for i in range(100):
        values = np.zeros_like(NUMBERS)
        for row, column in numbers.permutation(9)[:2, None] // [3, 1] % 3:
            values[6 * row : 6 * row + 6, 7 * column : 7 * column + 7] = i + 1
        a[...] = values
        assert (b[...] == values).all() and (a[...] == values).all()
        b[0, 0] = -1
        assert a[0, 0] == -1


def test_a_resized_array_is_that_of_zarr_python(tmp_path):
    pair = Pair.of("memory", tmp_path, shape=(10, 10), chunks=(4, 4), dtype="i4")

    def change(array):
        array[...] = 1
        array.resize((7, 13))
        array[...] = 2
        array[2:, 12] = 5
        array.oindex[[0, 6], 1:] = 6
        array.resize((16, 16))
        array.append(np.full((2, 16), 3, "i4"))

    pair.do(change)


@pytest.mark.parametrize("indexer, selection", [("basic", slice(2, None, 2)), ("oindex", [2]), ("vindex", [2])])
@pytest.mark.parametrize("ndim", [1, 2])
def test_elements_that_an_array_got_when_it_grew_stay(ndim, indexer, selection, tmp_path):
    """A write ends within what was appended: the rest of the last chunk is not the end of the array."""
    pair = Pair.of("memory", tmp_path, shape=(1,) * ndim, chunks=(2,) * ndim, dtype="i4")
    where = (selection,) * ndim

    def change(array):
        array.resize((4,) * ndim)
        array[...] = 1
        if indexer == "basic":
            array[where] = 2
        else:
            getattr(array, indexer)[where] = 2

    pair.do(change)


@pytest.mark.skipif("rectilinear_chunks" not in zarr.config.get("array"), reason="this zarr-python has no such grids")
def test_a_resized_array_whose_chunks_differ_is_that_of_zarr_python(tmp_path):
    with zarr.config.set({"array.rectilinear_chunks": True}):
        pair = Pair.of("memory", tmp_path, shape=(10, 9), chunks=[[3, 5, 2], [4, 5]], dtype="i4")
    pair.do(lambda array: array.__setitem__(..., NUMBERS[:10, :9]))
    pair.do(lambda array: array[2:9, ::2])
    for change in (
        lambda array: array.append(NUMBERS[:7, :9]),
        lambda array: array.resize((6, 7)),
        lambda array: array.append(NUMBERS[:6, :3], axis=1),
        lambda array: array.__setitem__((slice(2, 6), 5), 8),
        lambda array: array.oindex[[5, 0], 3:],
    ):
        pair.do(change)


@pytest.mark.skipif(not HAS_WRITE_ORDERS, reason="shards of this zarr-python have no such order")
def test_shards_whose_chunks_shall_be_in_order_are_left_to_zarr_python(refused):
    codec = ShardingCodec(chunk_shape=(4,), subchunk_write_order="lexicographic")
    with gpuzarr.zarr.enable():
        a = zarr.create_array(store := {}, shape=16, chunks=16, dtype="i4", serializer=codec, compressors=None)
    with refused():
        a[:] = 1
    a[0] = 2
    offsets = np.frombuffer(store["c/0"].to_bytes()[-4 - 4 * 16 : -4], "u8")[::2]
    assert (np.diff(offsets) > 0).all()


def test_pickled_and_read_in_other_processes(tmp_path):
    a = created(LocalStore(tmp_path))
    code = f"import pickle; a = pickle.loads({pickle.dumps(a)!r}); print(type(a.async_array.codec_pipeline), a[3, 4])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["<class", "'gpuzarr.zarr.Pipeline'>", str(NUMBERS[3, 4])]
    assert pickle.loads(pickle.dumps(a)) == a


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_read_in_a_forked_child(tmp_path):
    a = created(LocalStore(tmp_path))
    assert a[0, 1] == 1
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert (pool.apply_async(np.asarray, [a]).get(60) == NUMBERS).all()


def test_many_threads_and_a_store_that_needs_threads_of_the_event_loop(tmp_path):
    a = created(WrapperStore(LocalStore(tmp_path)))
    found = []
    threads = [threading.Thread(target=lambda: found.append(a[...])) for _ in range(40)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert len(found) == 40 and all((each == NUMBERS).all() for each in found)


def test_in_an_event_loop_of_the_user(store):
    async def use():
        with gpuzarr.zarr.enable():
            a = await zarr.api.asynchronous.create_array(store, shape=(20, 20), chunks=(6, 7), dtype="i4")
        await a.setitem(slice(None), NUMBERS)
        return await asyncio.gather(*[a.getitem((slice(0, n), slice(3))) for n in range(1, 20)])

    for n, found in enumerate(asyncio.run(use()), 1):
        assert (found == NUMBERS[:n, :3]).all()


def test_empty_chunks_are_deleted_in_an_archive_only_where_there_are_none(tmp_path):
    with gpuzarr.zarr.enable(), ZipStore(tmp_path / "a.zip", mode="w") as archive:
        a = zarr.create_array(archive, shape=(20, 20), chunks=(6, 7), dtype="i4")
        a[:6] = 0
        a[6:] = NUMBERS[6:]
        assert a[0].sum() == 0 and (a[6:] == NUMBERS[6:]).all()


def test_a_store_that_was_moved(tmp_path):
    store = LocalStore(tmp_path / "a")
    a = created(store)
    assert a[0, 1] == 1
    if not hasattr(store, "move"):
        pytest.skip("this zarr-python moves no stores")
    asyncio.run(store.move(tmp_path / "b"))
    assert (a[...] == NUMBERS).all()


def test_nothing_is_written_to_a_store_that_is_read_only(store):
    created(store)
    with gpuzarr.zarr.enable():
        a = zarr.open_array(store.with_read_only(True), mode="r")
    before = keys(a)
    with pytest.raises(ValueError, match="read-only"):
        a[...] = 1
    assert keys(a) == before and (a[...] == NUMBERS).all()


@pytest.mark.parametrize("name", list(STORES))
@pytest.mark.parametrize("damage", [b"", b"damaged", b"\x28\xb5\x2f\xfd\x04\x00"])
def test_errors_are_those_of_zarr_python_because_of_ours(name, damage, tmp_path):
    pair = Pair.of(name, tmp_path, shape=(20,), chunks=(5,), dtype="i4")
    for array in (pair.theirs, pair.ours):
        array[...] = np.arange(20)
        buffer = zarr.core.buffer.default_buffer_prototype().buffer.from_bytes(damage)
        zarr.core.sync.sync(array.store.set("c/1", buffer))
    assert issubclass(pair.do(lambda array: array[...]), Exception)
    assert pair.do(lambda array: array[:5]).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(Exception) as caught:
        pair.ours[...]
    assert isinstance(caught.value.__cause__, ChunkError) and "c/1" in str(caught.value.__cause__)


def test_selections_that_do_not_fit_are_refused_as_by_zarr_python(tmp_path):
    pair = Pair.of("memory", tmp_path, shape=(20, 20), chunks=(5, 6), dtype="i4")
    for what in (lambda a: a[20], lambda a: a[0, 0, 0], lambda a: a.vindex[[30], [1]], lambda a: a.oindex[[1.5]]):
        assert issubclass(pair.do(what), Exception)
    assert issubclass(pair.do(lambda a: a.__setitem__(slice(3), np.zeros(7))), Exception)


@pytest.mark.skipif("read_missing_chunks" not in zarr.config.get("array"), reason="this zarr-python cannot refuse them")
@pytest.mark.parametrize("shards", [None, (12, 14)])
def test_missing_chunks_are_errors_where_that_is_wanted(shards, store):
    a = created(store, np.zeros((20, 20), "i4"), shards=shards, config={"read_missing_chunks": False})
    a[0, 0] = 1
    assert a[0, 0] == 1
    with pytest.raises(zarr.errors.ChunkNotFoundError):
        a[...]


def test_fields_of_records(tmp_path):
    pair = Pair.of("memory", tmp_path, shape=(7,), chunks=(3,), dtype=[("a", "<i4"), ("b", ">f8")], zarr_format=2)
    records = np.array([(i, i / 2) for i in range(7)], pair.ours.dtype)
    pair.do(lambda a: a.__setitem__(slice(None), records))
    pair.do(lambda a: a["a"])
    pair.do(lambda a: a["b", 2:5])


# what is left to zarr-python


@dataclass(frozen=True)
class Reversed(BytesBytesCodec):
    """A codec that this library does not know: bytes in reverse."""

    is_fixed_size = True

    @classmethod
    def from_dict(cls, data):
        return cls()

    def to_dict(self):
        return {"name": "tests.reversed"}

    async def _encode_single(self, chunk, spec):
        return type(chunk).from_bytes(chunk.to_bytes()[::-1])

    _decode_single = _encode_single

    def compute_encoded_size(self, length, spec):
        return length


def test_a_codec_that_is_not_known_here(store, refused):
    with refused() as told:
        a = created(store, compressors=[Reversed()])
        assert (a[...] == NUMBERS).all() and (a[3:9, 2] == NUMBERS[3:9, 2]).all()
    assert len(told) == 1, "of each array there is one warning"
    assert "Reversed is not one of zarr-python's own" in str(told[0].message) and "c/0/0" in str(told[0].message)


def test_a_codec_of_zarr_python_with_another_class(refused, monkeypatch):
    """Whoever configures a class of their own for a codec gets that."""

    class Own(zarr.codecs.GzipCodec):
        pass

    zarr.registry.register_codec("gzip", Own)
    name = f"{Own.__module__}.{Own.__qualname__}"
    with zarr.config.set({"codecs.gzip": name}), refused():
        a = created({}, compressors=[Own()])
        assert (a[...] == NUMBERS).all()


def test_what_fails_here_and_not_there(refused, monkeypatch):
    def fail(*arguments):
        raise GpuZarrError("not today")

    a = created({})
    monkeypatch.setattr("gpuzarr.integrations.zarr_python.calls.read", fail)
    with refused() as told:
        assert (a[...] == NUMBERS).all()
        assert (a[...] == NUMBERS).all()
    assert ["not today" in str(each.message) for each in told] == [True]


def test_an_array_is_named_with_its_path(refused, monkeypatch):
    with refused() as told:
        created(MemoryStore(), name="deep/down", compressors=[Reversed()])
    assert "deep/down/c/0/0" in str(told[0].message)


def test_without_metadata_it_is_the_own_pipeline_of_zarr_python():
    made = gpuzarr.zarr.Pipeline.from_codecs([zarr.codecs.BytesCodec()])
    assert f"{type(made).__module__}.{type(made).__qualname__}" == OWN


def test_what_is_said_of_codecs_is_what_zarr_python_says(tmp_path):
    pair = Pair.of("memory", tmp_path, shape=(4,), chunks=(2,), dtype="i4", compressors=None)
    theirs, ours = (array.async_array.codec_pipeline for array in (pair.theirs, pair.ours))
    for name in ("supports_partial_decode", "supports_partial_encode"):
        assert getattr(theirs, name) == getattr(ours, name)
    assert list(theirs) == list(ours) and hash(ours) == hash(ours)
    spec = zarr.core.array_spec.ArraySpec(
        (2,), pair.ours.metadata.dtype, 0, pair.ours.async_array.config, zarr.core.buffer.default_buffer_prototype()
    )
    assert theirs.compute_encoded_size(8, spec) == ours.compute_encoded_size(8, spec) == 8
    chunk = spec.prototype.nd_buffer.from_numpy_array(np.array([1, 2], "i4"))
    (encoded,) = asyncio.run(ours.encode([(chunk, spec)]))
    (decoded,) = asyncio.run(ours.decode([(encoded, spec)]))
    assert encoded.to_bytes() == np.array([1, 2], "<i4").tobytes() and decoded.as_numpy_array().tolist() == [1, 2]


def test_no_warning_of_this_library_comes_with_ordinary_arrays(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", gpuzarr.errors.GpuZarrWarning)
        for name, make in STORES.items():
            a = created(make(tmp_path / name))
            a[3:5, 2] = 7
            assert outcome(lambda array: int(array[4, 2]), a) == 7

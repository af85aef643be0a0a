"""What differs from zarr-python on purpose: each row of the README's table, with programs that show it.

The names in programs are those of `tests.api.programs`. A result that is an exception class is the kind of the error.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Difference(NamedTuple):
    """A program, and its result there and here."""

    program: str
    theirs: Any
    ours: Any


LOST_UPDATE = """
import threading
class Meeting(dict):  # another writer begins when the first has read the chunk
    other = None
    def read(self, key):
        if self.other and key.endswith('c/0'):
            (thread := threading.Thread(target=self.other)).start(); self.other = None
            thread.join(0.5); threads.append(thread)
    def __getitem__(self, key): self.read(key); return super().__getitem__(key)
    def get(self, key, default=None): self.read(key); return super().get(key, default)
threads = []; S = Meeting(); z = zarr.create_array(S, shape=(2,), dtype='i4', chunks=(2,)); z[:] = 0
z1 = zarr.open_array(S, mode='r+')
def write(): z1[0] = 1
S.other = write; z[1] = 2
for thread in threads: thread.join()
R = zarr.open_array(S, mode='r')[:].tolist().count(0)
"""
ROWS_OF_CHUNKS = """
class Counting(dict):
    reads = 0
    def __getitem__(self, key): self.reads += key.endswith('c/0/0'); return super().__getitem__(key)
    def get(self, key, default=None): self.reads += key.endswith('c/0/0'); return super().get(key, default)
S = Counting(); z = zarr.create_array(S, data=np.arange(12).reshape(4, 3), chunks=(4, 3)); S.reads = 0
for row in z: pass
R = S.reads
"""
IN_SHARDS = """
codec = zarr.codecs.ShardingCodec(chunk_shape=(4, 4), codecs=[zarr.codecs.ShardingCodec(chunk_shape=(2, 2))])
R = zarr.create_array(S, shape=(8, 8), dtype='i4', chunks=(8, 8), serializer=codec, compressors=None).chunks
"""
AT_A_PATH = "place = zarr.storage.StorePath(zarr.storage.MemoryStore(), 'a')\n"
RECORDS = "z = zarr.create_array(S, data=np.array([(1, 2.5)], [('f', '<i4'), ('g', '<f8')]))\n"
DIFFERENCES = {
    "`open`, `open_array`, `open_group` without a mode": [
        Difference(f"zarr.save_group(S, a=np.arange(3)); R = {call}.read_only", False, True)
        for call in ("zarr.open(S)", "zarr.open_array(S, path='a')", "zarr.open_group(S)")
    ],
    "`create_array`, `create_group` where one exists": [
        Difference(f"{call}; R = {call}.path", ValueError, "a")
        for call in ("zarr.create_array(S, name='a', shape=3, dtype='i4')", "zarr.create_group(S, path='a')")
    ],
    "`save` where an array exists": [
        Difference("zarr.save(S, np.arange(3)); zarr.save(S, np.arange(2)); R = zarr.load(S)", ValueError, [0, 1])
    ],
    '`del g["x"]` of nothing': [Difference("g = zarr.create_group(S)\ndel g['x']\nR = len(g)", 0, KeyError)],
    "`g.keys()`, `g.arrays()`, `g.members()`, ...": [
        *(
            Difference(f"g = zarr.create_group(S)\ng.create_group('a')\nR = next(g.{call}())", "a", TypeError)
            for call in ("keys", "group_keys")
        ),
        Difference("R = isinstance(zarr.create_group(S).members(), tuple)", True, False),
    ],
    "a v2 node where one of v3 is, or the reverse": [
        Difference(
            f"zarr.zeros(3, store=S, zarr_format={old}); zarr.zeros(3, store=S, zarr_format={new}); R = 0",
            0,
            ValueError,
        )
        for old, new in ((2, 3), (3, 2))
    ],
    "a v2 node below a v3 group, or the reverse": [
        Difference(
            f"zarr.create_group(S, zarr_format={above})\n"
            f"R = zarr.create_array(S, name='a', shape=3, dtype='i4', {given}).metadata.zarr_format",
            theirs,
            ours,
        )
        for above, given, theirs, ours in (
            (3, "zarr_format=2", 2, ValueError),
            (2, "zarr_format=3", 3, ValueError),
            (2, "", 3, 2),
        )
    ],
    "consolidated metadata, if a node was changed by its own path": [
        Difference(
            "zarr.create_group(S).create_array('a', shape=3, dtype='i4'); zarr.consolidate_metadata(S)\n"
            "zarr.open_array(S, path='a', mode='r+').attrs['b'] = 1; R = dict(zarr.open_consolidated(S)['a'].attrs)",
            {},
            {"b": 1},
        )
    ],
    "`a[0, 0]`": [Difference("R = isinstance(zarr.zeros((2, 2))[0, 0], np.ndarray)", True, False)],
    "`a.dtype`, the order of values that are read": [
        Difference(
            "z = zarr.zeros(3, dtype='>i4'); R = z.dtype.isnative, z[:].dtype.isnative", [False] * 2, [True] * 2
        ),
        Difference(
            "z = zarr.zeros((2, 3), order='F', zarr_format=2); R = z.order, z[:].flags.c_contiguous",
            ["F", False],
            ["F", True],
        ),
        Difference(
            "z = zarr.zeros((2, 3), config={'order': 'F'}); R = z.order, z[:].flags.c_contiguous",
            ["F", False],
            ["C", True],
        ),
    ],
    "negative steps, ranges, arrays without axes, empty and nested lists, a mask for the first axis": [
        Difference(f"z = zarr.array(np.arange(6).reshape(2, 3)); R = z[{selection}]", IndexError, values)
        for selection, values in {
            "::-1, 0": [3, 0],
            "range(1)": [[0, 1, 2]],
            "np.array(1)": [3, 4, 5],
            "[]": [],
            "[[0], [1]], [0, 2]": [[0, 2], [3, 5]],
            "np.array([True, False])": [[0, 1, 2]],
        }.items()
    ],
    "`a == 1`, `a + 1`, `bool(a)`": [
        Difference("R = zarr.zeros(3) == 1", False, TypeError),
        Difference("R = bool(zarr.zeros(0))", True, TypeError),
        Difference("R = zarr.zeros(3) + 1", TypeError, TypeError),
    ],
    '`a["field"]`': [
        Difference(f"{RECORDS}R = z['f']", TypeError, [1]),
        Difference(f"{RECORDS}z['f'] = 7; R = z[:]", [(7, 7.0)], [(7, 2.5)]),
    ],
    "values that the dtype cannot hold: NaN in integers, floats and times out of range, missing or longer texts": [
        Difference(f"z = zarr.zeros(1, dtype='{dtype}'); z[:] = {value}; R = z[:].tolist()", stored, ValueError)
        for dtype, value, stored in (
            ("u1", "np.array([300.5])", [44]),
            ("f4", "np.array([1e300])", [float("inf")]),
            ("?", "np.array([np.nan])", [True]),
            ("i8", "np.array(['NaT'], 'M8[s]')", [-(2**63)]),
            ("M8[ns]", "np.array(['9999'], 'M8[Y]')", [-4883652231933722624]),
            ("U8", "[None]", ["None"]),
            ("S2", "np.array([b'abc'])", [b"ab"]),
            ("U2", "np.array(['abc'])", ["ab"]),
        )
    ],
    "one chunk written by two processes": [Difference(LOST_UPDATE, 1, 0)],
    "`for row in a`": [Difference(ROWS_OF_CHUNKS, 4, 1)],
    "NaN and infinity in attributes": [
        Difference(
            f"z = zarr.zeros(3, attributes={{'a': float('{value}')}}, store=S)\n"
            "R = str(zarr.open(S, mode='r').attrs['a'])",
            value,
            text,
        )
        for value, text in (("nan", "NaN"), ("inf", "Infinity"))
    ],
    "a chunk that is not there": [
        Difference(
            "zarr.config.set({'array.read_missing_chunks': False}); R = zarr.zeros(3)[:]", Exception, ValueError
        ),
    ],
    '`chunks="auto"`': [
        Difference("R = zarr.create_array(S, shape=(10000, 10000), dtype='i4').chunks", [625, 625], [313, 625])
    ],
    "`chunks` of shards in shards": [Difference(IN_SHARDS, [4, 4], [2, 2])],
    "codecs": [
        Difference(f"R = len(zarr.create_array(S, shape=3, dtype='i4', compressors={codec}).compressors)", TypeError, 1)
        for codec in ("'zstd'", "__import__('numcodecs').GZip(3)")
    ],
    "`a.metadata.codecs`": [Difference("R = hasattr(zarr.zeros(3).metadata.codecs[0], 'to_dict')", True, False)],
    "`from_array` onto its own source": [
        Difference(
            "zarr.save(S, np.arange(4)); z = zarr.open(S, mode='r')\n"
            "R = zarr.from_array(S, data=z, chunks=(1,), overwrite=True)[:]",
            ValueError,
            [0, 1, 2, 3],
        )
    ],
    "`Group.move`, `load` of a group": [
        Difference("zarr.save_group(S, a=np.arange(2)); R = zarr.load(S)", NotImplementedError, {"a": [0, 1]}),
        Difference(
            "g = zarr.create_group(S); g.create_group('a'); g.move('a', 'b'); R = list(g)", NotImplementedError, ["b"]
        ),
    ],
    "the async API, registries": [
        Difference(f"R = hasattr({place}, '{name}')", True, False)
        for place, name in {
            "zarr": "AsyncArray",
            "zarr ": "AsyncGroup",
            "zarr.dtype": "data_type_registry",
        }.items()
    ],
    "settings that choose classes or tune zarr-python": [
        Difference(
            "import warnings; warnings.simplefilter('error'); zarr.config.set({'async.concurrency': 4}); R = 0",
            0,
            UserWarning,
        ),
        Difference("zarr.config.set({'buffer': 'a.Buffer'}); R = 0", 0, ValueError),
    ],
    "remote stores": [
        *(
            Difference(f"R = hasattr(zarr.storage.{name}, 'get')", True, False)
            for name in ("GpuMemoryStore", "WrapperStore")
        ),
    ],
    '`"a\\|b"` as a path': [
        Difference(
            "import os, tempfile\n"
            "with tempfile.TemporaryDirectory() as d: zarr.ones(3, store=d + '/a|b'); R = os.path.isdir(d + '/a|b')",
            True,
            ValueError,
        ),
    ],
    "`ManagedMemoryStore`": [
        Difference(
            "import gc; of = zarr.storage.ManagedMemoryStore\n"
            "z = zarr.ones(3, store=of('of-rows')); del z; gc.collect()\n"
            "R = zarr.open_array(of('of-rows'), mode='r')[:].tolist()",
            FileNotFoundError,
            [1, 1, 1],
        )
    ],
    "`a.path` in a `StorePath`": [
        Difference(f"{AT_A_PATH}R = zarr.create_array(place / 'b', shape=3, dtype='i4').path", "a/b", "")
    ],
    "`dtype.Structured`": [
        Difference(
            "d = zarr.dtype.Structured(fields=(('a', zarr.dtype.Int8()),))\n"
            "z = zarr.create_array(S, shape=3, dtype=d); R = z.metadata.to_dict()['data_type']['name']",
            "structured",
            "struct",
        )
    ],
}
_ASYNC = (
    *("AsyncArray", "AsyncGroup", "Array.async_array", "dtype.data_type_registry", "print_debug_info"),
    *("dtype.check_dtype_spec_v2", "dtype.check_dtype_spec_no_object_codec_v2"),
)
_NOT_DONE = ("copy", "copy_all", "copy_store", "Group.move", "Group.move(source)", "Group.move(dest)")
_STORES = ("FsspecStore", "GpuMemoryStore", "LoggingStore", "ObjectStore", "WrapperStore", "ZipStore")
_SETTINGS = ("buffer", "ndbuffer", "codecs", "codec_pipeline.path")
LEFT_OUT = {  # parts of the API of which no program gives the same -> the row that tells it
    **dict.fromkeys(_ASYNC, "the async API, registries"),
    **dict.fromkeys(_NOT_DONE, "`Group.move`, `load` of a group"),
    **dict.fromkeys((f"storage.{name}" for name in _STORES), "remote stores"),
    **dict.fromkeys((f"config[{name}]" for name in _SETTINGS), "settings that choose classes or tune zarr-python"),
    "dtype.Structured(fields)": "`dtype.Structured`",
}

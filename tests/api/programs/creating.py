"""Functions that make arrays and groups: each with each keyword that it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.api.surface import NOT_TAKEN

CREATE = {  # keywords of `create`, which most functions pass on
    "chunks": "chunks=(2, 3)",
    "dtype": "dtype='<i2'",
    "compressor": "compressor=None, zarr_format=2",
    "fill_value": "fill_value=5",
    "order": "order='F', zarr_format=2",
    "store": "store=S",
    "synchronizer": "synchronizer=None",
    "overwrite": "overwrite=True",
    "path": "path='x/y'",
    "chunk_store": "chunk_store=None",
    "filters": "filters=[{'id': 'delta', 'dtype': '<i4', 'astype': '<i4'}], dtype='<i4', zarr_format=2",
    "cache_metadata": "cache_metadata=True",
    "cache_attrs": "cache_attrs=True",
    "read_only": "read_only=False",
    "object_codec": "object_codec=None",
    "dimension_separator": "dimension_separator='/', zarr_format=2",
    "write_empty_chunks": "write_empty_chunks=True",
    "zarr_format": "zarr_format=2",
    "meta_array": "meta_array=None",
    "attributes": "attributes={'units': 'K'}",
    "chunk_shape": "chunk_shape=(2, 3), chunks=None",
    "chunk_key_encoding": "chunk_key_encoding=('v2', '.')",
    "codecs": "codecs=[zarr.codecs.BytesCodec(endian='big'), zarr.codecs.GzipCodec(level=1)]",
    "dimension_names": "dimension_names=('y', 'x')",
    "storage_options": "storage_options=None",
    "config": "config={'write_empty_chunks': True}",
    "mode": "mode='w'",
    "data": "data=np.arange(24).reshape(4, 6)",
    "shape": "shape=(4, 6)",
}
CREATE_ARRAY = {
    "name": "name='x/y', shape=(4, 6), dtype='i4'",
    "shape": "shape=(4, 6), dtype='i4'",
    "dtype": "shape=(4, 6), dtype='>f4'",
    "data": "data=np.arange(24).reshape(4, 6)",
    "chunks": "shape=(4, 6), dtype='i4', chunks=(2, 3)",
    "shards": "shape=(4, 6), dtype='i4', chunks=(2, 3), shards=(4, 6)",
    "filters": "shape=(4, 6), dtype='i4', filters=[zarr.codecs.TransposeCodec(order=(1, 0))]",
    "compressors": """
shape=(4, 6), dtype='i4', compressors=[zarr.codecs.BloscCodec(cname='lz4'), zarr.codecs.Crc32cCodec()]
""",
    "compressor": "shape=(4, 6), dtype='i4', compressor=zarr.codecs.GzipCodec()",
    "serializer": "shape=(4, 6), dtype='i4', serializer=zarr.codecs.BytesCodec(endian='big')",
    "fill_value": "shape=(4, 6), dtype='f4', fill_value=float('nan')",
    "order": "shape=(4, 6), dtype='i4', order='C'",
    "zarr_format": "shape=(4, 6), dtype='i4', zarr_format=2",
    "attributes": "shape=(4, 6), dtype='i4', attributes={'units': ['K', None, {'a': 1.5}]}",
    "chunk_key_encoding": "shape=(4, 6), dtype='i4', chunk_key_encoding={'name': 'default', 'separator': '.'}",
    "dimension_names": "shape=(4, 6), dtype='i4', dimension_names=['y', None]",
    "storage_options": "shape=(4, 6), dtype='i4', storage_options=None",
    "overwrite": "shape=(4, 6), dtype='i4', overwrite=True",
    "config": "shape=(4, 6), dtype='i4', config={'order': 'C', 'write_empty_chunks': True}",
    "write_data": "data=np.arange(24).reshape(4, 6), write_data=False",
}
FROM_ARRAY = {
    "name": "name='x/y'",
    "write_data": "write_data=False",
    "chunks": "chunks=(1, 3)",
    "shards": "shards=(4, 3), chunks=(2, 3)",
    "filters": "filters=()",
    "compressors": "compressors='auto'",
    "serializer": "serializer='auto'",
    "fill_value": "fill_value=3",
    "order": "order='C', zarr_format=2",
    "zarr_format": "zarr_format=2",
    "attributes": "attributes={'new': 1}",
    "chunk_key_encoding": "chunk_key_encoding={'name': 'v2', 'separator': '/'}",
    "dimension_names": "dimension_names=['a', 'b']",
    "storage_options": "storage_options=None",
    "overwrite": "overwrite=True",
    "config": "config={'write_empty_chunks': True}",
}
OLD = """
z1 = zarr.create_array({}, shape=(4, 6), dtype='<i4', chunks=(2, 3), fill_value=-1, attributes={'a': 1}); z1[:2] = 3
"""
GROUP = "g = zarr.create_group(S)\n"
# a function, a program with a place for keywords, and the keywords that the program gives already
TEMPLATES = [
    *(
        (f, f"z = zarr.{f}((4, 6), KEYWORDS); z[:1, :2] = 1; R = seen(z)", {"shape"})
        for f in ("zeros", "ones", "empty", "create")
    ),
    ("full", "z = zarr.full((4, 6), 7, KEYWORDS); z[:1, :2] = 1; R = seen(z)", {"shape", "fill_value"}),
    ("array", "z = zarr.array(np.arange(24).reshape(4, 6), KEYWORDS); z[:1, :2] = 1; R = seen(z)", {"data"}),
    *(
        (f, f"{OLD}z = zarr.{f}(z1, KEYWORDS); z[:1, :2] = 1; R = seen(z)", {"a"})
        for f in ("zeros_like", "ones_like", "empty_like")
    ),
    ("full_like", f"{OLD}z = zarr.full_like(z1, KEYWORDS); z[:1, :2] = 1; R = seen(z)", {"a"}),
    ("open_like", f"{OLD}z = zarr.open_like(z1, 'p', KEYWORDS); z[:1, :2] = 1; R = seen(z)", {"a", "path"}),
    ("open_array", "z = zarr.open_array(KEYWORDS); z[:1, :2] = 1; R = seen(z)", set()),
    ("open", "z = zarr.open(KEYWORDS); z[:1, :2] = 1; R = seen(z)", set()),
    (
        "save_array",
        "zarr.save_array(S, np.arange(24).reshape(4, 6), KEYWORDS)\nR = seen(zarr.open(S, mode='r'))",
        {"store", "arr"},
    ),
    *(
        (f"Group.{f}", f"{GROUP}z = g.{f}(name='n', KEYWORDS); z[:1, :2] = 1; R = seen(z)", {"name"})
        for f in ("zeros", "ones", "empty", "full")
    ),
    *(
        (
            f"Group.{f}_like",
            f"{OLD}{GROUP}z = g.{f}_like(name='n', data=z1, KEYWORDS); z[:1, :2] = 1; R = seen(z)",
            {"name", "data"},
        )
        for f in ("zeros", "ones", "empty", "full")
    ),
]
NEEDS = {  # what a function needs beside the keyword that is tried
    "full_like": {"fill_value": "fill_value=7"},
    "Group.full_like": {"fill_value": "fill_value=7"},
    "Group.full": {"fill_value": "fill_value=7", "shape": "shape=(4, 6)"},
    **{f"Group.{name}": {"shape": "shape=(4, 6)"} for name in ("zeros", "ones", "empty")},
    **{f: {"store": "store=S", "shape": "shape=(4, 6)", "mode": "mode='a'"} for f in ("open_array", "open")},
    "open_like": {"store": "store=S"},
}


def _tried() -> Iterator[tuple[str, str]]:
    for function, program, given in TEMPLATES:
        for keyword, text in CREATE.items():
            if keyword not in given | NOT_TAKEN.get(function, set()):
                needed = (
                    {"store": "store=S"} | NEEDS.get(function, {}) if "S" not in program else NEEDS.get(function, {})
                )
                more = [t for k, t in needed.items() if not re.search(rf"\b{k}=", text)]
                place = (
                    program.replace("create_group(S)", "create_group(S, zarr_format=2)") if "=2" in text else program
                )
                yield f"{function}({keyword})", place.replace("KEYWORDS", ", ".join([text, *more]))
    for keyword, text in CREATE_ARRAY.items():
        if keyword != "compressor":
            yield f"create_array({keyword})", f"z = zarr.create_array(store=S, {text}); z[:1, :2] = 1; R = seen(z)"
        named = text if keyword == "name" else f"name='n', {text}"
        if keyword != "zarr_format":
            for f in ("create_array", "create"):
                yield f"Group.{f}({keyword})", f"{GROUP}z = g.{f}({named}); z[:1, :2] = 1; R = seen(z)"
        if keyword not in ("name", "shape", "zarr_format", "data", "write_data"):
            program = (
                f"{GROUP}z = g.require_array(name='n', {text}); z1 = g.require_array(name='n', {text}); R = seen(z1)"
            )
            yield f"Group.require_array({keyword})", program
    for keyword, text in FROM_ARRAY.items():
        yield f"from_array({keyword})", f"{OLD}z = zarr.from_array(store=S, data=z1, {text}); R = seen(z)"


PROGRAMS = dict(_tried()) | {
    "create_array() with a name": "z = zarr.create_array(store=S, name='x/y', shape=3, dtype='u1'); R = seen(z)",
    "create_group, all": """
g = zarr.create_group(store=S, path='a', zarr_format=2, overwrite=True, attributes={'b': 1}, storage_options=None)
R = seen(g)
""",
    "group": """
g = zarr.group(store=S, overwrite=False, chunk_store=None, cache_attrs=None, synchronizer=None, path='a', zarr_format=3,
    meta_array=None, attributes={'b': [1]}, storage_options=None); R = seen(g)
""",
    "group of v2": """
g = zarr.group(S, zarr_format=2); R = seen(g), seen(zarr.group(S)), seen(zarr.group(S, overwrite=True))
""",
    "nothing is given": """
R = seen(zarr.group()), seen(zarr.zeros(3)), seen(zarr.array([1, 2])), seen(zarr.create_group(store=None))
""",
    "create_hierarchy": """
g1 = zarr.create_group({}, attributes={'r': 1}); z1 = g1.create_array('x', shape=(2,), dtype='i2')
store = zarr.storage.MemoryStore(S)
nodes = dict(zarr.create_hierarchy(store=store, nodes={'a': g1.metadata, 'a/b': z1.metadata}, overwrite=False))
R = {name: seen(node) for name, node in nodes.items()}
""",
    "array of an array": f"""{OLD}
z = zarr.array(data=z1, store=S); R = seen(z), seen(zarr.array([[1, 2], [3, 4]], chunks=(1, 2)))
""",
    "array with its shape": "R = seen(zarr.array([1, 2], dtype='f4', shape=(2,), store=S))",
    "from_array": "z = zarr.from_array(S, data=np.arange(6.0)); R = seen(z)",
    "shards": """
R = [seen(zarr.create_array({}, shape=(8, 6), dtype='u1', chunks=(2, 3), shards=s)) for s in (None, (4, 6), (8, -1))]
""",
    "chunks": """
R = [zarr.create_array({}, shape=(8, 6), dtype='u1', chunks=c).chunks for c in (3, (2, 3), (-1, 2), [4, 6])]
""",
    "save": """
zarr.save(S, np.arange(3), zarr_format=2, path='p', storage_options=None)
R = zarr.load(S, path='p', zarr_format=2)
""",
    "save many": "zarr.save(S, np.arange(3), b=np.ones(2)); R = seen(zarr.open_group(S, mode='r'))",
    "save_array": """
zarr.save_array(store=S, arr=np.arange(3), zarr_format=3, path='p', storage_options=None)
R = zarr.load(S, 'p')
""",
    "save_group": """
zarr.save_group(S, np.arange(3), zarr_format=2, path='p', storage_options=None, b=np.ones(2))
R = seen(zarr.open_group(S, path='p', mode='r'))
""",
    "save_array again": """
zarr.save_array(S, np.arange(3)); zarr.save_array(S, np.arange(4), mode='w'); R = zarr.load(S)
""",
    "consolidate_metadata": """
g = zarr.create_group(S); g.create_array('a/b', shape=(3,), dtype='i4', attributes={'c': 1})
g1 = zarr.consolidate_metadata(store=S, path='a', zarr_format=3)
R = seen(g1), seen(zarr.open_consolidated(S, path='a', mode='r', use_consolidated=True))
""",
    "consolidated v2": """
g = zarr.create_group(S, zarr_format=2)
g.create_array('b', shape=(3,), dtype='i4', attributes={'c': 1}, compressors=None)
g1 = zarr.consolidate_metadata(S, zarr_format=2); R = seen(g1), seen(zarr.open_consolidated(S, zarr_format=2, mode='r'))
""",
    "open_consolidated": """
g = zarr.create_group(S); zarr.consolidate_metadata(S)
g1 = zarr.open_consolidated(store=S, mode='r+', cache_attrs=None, synchronizer=None, path='', chunk_store=None,
    storage_options=None, zarr_format=3, meta_array=None, attributes=None, use_consolidated=True); R = seen(g1)
""",
    "open_group": """
g = zarr.open_group(store=S, mode='a', cache_attrs=None, synchronizer=None, path='a', chunk_store=None,
    storage_options=None, zarr_format=2, meta_array=None, attributes={'b': 1}, use_consolidated=None); R = seen(g)
""",
    "open": """
z = zarr.create_array(S, name='a/b', data=np.arange(3))
z1 = zarr.open(S, mode='r+', zarr_format=3, path='a/b', storage_options=None, config=None)
R = seen(zarr.open(store=S, mode='r')), seen(z1)
""",
    "open_array": """
z = zarr.open_array(
    store=S, mode='w', zarr_format=3, path='a', storage_options=None, config=None, shape=(3,), dtype='i4')
R = seen(z), seen(zarr.open_array(S, path='a', mode='r', config={'write_empty_chunks': True}))
""",
    "load": "zarr.save_group(S, a=np.arange(3)); R = zarr.load(store=S, path='a', zarr_format=None)",
    "tree()": """
g = zarr.create_group(S, attributes={})
R = [str(t).strip() for t in (zarr.tree(g), zarr.tree(grp=g, expand=None, level=0))]
""",
    "tree": """
g = zarr.create_group(S); g.create_group('a/b'); g.create_array('c', shape=(3,), dtype='i4')
R = str(g.tree()).strip()
""",
    "create_array without a shape": "zarr.create_array(S, dtype='i4')",
    "create_array without a dtype": "zarr.create_array(S, shape=3)",
    **{
        f"{name} that exists": f"z = zarr.create_array(S, shape=3, dtype='i4'); {program}"
        for name, program in {
            "array": "zarr.create_array(S, shape=4, dtype='i4')",
            "group": "zarr.create_group(S)",
            "open w-": "zarr.open(S, mode='w-', shape=3)",
            "open_group": "zarr.open_group(S, mode='r')",
        }.items()
    },
    **{
        f"{name} that is missing": f"zarr.{name}(S, mode={mode!r})"
        for name in ("open", "open_array", "open_group")
        for mode in ("r", "r+")
    },
}

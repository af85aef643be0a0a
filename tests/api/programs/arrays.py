"""Members of arrays: what they say, how they are read, written and changed."""

from __future__ import annotations

Z = """
z = zarr.create_array(S, name='x/y', data=np.arange(24, dtype='<i4').reshape(4, 6), chunks=(2, 3), fill_value=-1,
    attributes={'a': 1}, dimension_names=('y', 'x'))
"""
SHARDS = "z = zarr.create_array(S, shape=(8, 6), dtype='u1', chunks=(2, 3), shards=(4, 6)); z[:3] = 1\n"
RECORDS = (
    "z = zarr.create_array(S, data=np.array([(1, 2.5), (3, 4.5)], dtype=[('f', '<i4'), ('g', '<f8')]), chunks=(1,))\n"
)
RAGGED = "z = zarr.create_array(S, shape=(10, 10), dtype='i2', chunks=[[3, 7], [5, 5]])\n"
LOOKED_AT = (  # properties of which the value is compared
    *("basename", "cdata_shape", "chunks", "dtype", "fill_value", "name", "nbytes", "nchunks", "nchunks_initialized"),
    *("ndim", "path", "read_only", "shape", "shards", "size", "read_chunk_sizes", "write_chunk_sizes", "order"),
)
MAKERS = {
    "v3": Z,
    "v2": """
z = zarr.create_array(S, shape=(4, 6), dtype='<i4', chunks=(2, 3), zarr_format=2, compressors=None); z[1] = 2
""",
    "shards": SHARDS,
    "no axes": "z = zarr.create_array(S, shape=(), dtype='f4')\n",
    "empty": "z = zarr.create_array(S, shape=(0, 3), dtype='?')\n",
}
SELECTED = {  # ways to select, and a selection that has 2 x 2 elements or 4 in a row
    "basic": "(slice(1, 3), slice(0, 2))",
    "orthogonal": "([0, 3], slice(1, 3))",
    "coordinate": "([0, 3, 3, 1], [1, 1, 5, 2])",
    "mask": "np.arange(24).reshape(4, 6) % 6 == 5",
    "block": "(1, slice(0, 1))",
}


def _of_selections() -> dict[str, str]:
    found = {}
    for way, selection in SELECTED.items():
        name = "mask" if way == "mask" else "selection"
        shape = {"basic": (2, 2), "orthogonal": (2, 2), "block": (2, 3)}.get(way, (4,))
        found[f"get {way}"] = f"{Z}R = z.get_{way}_selection({name}={selection}, prototype=None)"
        found[f"set {way}"] = f"{Z}z.set_{way}_selection({name}={selection}, value=np.full({shape}, 9)); R = z[:]"
        found[f"set {way} to a scalar"] = f"{Z}z.set_{way}_selection({selection}, 7, prototype=None); R = z[:]"
        one = {"mask": "np.array([True, False])", "coordinate": "[0]", "orthogonal": "([0],)", "block": "0"}.get(
            way, "0"
        )
        found[f"get {way} into"] = f"{Z}R = z.get_{way}_selection({selection}, out=None, fields=None)"
        found[f"set {way} of all fields"] = (
            f"{RECORDS}z.set_{way}_selection({one}, value=z[:1], fields=None); R = z[:].tolist()"
        )
    return found


PROGRAMS = {
    **{f"{name} of {of}": f"{program}R = z.{name}" for of, program in MAKERS.items() for name in LOOKED_AT},
    **_of_selections(),
    "append": f"{Z}R = z.append(np.ones((2, 6), 'i4')), z.append(data=np.zeros((6, 1), 'i4'), axis=1), seen(z)",
    "resize": f"{Z}z.resize(new_shape=(3, 8)); R = seen(z)",
    "resize of one axis": "z = zarr.create_array(S, data=np.arange(6), chunks=(2,)); z.resize(4); R = seen(z)",
    "a shape that is set": f"{Z}z.shape = (5, 5); R = seen(z)",
    "resize with another number of axes": f"{Z}z.resize((3,))",
    "attrs": f"{Z}z.attrs['b'] = [1]; del z.attrs['a']; R = seen(z)",
    "update_attributes": f"{Z}z = z.update_attributes(new_attributes={{'b': {{'c': None}}}}); R = seen(z)",
    "blocks": f"{Z}z.blocks[1, 0] = 5; R = z.blocks[0], z.blocks[0, 0:2], z[:]",
    "oindex": f"{Z}z.oindex[[0, 2], [1, 4]] = -5; R = z.oindex[[0, 2], 1:3], z[:]",
    "vindex": f"{Z}z.vindex[[0, 2], [1, 4]] = -5; R = z.vindex[[0, 2], [1, 4]], z[:]",
    "slices": f"""{Z}
z[1:3, ::2] = 0; z[-1] = np.arange(6); R = z[:], z[1], z[..., 2], z[np.array([0, 2])], z[1:3, [0, 5]]
""",
    "out of bounds": f"{Z}z[4]",
    "too many indices": f"{Z}z[0, 0, 0]",
    "a name that is no field": f"{RECORDS}z['h']",
    "records": f"{RECORDS}R = z[:].tolist(), z[0].tolist(), z.dtype.names",
    "config": f"{Z}R = z.config.order, z.config.write_empty_chunks",
    "with_config": f"""{Z}
z1 = z.with_config(config={{'write_empty_chunks': True}}); z1[:] = -1
R = z1.config.write_empty_chunks, seen(z1)
""",
    "what is stored": f"{Z}R = z.nbytes_stored() > 0, z.nchunks_initialized, str(z.info_complete()) != str(z.info)",
    "info": f"{Z}R = [line in str(z.info).split() for line in ('Array', '(4,', '3')]",
    "codecs": f"""{Z}
R = len(z.compressors), z.filters, z.serializer.to_dict(), [codec.to_dict() for codec in z.compressors]
""",
    "compressor of v2": f"{MAKERS['v2']}R = z.compressor, z.filters",
    "metadata": f"{Z}R = {{k: v for k, v in z.metadata.to_dict().items() if v}}, z.metadata.dimension_names",
    "store": f"{Z}R = z.store_path.path, z.store_path.store == z.store",
    "arrays that are the same": f"""{Z}
R = z == zarr.open_array(S, path='x/y', mode='r+'), z == zarr.create_array({{}}, shape=3, dtype='i4')
""",
    "as NumPy's": f"{Z}R = np.asarray(z), np.sum(z), z[:].mean(axis=0), [row.sum() for row in z]",
    "Array.from_dict": f"""{Z}
z1 = zarr.Array.from_dict(store_path=z.store_path, data=z.metadata.to_dict()); R = z1.shape
""",
    "Array.open": """
z = zarr.create_array(S, data=np.arange(3))
R = seen(zarr.Array.open(S)), seen(zarr.Array.open(store=S, config=None))
""",
    **{
        f"{n} of several sizes": f"zarr.config.set({{'array.rectilinear_chunks': True}}); {RAGGED}R = z.{n}"
        for n in ("read_chunk_sizes", "write_chunk_sizes")
    },
}

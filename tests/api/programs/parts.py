"""Codecs, data types, stores, errors and settings."""

from __future__ import annotations

from textwrap import indent

CODECS = {  # a codec with all of its keywords -> where it goes
    "zarr.codecs.BloscCodec(typesize=4, cname='zstd', clevel=3, shuffle='bitshuffle', blocksize=0)": "compressors",
    "zarr.codecs.BloscCodec(cname=zarr.codecs.BloscCname.lz4, shuffle=zarr.codecs.BloscShuffle.shuffle)": "compressors",
    "zarr.codecs.BytesCodec(endian='big')": "serializer",
    "zarr.codecs.BytesCodec(endian=zarr.codecs.Endian.little)": "serializer",
    "zarr.codecs.Crc32cCodec()": "compressors",
    "zarr.codecs.GzipCodec(level=1)": "compressors",
    "zarr.codecs.ZstdCodec(level=3, checksum=True)": "compressors",
    "zarr.codecs.TransposeCodec(order=(1, 0))": "filters",
    "zarr.codecs.ScaleOffset(offset=1, scale=2)": "filters",
    "zarr.codecs.CastValue(data_type='int16', rounding='towards-zero', out_of_range='wrap', scalar_map={})": "filters",
    """zarr.codecs.ShardingCodec(chunk_shape=(2, 3), codecs=[zarr.codecs.BytesCodec(), zarr.codecs.GzipCodec()],
    index_codecs=[zarr.codecs.BytesCodec(), zarr.codecs.Crc32cCodec()], index_location='start')""": "serializer",
    "zarr.codecs.ShardingCodec(chunk_shape=(2, 3), subchunk_write_order='lexicographic')": "serializer",
    """zarr.codecs.ShardingCodec(
    chunk_shape=(2, 3), index_location=zarr.codecs.ShardingCodecIndexLocation.start)""": "serializer",
}
NUMCODECS = {  # a codec of numcodecs in v3, with its configuration -> where it goes
    **dict.fromkeys(
        ("BZ2(level=1)", "LZ4(acceleration=1)", "LZMA(preset=1)", "Zlib(level=1)", "GZip(level=1)"), "compressors"
    ),
    **dict.fromkeys(("Blosc(cname='lz4')", "Zstd(level=1)", "Shuffle(elementsize=4)"), "compressors"),
    **dict.fromkeys(("CRC32()", "CRC32C()", "Adler32()", "Fletcher32()", "JenkinsLookup3()"), "compressors"),
    **dict.fromkeys(
        ("Delta(dtype='<i4')", "FixedScaleOffset(offset=0, scale=2, dtype='<i4', astype='<i4')"), "filters"
    ),
    "AsType(encode_dtype='<i2', decode_dtype='<i4')": "filters",
    "BitRound(keepbits=10)": "filters of floats",
    "Quantize(digits=3, dtype='<f4')": "filters of floats",
    "PackBits()": "filters of bool",
    "PCodec()": "serializer",
    "ZFPY(mode=4, tolerance=0.001)": "serializer of floats",
}
MADE = """
z = zarr.create_array(S, shape=(4, 6), dtype={dtype!r}, {where}={codec})
z[:] = (np.arange(24).reshape(4, 6) % 7).astype({dtype!r})
R = seen(z)
"""
DTYPES = {  # a data type of `zarr.dtype` -> the values of an array
    "Bool()": "np.arange(3) > 1",
    **{f"{name}()": "np.arange(3)" for name in ("Int8", "UInt8")},
    **{
        f"{name}(endianness='big')": "np.arange(3)"
        for name in ("Int16", "Int32", "Int64", "UInt16", "UInt32", "UInt64")
    },
    **{
        f"{name}(endianness='little')": "[1.5, -2]"
        for name in ("Float16", "Float32", "Float64", "Complex64", "Complex128")
    },
    "DateTime64(endianness='little', scale_factor=10, unit='s')": "np.array(['2020-01-01', 'NaT'], 'M8[10s]')",
    "TimeDelta64(endianness='big', scale_factor=1, unit='ms')": "np.array([1, 'NaT'], 'm8[ms]')",
    "FixedLengthUTF32(length=3, endianness='little')": "['a', 'äöü']",
    "NullTerminatedBytes(length=3)": "[b'a', b'abc']",
    "RawBytes(length=2)": "np.array([b'ab', b'cd'], 'V2')",
    "VariableLengthBytes()": "np.array([b'', b'abc'], object)",
    "VariableLengthUTF8()": "np.array(['', 'abc'], np.dtypes.StringDType())",
    "Struct(fields=(('a', zarr.dtype.Int32()), ('b', zarr.dtype.Float64())))": """
np.array([(1, 2.5)], [('a', '<i4'), ('b', '<f8')])
""",
}
SETTINGS = {  # a setting -> a value, and a program that it changes or does not
    "array.order": ("'C'", "R = zarr.zeros((2, 3))[:].flags.c_contiguous"),
    "array.write_empty_chunks": (
        "True",
        "z = zarr.zeros((4,), chunks=(2,), store=S); z[:] = 0; R = z.nchunks_initialized",
    ),
    "array.rectilinear_chunks": ("True", "R = zarr.create_array(S, shape=(10,), dtype='i4', chunks=[[3, 7]])[:]"),
    "default_zarr_format": ("2", "R = seen(zarr.zeros((3,), store=S))"),
    "async.concurrency": ("4", "R = zarr.array([1, 2])[:]"),
    "async.timeout": ("60", "R = zarr.array([1, 2])[:]"),
    "threading.max_workers": ("2", "R = zarr.array([1, 2])[:]"),
    "codec_pipeline.batch_size": ("2", "R = zarr.array([1, 2])[:]"),
    "codec_pipeline.max_workers": ("2", "R = zarr.array([1, 2])[:]"),
    "json_indent": ("None", "zarr.zeros((3,), store=S); R = 0"),
    "array.read_missing_chunks": ("True", "R = zarr.zeros((2,), store=S)[:]"),
    "array.target_shard_size_bytes": ("1000", "R = zarr.array([1, 2])[:]"),
    "array.sharding_coalesce_max_bytes": ("1000", "R = zarr.array([1, 2])[:]"),
    "array.sharding_coalesce_max_gap_bytes": ("1000", "R = zarr.array([1, 2])[:]"),
    "array.allow_unsafe_pickle_decode": ("False", "R = zarr.array([1, 2])[:]"),
}
NAMES_OF_ERRORS = (  # those that no program here raises, and warnings
    *("ArrayIndexError", "BaseZarrError", "ChunkNotFoundError", "ContainsArrayAndGroupError", "NegativeStepError"),
    *("NodeTypeValidationError", "PickleCodecDisabledError", "UnstableSpecificationWarning"),
    *("ZarrDeprecationWarning", "ZarrFutureWarning", "ZarrRuntimeWarning"),
)
ERRORS = {  # programs that raise, and the class that catches it
    "BoundsCheckError": "zarr.zeros((3,))[5]",
    "VindexInvalidSelectionError": "zarr.zeros((3,)).vindex['a']",
    "ArrayNotFoundError": "zarr.open_array(S, mode='r')",
    "GroupNotFoundError": "zarr.open_group(S, mode='r')",
    "ContainsArrayError": "zarr.zeros(3, store=S); zarr.zeros(4, store=S)",
    "ContainsGroupError": "zarr.create_group(S); zarr.create_array(S, shape=3, dtype='i4')",
    "MetadataValidationError": """
import pathlib, tempfile
folder = pathlib.Path(tempfile.mkdtemp())
(folder / 'zarr.json').write_text('{"zarr_format": 3, "node_type": "group", "new": 1}')
zarr.open(folder, mode='r')
""",
    "UnknownCodecError": """
zarr.create_array(S, shape=3, dtype='i4', compressors={'name': 'nobody', 'configuration': {}})
""",
    "DataTypeValidationError": "zarr.dtype.Int8.from_json('int16', zarr_format=3)",
}
PROGRAMS = {
    **{codec: MADE.format(codec=codec, where=where, dtype="<i4") for codec, where in CODECS.items()},
    **{
        f"numcodecs {codec}": MADE.format(
            codec=f"zarr.codecs.numcodecs.{codec}",
            where=where.split()[0],
            dtype={"floats": "<f4", "bool": "?"}.get(where.split()[-1], "<i4"),
        )
        for codec, where in NUMCODECS.items()
    },
    **{f"errors {name}": f"R = issubclass(zarr.errors.{name}, Exception)" for name in NAMES_OF_ERRORS},
    "VLenUTF8Codec": """
z = zarr.create_array(S, shape=2, dtype=str, serializer=zarr.codecs.VLenUTF8Codec()); z[0] = 'é'
R = z[:].tolist()
""",
    "VLenBytesCodec": """
z = zarr.create_array(S, shape=2, dtype=zarr.dtype.VariableLengthBytes(), serializer=zarr.codecs.VLenBytesCodec())
z[:] = np.array([b'a', b''], object); R = z[:].tolist()
""",
    "codecs as dicts": """
R = [c.to_dict() for c in (zarr.codecs.GzipCodec(level=1), zarr.codecs.BytesCodec(), zarr.codecs.Crc32cCodec())]
""",
    "codecs of dicts": "R = zarr.codecs.GzipCodec.from_dict({'name': 'gzip', 'configuration': {'level': 2}}).level",
    "codecs that are the same": """
R = zarr.codecs.GzipCodec(level=2) == zarr.codecs.GzipCodec(level=2), zarr.codecs.GzipCodec() == zarr.codecs.ZstdCodec()
""",
    **{
        f"dtype {dtype}": f"""
v = np.asarray({values}); z = zarr.create_array(S, shape=len(v), dtype=zarr.dtype.{dtype}, fill_value=v[0])
z[:] = v; R = seen(z)
"""
        for dtype, values in DTYPES.items()
    },
    "names of orders": "R = list(zarr.codecs.SubchunkWriteOrder.__args__)",
    "names of data types": """
R = isinstance(zarr.dtype.Int8(), zarr.dtype.ZDType), issubclass(zarr.dtype.Structured, zarr.dtype.ZDType)
""",
    "parse_dtype": """
R = [(d.to_native_dtype().str, d.to_json(zarr_format=3)) for d in (zarr.dtype.parse_dtype('int16', zarr_format=3),
    zarr.dtype.parse_dtype(dtype_spec=np.dtype('M8[s]'), zarr_format=3))]
""",
    "LocalStore": """
import tempfile
z = zarr.zeros((3,), store=zarr.storage.LocalStore(tempfile.mkdtemp())); R = seen(z)
""",
    "MemoryStore": "z = zarr.create_array(zarr.storage.MemoryStore(), shape=3, dtype='i4'); z[:] = 2; R = seen(z)",
    "MemoryStore of a dict": """
z = zarr.create_array(zarr.storage.MemoryStore(S), shape=3, dtype='i4'); z[:] = 2
R = seen(zarr.open(S, mode='r'))
""",
    "StorePath": """
z = zarr.create_array(zarr.storage.StorePath(zarr.storage.MemoryStore(), 'a/b'), shape=3, dtype='i4')
R = z.shape
""",
    "ManagedMemoryStore": """
z = zarr.create_array(zarr.storage.ManagedMemoryStore(), shape=3, dtype='i4'); R = z.path, z.shape
""",
    "types of stores": "R = zarr.storage.StoreLike is not None, isinstance(zarr.__version__, str)",
    "memory of a name": """
z = zarr.create_array('memory://SAME-NAME', shape=3, dtype='i4')
R = seen(zarr.open('memory://SAME-NAME', mode='r'))
""",
    **{
        f"config {name}": f"""
with zarr.config.set({{'{name}': {value}}}):
    v = zarr.config.get('{name}'); {program}
R = R, v
"""
        for name, (value, program) in SETTINGS.items()
    },
    "config": """
zarr.config.set({'array.order': 'C'}); zarr.config.reset()
R = zarr.config.get('array.order'), zarr.config.get('x', 5)
""",
    **{
        f"errors {kind}": f"try:\n{indent(program, '    ')}\nexcept zarr.errors.{kind}: R = 1"
        for kind, program in ERRORS.items()
    },
}

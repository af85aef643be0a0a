"""The table of all codecs: where each is decoded and encoded, and which library it needs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from gpuzarr import codecs
from gpuzarr.batch import BytesSpec, ChunkSpec
from gpuzarr.codecs import imagecodecs
from gpuzarr.codecs.sharding_indexed import ShardingIndexed
from gpuzarr.codecs.step import Step
from gpuzarr.errors import MetadataError

LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
_TURNED = {"name": "transpose", "configuration": {"order": [1, 0]}}
_LABELS = {"labels": ["a"], "dtype": "<U1", "astype": "u1"}
_SHARD = {"chunk_shape": [1, 2], "codecs": [LITTLE], "index_codecs": [LITTLE, "crc32c"]}
_VLEN = {"index_codecs": [LITTLE], "data_codecs": ["bytes"], "index_data_type": "uint32"}
CONFIGURATIONS: dict[str, dict[str, Any]] = {  # of codecs that cannot do without
    "numcodecs.astype": {"encode_dtype": "<i4", "decode_dtype": "<i4"},
    "bitround": {"keepbits": 4},
    "numcodecs.nvcomp_batch": {"algorithm": "zstd"},
    "cast_value": {"data_type": "int32"},
    "numcodecs.categorize": _LABELS,
    "numcodecs.delta": {"dtype": "<i4"},
    "numcodecs.fixedscaleoffset": {"offset": 0, "scale": 1, "dtype": "<f4", "astype": "<f4"},
    "jpeg": {"quality": 90},
    "n5_default": {"codecs": [_TURNED, {"name": "bytes", "configuration": {"endian": "big"}}]},
    "offset": {"offset": 4},
    "optional": {"mask_codecs": ["packbits"], "data_codecs": [LITTLE]},
    "pad": {"location": "start", "nbytes": 4},
    "numcodecs.quantize": {"digits": 2, "dtype": "<f4"},
    "reshape": {"shape": [4]},
    "sharding_indexed": _SHARD,
    "numcodecs.shuffle": {"elementsize": 4},
    "singleton_dim": {"operations": [{"insert": 0}]},
    "transpose": {"order": [1, 0]},
    "numcodecs.vlen-array": {"dtype": "<i4"},
    "zarrs.vlen": _VLEN,
    "zfp": {"mode": "reversible"},
}
_MASKED = np.dtype([("valid", "?"), ("value", "<i4")])
DTYPES = {  # of the chunks of codecs that do not take any
    "bitround": np.dtype("f4"),
    "numcodecs.categorize": np.dtype("U1"),
    "numcodecs.fixedscaleoffset": np.dtype("f4"),
    "numcodecs.packbits": np.dtype("?"),
    "numcodecs.quantize": np.dtype("f4"),
    "optional": _MASKED,
    "zfp": np.dtype("f4"),
    "numcodecs.zfpy": np.dtype("f4"),
    **dict.fromkeys(("vlen-utf8", "vlen-bytes", "numcodecs.vlen-array", "zarrs.vlen_v2", "zarrs.vlen"), np.dtype("O")),
    **dict.fromkeys(("numcodecs.json2", "numcodecs.msgpack2", "numcodecs.pickle"), np.dtype("O")),
}
LIBRARIES = {  # modules by the packages that bring them, of codecs that need more than NumPy and Python's own
    **dict.fromkeys(("blosc", "numcodecs.jenkins_lookup3", "numcodecs.lz4", "imagecodecs_lz4h5"), ("numcodecs",)),
    **dict.fromkeys(("numcodecs.shuffle", "gpuzarr.n5_lz4", "numcodecs.vlen-array"), ("numcodecs",)),
    **dict.fromkeys(("vlen-utf8", "vlen-bytes"), ("numcodecs",)),
    **dict.fromkeys(("gzip", "numcodecs.zlib"), ("isal",)),
    **dict.fromkeys(("zstd", "numcodecs.nvcomp_batch"), ("numcodecs", "cramjam")),
    "crc32c": ("google_crc32c",),
    "numcodecs.msgpack2": ("msgpack",),
    "numcodecs.pcodec": ("numcodecs", "pcodec"),
    "numcodecs.zfpy": ("zfpy",),
    "zfp": ("zfpy",),
    "cast_value": ("ml_dtypes",),
    **dict.fromkeys(("imagecodecs_snappy", "gpuzarr.hdf5_bitshuffle"), ("cramjam",)),
    **dict.fromkeys(("jpeg", "jpegxl", "lzw"), ("imagecodecs",)),
    "zarrs.gdeflate": ("nvidia.libnvcomp",),  # of the extras of CUDA: those for 12 and 13 have the same files
    **{codec.names[0]: ("imagecodecs",) for codec in imagecodecs.CODECS},
}
PACKAGES = {  # whose names differ from those of their modules
    "google_crc32c": "google-crc32c",
    "nvidia.libnvcomp": "nvidia-libnvcomp-cu13",
}
_SHAPE, _NBYTES = (2, 2), 4096  # of an ordinary chunk


@dataclass(frozen=True)
class CodecRow:
    """A codec, and where it works.

    Attributes
    ----------
    name
        Its name in Zarr v3.
    names, ids
        All names that are understood in Zarr v3, and in Zarr v2.
    kind
        "array->array", "array->bytes" or "bytes->bytes".
    decode_cpu, encode_cpu
        "yes", or "no" if a library is missing, or only decodes.
    decode_cuda, encode_cuda
        "yes", or "no": then the CPU does it, and the chunks are copied. This is for ordinary chunks, of integers where
        the codec takes these: `gpuzarr info` and `Array.explain` say what is true of an array.
    why_not_decode, why_not_encode
        Why not on a GPU; "" where it is.
    libraries, missing
        The packages that it needs beyond NumPy, and those of them that are not installed.
    """

    name: str
    names: tuple[str, ...]
    ids: tuple[str, ...]
    kind: str
    decode_cpu: str
    encode_cpu: str
    decode_cuda: str
    encode_cuda: str
    why_not_decode: str
    why_not_encode: str
    libraries: tuple[str, ...]
    missing: tuple[str, ...]


def codec_table() -> list[CodecRow]:
    """All codecs that arrays may have here, sorted by name, with those that other packages add.

    Returns
    -------
    list of CodecRow

    Examples
    --------
    >>> rows = {row.name: row for row in gpuzarr.tools.codec_table()}
    >>> rows["zstd"].decode_cuda, rows["zstd"].ids
    ('yes', ('zstd',))
    >>> rows["numcodecs.bz2"].why_not_decode
    'bz2 has no GPU decoder'
    """
    known: list[Any] = [*codecs.registry().values()]
    found = {(codec.names or codec.ids)[0]: codec for codec in known}
    found |= {name: point.load() for name, point in codecs.others().items() if name not in found}
    return [_row(name, found[name]) for name in sorted(found, key=lambda name: name.rpartition(".")[2])]


def _row(name: str, codec: Any) -> CodecRow:
    modules = LIBRARIES.get(name, ())
    missing = tuple(PACKAGES.get(module, module) for module in modules if not _is_installed(module))
    on_cpu = "no" if missing else "yes"
    why = _why_not_on_gpu(name)
    return CodecRow(
        name=name,
        names=tuple(codec.names),
        ids=tuple(codec.ids),
        kind=codec.kind,
        decode_cpu=on_cpu,
        encode_cpu="no" if getattr(codec, "only_read", False) else on_cpu,
        decode_cuda="no" if why[0] else "yes",
        encode_cuda="no" if why[1] else "yes",
        why_not_decode=why[0],
        why_not_encode=why[1],
        libraries=tuple(PACKAGES.get(module, module) for module in modules),
        missing=missing,
    )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def _why_not_on_gpu(name: str) -> tuple[str, str]:
    """Why a codec does not decode, and not encode, an ordinary chunk on a GPU; "" where it does."""
    try:
        codec = codecs.find(name, CONFIGURATIONS.get(name, {}))
    except MetadataError as error:  # of another package: nobody knows what its configuration should be
        return (f"it is not known without a configuration ({error})",) * 2
    spec = BytesSpec(_NBYTES) if codec.kind == "bytes->bytes" else ChunkSpec(_SHAPE, DTYPES.get(name, np.dtype("i4")))
    step = Step(codec, spec)
    if isinstance(codec, ShardingIndexed):  # alone in a chain it is a layout, and its inner chunks are encoded
        return step.why_host or "", codec.inner(spec).host_steps_to_encode[1] or ""
    return step.why_host or "", step.why_host_to_encode or ""

"""Codecs that are refused by name: why, and what to do instead."""

from __future__ import annotations

_ABORTS = (
    "a damaged chunk makes the decoder in imagecodecs crash the whole process, so it is not used here; decode the "
    "array with imagecodecs and zarr-python in a separate process, and store it with another codec"
)
_LABELS = (
    "it stores label multisets of imglib2 (Paintera), which have no data type in NumPy; export labels from Paintera"
)
_AWS = "it is written by osml-imagery-io, whose codecs work only with zarr-python 3; read the array there and copy it"
_ND = "it is written by nd-image-codecs, whose codecs work only with zarr-python and zarrs; read and copy it there"
_VIRTUAL_TIFF = (
    "virtual-tiff describes the layout of a TIFF file by it; open the file itself, by its path or URL, or make the "
    "references with tifffile or kerchunk"
)
_NVCOMP = (
    "kvikio up to 25.08 wrote it, in the format of nvCOMP's high-level managers, which only a GPU decodes and which "
    "changed between versions; read the array with that kvikio, and copy it to zstd or zarrs.gdeflate"
)

ADVICE: dict[str, str] = {
    "imagecodecs_sz3": f"SZ3: {_ABORTS}",
    "imagecodecs_sperr": f"SPERR: {_ABORTS}",
    "imagecodecs_ljpeg": f"lossless JPEG: {_ABORTS}",
    "imagecodecs_pcodec": f"pcodec: {_ABORTS}",
    "imagecodecs_htj2k": (
        "High-Throughput JPEG 2000: the decoder in imagecodecs takes minutes for some damaged chunks; decode the array "
        "with imagecodecs, and store it with another codec"
    ),
    "imagecodecs_openzl": (
        "OpenZL: no build of imagecodecs that has it was to be had, so it is not known what damaged chunks do to its "
        "decoder; decode the array with imagecodecs, and store it with another codec"
    ),
    "imagecodecs_jetraw": "it needs the licensed library of Jetraw SA; decode the array with that, and copy it",
    "imagecodecs_cms": "imagecodecs has a class of this name that neither encodes nor decodes",
    "imagecodecs_wic": "it needs the Windows Imaging Component; decode the array on Windows, and copy it",
    "json": "numcodecs removed it in 0.6; read the array with an older numcodecs, and store it as json2",
    "msgpack": "numcodecs removed it in 0.6; read the array with an older numcodecs, and store it as msgpack2",
    "nanovdb": "a draft for sparse volumes of OpenVDB, which no Python package decodes; convert them with OpenVDB",
    "label_multiset": _LABELS,
    "n5_label_multiset": _LABELS,
    "n5_varlen": f"blocks of N5 of variable length; {_LABELS}",
    "vlen-ndarray": "its data type `ndarray` is not supported; zarr-vlen-ndarray reads it with zarr-python",
    "arrow-ipc": "each chunk is a stream of Arrow; read it with pyarrow.ipc.open_stream, and copy the array",
    "nd_lift": _ND,
    "htj2k": _ND,
    "nd_zfp": _ND,
    "ChunkyCodec": _VIRTUAL_TIFF,
    "HorizontalDeltaCodec": _VIRTUAL_TIFF,
    **{f"nvcomp_{name}": _NVCOMP for name in ("ANS", "Bitcomp", "Cascaded", "Gdeflate", "LZ4", "Snappy")},
    "https://awslabs.github.io/osml-imagery-io/codecs/jpeg2000": _AWS,
}

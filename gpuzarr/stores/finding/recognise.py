"""What a thing is that users give as a store: of which library, or, of a file or a folder, of which format.

Files and folders are told by their names, their first bytes, or the names in them. Many are no Zarr store.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from gpuzarr.checks import MAX_DOCUMENT_BYTES

HEAD_BYTES = 2048  # of a file, that are looked at
MAX_NAMES = 1000  # of a folder, that are looked at

Way = Literal["zip", "references", "file", "icechunk", ""]


@dataclass(frozen=True)
class Found:
    """What something is. `way`: how it is read as a store, "" if it is not; `advice`: what to do then."""

    what: str
    way: Way = ""
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.advice}" if self.advice else self.what


UNPACK = "unpack it, or pack the store as a zip, which is read as it is"
CONVERT = "its values have to be written as Zarr, for instance by gpuzarr.save(path, values)"
NO_CONTENT = "the content is not on this machine"

_SUFFIXES: dict[Way, tuple[str, ...]] = {
    "zip": (".zip", ".ozx"),
    "references": (".json", ".json.zst", ".json.zstd", ".json.gz", ".parquet", ".parq"),
    "file": (
        *(".nc", ".nc4", ".cdf", ".netcdf", ".h5", ".hdf5", ".he5", ".hdf", ".h5ad", ".loom", ".ims"),
        *(".tif", ".tiff", ".btf", ".grib", ".grib2", ".grb", ".grb2"),
    ),
    "icechunk": (".icechunk",),
}


def libraries(thing: object) -> set[str]:
    """Names of the packages that have the class of a thing, and those that it is made from."""
    return {kind.__module__.partition(".")[0] for kind in type(thing).__mro__}


def way_of_name(name: str) -> Way:
    """How something with this name is read as a store; "" for a folder, or who knows what."""
    lower = name.lower()
    if lower in ("zarr.json", ".zmetadata"):
        return ""
    return next((way for way, suffixes in _SUFFIXES.items() if lower.endswith(suffixes) and lower not in suffixes), "")


def of_file(path: str) -> Found | None:
    """What a local file is, by its first bytes; None if that cannot be told. Folders, and what is missing, are None."""
    try:
        if os.path.islink(path) and "annex/objects/" in (target := os.readlink(path)) and not os.path.exists(path):
            key = target.rpartition("/")[2]
            return Found("a git-annex pointer", advice=f"{NO_CONTENT}: `git annex get` or `datalad get` ({key})")
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return None
        with open(path, "rb") as file:
            return of_bytes(file.read(HEAD_BYTES))
    except (OSError, ValueError):
        return None


def of_bytes(head: bytes) -> Found | None:
    """What an object is by its first bytes; None if that cannot be told."""
    for begins, found in _MAGIC:
        if head.startswith(begins):
            return found
    return next((found for test, found in _TESTS if test(head)), None)


_HDF5 = b"\x89HDF\r\n\x1a\n"
_NUMPY = Found("an array of NumPy", advice="gpuzarr.save(path, numpy.load(file)) makes a store of it")
_MAGIC: list[tuple[bytes, Found]] = [
    (b"PK\x03\x04", Found("a zip file", "zip")),
    (b"PK\x05\x06", Found("a zip file", "zip")),
    (_HDF5, Found("an HDF5 file", "file")),
    (b"CDF\x01", Found("a NetCDF file", "file")),
    (b"CDF\x02", Found("a NetCDF file", "file")),
    (b"CDF\x05", Found("a NetCDF file", "file")),
    *[(magic, Found("a TIFF image", "file")) for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")],
    (b"GRIB", Found("a GRIB file", "file")),
    (b"SIMPLE  =", Found("a FITS file", advice=CONVERT)),
    (b"PAR1", Found("a Parquet file", advice="pandas, polars and cudf read it")),
    (b"ARROW1", Found("an Arrow file", advice="pyarrow reads it")),
    (b"\x93NUMPY", _NUMPY),
    (b"/annex/objects/", Found("a git-annex pointer", advice=f"{NO_CONTENT}: `git annex get` or `datalad get`")),
    (b"version https://git-lfs", Found("a Git LFS pointer", advice=f"{NO_CONTENT}: `git lfs pull`")),
    (b"gitdir: ", Found("a git worktree or submodule", advice="give the folder of the store")),
    (b"\x1f\x8b", Found("a gzip file", advice=UNPACK)),
    (b"\x28\xb5\x2f\xfd", Found("a Zstandard file", advice=UNPACK)),
    (b"BZh", Found("a bzip2 file", advice=UNPACK)),
    (b"\xfd7zXZ\0", Found("an xz file", advice=UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Found("a 7-Zip archive", advice=UNPACK)),
    (b"Rar!\x1a\x07", Found("a RAR archive", advice=UNPACK)),
    (b"SQLite format 3\0", Found("an SQLite database", advice="a Mapping over it is a store (CONTRIBUTING.md)")),
    (b"\x0c\xdb\x3a\x2a", Found("a manifest of an OCDBT database", advice="see its folder")),
    (b"ZISRAWFILE", Found("a CZI image", advice=CONVERT)),
    (b"\xda\xce\xbe\x0a", Found("an ND2 image", advice=CONVERT)),
    (b"\x89PNG\r\n\x1a\n", Found("a PNG image", advice=CONVERT)),
    (b"\xff\xd8\xff", Found("a JPEG image", advice=CONVERT)),
    (b"<!DOCTYPE", Found("an HTML page", advice="the URL of the store itself is needed")),
    (b"<html", Found("an HTML page", advice="the URL of the store itself is needed")),
    (b"<?xml", Found("an XML document", advice="give the folder of the store")),
    (b"TileDB", Found("a file of TileDB", advice=CONVERT)),
]
_TESTS: list[tuple[Callable[[bytes], bool], Found]] = [
    (lambda head: head[257:262] == b"ustar", Found("a tar archive", advice=UNPACK)),
    (lambda head: head[128:132] == b"DICM", Found("a DICOM image", advice=CONVERT)),
    (lambda head: head[344:348] in (b"n+1\0", b"ni1\0"), Found("a NIfTI image", advice=CONVERT)),
    (lambda head: head[4:8] == b"n+2\0", Found("a NIfTI image", advice=CONVERT)),
    (lambda head: any(head[at : at + 8] == _HDF5 for at in (512, 1024)), Found("an HDF5 file", "file")),
    (lambda head: head.lstrip()[:1] in (b"{", b"["), Found("a JSON document", "references")),
]


# folders, by the names in them

_OCDBT = Found("an OCDBT database of tensorstore or neuroglancer", advice="tensorstore copies it to a Zarr store")
_TILEDB = Found("a TileDB array or group", advice=CONVERT)
_SETS: list[tuple[tuple[str, ...], Found]] = [  # all of these names
    (("manifest.ocdbt",), _OCDBT),
    (("snapshots", "refs"), Found("an Icechunk repository", "icechunk")),
    (("snapshots", "repo"), Found("an Icechunk repository", "icechunk")),
    (("snapshots", "config.yaml"), Found("an Icechunk repository", "icechunk")),
    (("repo", "config.yaml"), Found("an Icechunk repository", "icechunk")),
    (("_delta_log",), Found("a Delta Lake table", advice="it has rows, not arrays: deltalake reads it")),
    (("metadata", "data"), Found("maybe an Iceberg table", advice="it has rows, not arrays: pyiceberg reads it")),
    (("__schema",), _TILEDB),
    (("__array_schema.tdb",), _TILEDB),
    (("__tiledb_group.tdb",), _TILEDB),
    (("__group",), _TILEDB),
    (("meta", "zarr.json"), Found("a draft of Zarr v3 of 2021", advice="zarr-python 2 reads it and can rewrite it")),
    (("meta", "data"), Found("a draft of Zarr v3 of 2021", advice="zarr-python 2 reads it and can rewrite it")),
    ((".zmetadata",), Found("a store with consolidated metadata alone", advice="its .zgroup is missing")),
    (("dicomdir",), Found("a folder of DICOM images", advice=CONVERT)),
    ((".git",), Found("a git repository", advice="give the folder of the store in it")),
    (("manifest.safe",), Found("a SAFE product of Sentinel", advice="give a NetCDF or TIFF file in it")),
]
_ENDS: list[tuple[str, Found]] = [  # one of the names ends so, and no other is that of Zarr
    (".parquet", Found("a Parquet dataset", advice="it has rows, not arrays: pandas, polars and cudf read it")),
    (".arrow", Found("a dataset of Arrow files", advice="pyarrow reads it")),
    (".dcm", Found("a folder of DICOM images", advice=CONVERT)),
    (".tif", Found("a folder of TIFF images", advice="give one of them")),
    (".tiff", Found("a folder of TIFF images", advice="give one of them")),
    (".nc", Found("a folder of NetCDF files", advice="give one of them, or kerchunk references of all")),
    (".h5", Found("a folder of HDF5 files", advice="give one of them, or kerchunk references of all")),
    (".npy", Found("a folder of arrays of NumPy", advice=CONVERT)),
]
_PRECOMPUTED = Found("a volume of neuroglancer (precomputed)", advice="tensorstore copies it to a Zarr store")
_NODES = ("zarr.json", ".zgroup", ".zarray")
PROBES = ("repo", "config.yaml", "manifest.ocdbt", "info", ".zmetadata")  # where no names are told, these may be there
_STORE_ENDS = (".zarr", ".zarr.zip", ".ozx", ".icechunk", ".n5")
_SCALE = re.compile(r"\d+(\.\d+)?(_\d+(\.\d+)?){2}")  # folders of a precomputed volume: the size of a voxel


def of_names(given: Iterable[str]) -> Found | None:
    """What a folder is by the names of what is in it; None if that cannot be told."""
    names = list(given)[:MAX_NAMES]
    lower = {name.lower() for name in names}
    if lower.intersection(_NODES) and not {"meta", "zarr.json"} <= lower:
        return None
    for wanted, found in _SETS:
        if lower.issuperset(wanted):
            return found
    if "info" in lower and (len(lower) == 1 or any(map(_SCALE.fullmatch, lower))):
        return _PRECOMPUTED
    if inner := [name for name in names if name.lower().rstrip("/").endswith(_STORE_ENDS)]:
        return Found("a folder that stores lie in", advice=f"open one of them, such as {inner[0]!r}")
    return next((found for end, found in _ENDS if any(name.endswith(end) for name in lower)), None)


def way_of_folder(folder: str) -> Way:
    """How a local folder that is no Zarr store itself is read as one; "" for all others: a look, or three."""
    try:
        if os.path.lexists(f"{folder}/zarr.json"):
            return ""
        if os.path.isdir(f"{folder}/snapshots"):  # hardly any other has it
            found = of_names(os.listdir(folder))
            return "icechunk" if found is not None and found.way == "icechunk" else ""
        if not os.path.isfile(f"{folder}/.zmetadata") or any(os.path.exists(f"{folder}/{name}") for name in _NODES):
            return ""
        with open(f"{folder}/.zmetadata", "rb") as file:  # references in parquet have a number of rows in there
            return "references" if b'"record_size"' in file.read(MAX_DOCUMENT_BYTES) else ""
    except OSError:
        return ""

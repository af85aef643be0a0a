"""Stores of pipelines of URLs, such as `s3://bucket/a.zip|zip:path/|zarr3:`. See `urls.py` for their grammar."""

from __future__ import annotations

from dataclasses import dataclass

from gpuzarr.stores.contract import Store
from gpuzarr.stores.finding import locations, url_adapters, urls
from gpuzarr.stores.finding.locations import How
from gpuzarr.stores.finding.urls import FORMATS, Part, Pipeline
from gpuzarr.stores.path import below

UNREAD = {  # parts of the standard that name what is no store here, and what to do
    "ocdbt": "names an OCDBT database, which only tensorstore and neuroglancer read: tensorstore copies it",
    "neuroglancer-precomputed": "names a precomputed volume of neuroglancer, which tensorstore copies to a Zarr store",
    **dict.fromkeys(("gzip", "zstd", "xz", "bzip2", "tar"), "names something packed: unpack it, or pack it as a zip"),
    **dict.fromkeys(("avif", "bmp", "jpeg", "png", "webp"), "names an image, which is no Zarr store"),
    "byte-range": "names a part of a file, which is no Zarr store",
    "json": "names a part of a document, which is no Zarr store; references of kerchunk need no such part",
}
FILES = ("hdf5", "tiff", "netcdf", "grib")


@dataclass(frozen=True)
class _Place:
    """Where some parts of a pipeline lead: the first part alone, as text, or a path in a store."""

    text: str
    store: Store | None = None
    path: str = ""


def store_of(text: str, how: How) -> Store:
    """Store of a pipeline. StoreKindError, which names the part that is wrong."""
    pipeline = urls.parsed(text)
    root = pipeline.root
    if root.lower().startswith("memory:") and urls.scheme(root) is None:
        root = "memory://" + root.partition(":")[2].lstrip("/")
    place = _Place(root)
    for i, part in enumerate(pipeline.parts):
        place = _after(place, pipeline, part, i, how)
    return _store(place, how)


def _after(place: _Place, pipeline: Pipeline, part: Part, number: int, how: How) -> _Place:
    """Where one more part leads."""
    if part.scheme in FORMATS:
        return _Place("", _store(place, how), pipeline.path(part))
    if part.scheme == "zip":
        return _Place("", locations.zip_of(*_object(place, how), how), pipeline.path(part))
    if part.scheme == "icechunk":
        if place.store is not None:
            pipeline.wrong(part, "is taken right behind the first part only")
        version, path = urls.icechunk_version(pipeline, part)
        return _Place("", locations.icechunk_of(place.text, how.options, **version), path)
    if part.scheme in FILES:
        from gpuzarr.stores.references.files import store_of_file

        found = store_of_file(*_object(place, how), allow=how.options.get("allow"))
        return _Place("", found, pipeline.path(part))
    if part.scheme in UNREAD:
        pipeline.wrong(part, UNREAD[part.scheme])
    if (adapter := url_adapters.find(part.scheme)) is None:
        taken = ", ".join(f"{name}:" for name in ("zip", "icechunk", *FORMATS, *FILES))
        pipeline.wrong(part, f"names no adapter that is known here ({taken} are). {urls.NO_PIPELINE}")
    return _Place("", url_adapters.store_of(adapter, pipeline, number, how.options))


def _store(place: _Place, how: How) -> Store:
    """The store of what lies at a place."""
    return locations.store_of(place.text, how) if place.store is None else below(place.store, place.path)


def _object(place: _Place, how: How) -> tuple[Store, str]:
    """The store and the key of the object at a place."""
    if place.store is not None:
        return place.store, place.path
    return locations.object_of(place.text, how.options)[:2]

"""Everything that reads Zarr from afar, each as its users would make it fast: with as many requests at once as pay."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

from benchmarks.harness.remote import Key

AT_ONCE = 128  # requests
THREADS = 32  # of a user of zarr-python who reads many regions
BUCKET = "bucket"
S3 = {"region": "us-east-1", "skip_signature": True}
os.environ.setdefault("RAYON_NUM_THREADS", str(AT_ONCE))  # zarrs waits for each request in a thread of Rayon's


@dataclass(frozen=True)
class Place:
    """An array behind a server: `endpoint`/`BUCKET`/`name`."""

    endpoint: str
    name: str
    zarr_format: int

    @property
    def url(self) -> str:
        return f"{self.endpoint}/{BUCKET}/{self.name}"

    @property
    def tensorstore_driver(self) -> str:
        return "zarr3" if self.zarr_format == 3 else "zarr"


@dataclass(frozen=True)
class RemoteReader:
    """`open(place)` is not timed, `read(array, keys)` is: a list of arrays, one a key. See `peers.Reader`."""

    name: str
    open: Callable[[Place], Any]
    read: Callable[[Any, Sequence[Key]], Sequence[Any]]
    around: Callable[[], AbstractContextManager[Any]] = nullcontext

    @property
    def ours(self) -> bool:
        return self.name.startswith("gpuzarr")


def remote_readers(names: str = "") -> list[RemoteReader]:
    """All that can run here, or those whose name begins with one of the comma-separated `names`."""
    found = [*ours(), *tensorstores(), *zarr_fused(), *zarrs()]
    return [reader for reader in found if reader.name.startswith(tuple(names.split(",")))]


def ours() -> list[RemoteReader]:
    """As a web server, and as S3."""
    import gpuzarr

    def read(array: Any, keys: Sequence[Key]) -> Sequence[Any]:
        return [array[keys[0]]] if len(keys) == 1 else array.get_many(list(keys))

    def by_http(place: Place) -> Any:
        return gpuzarr.open_array(place.url, device="cpu")

    def by_s3(place: Place) -> Any:
        options = {"endpoint": place.endpoint, **S3}
        return gpuzarr.open_array(f"s3://{BUCKET}/{place.name}", storage_options=options, device="cpu")

    return [RemoteReader("gpuzarr cpu", by_http, read), RemoteReader("gpuzarr s3", by_s3, read)]


def tensorstores() -> list[RemoteReader]:
    """All reads begun, then awaited; as a web server, and as S3."""
    if importlib.util.find_spec("tensorstore") is None:
        return []
    import tensorstore as ts

    os.environ.setdefault("AWS_ACCESS_KEY_ID", "anybody")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "anything")

    def opened(place: Place, kvstore: dict[str, Any], limit: str) -> Any:
        context = ts.Context({limit: {"limit": AT_ONCE}})
        spec = {"driver": place.tensorstore_driver, "kvstore": kvstore}
        return ts.open(spec, read=True, context=context).result()

    def http(place: Place) -> Any:
        kvstore = {"driver": "http", "base_url": place.endpoint, "path": f"/{BUCKET}/{place.name}/"}
        return opened(place, kvstore, "http_request_concurrency")

    def s3(place: Place) -> Any:
        at = {"bucket": BUCKET, "endpoint": place.endpoint, "aws_region": S3["region"], "path": f"{place.name}/"}
        return opened(place, {"driver": "s3", **at}, "s3_request_concurrency")

    def read(array: Any, keys: Sequence[Key]) -> Sequence[Any]:
        return [future.result() for future in [array[key].read() for key in keys]]

    return [RemoteReader("tensorstore http", http, read), RemoteReader("tensorstore s3", s3, read)]


@cache
def pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS)


def by_threads(array: Any, keys: Sequence[Key]) -> Sequence[Any]:
    """The regions of an array of zarr-python."""
    return [array[keys[0]]] if len(keys) == 1 else list(pool().map(array.__getitem__, keys))


def of_obstore(place: Place) -> Any:
    """zarr-python's array over obstore's client of web servers."""
    import obstore.store
    import zarr

    store = obstore.store.HTTPStore(f"{place.endpoint}/{BUCKET}", client_options={"allow_http": True})
    return zarr.open_array(zarr.storage.ObjectStore(store, read_only=True), path=place.name, mode="r")


def through(pipeline: str, **settings: Any) -> Callable[[], AbstractContextManager[Any]]:
    import zarr

    chosen = {"codec_pipeline.path": pipeline, "async.concurrency": AT_ONCE, **settings}
    return lambda: zarr.config.set(chosen)


def zarr_fused() -> list[RemoteReader]:
    """zarr-python over obstore, by its fastest pipeline (since 3.3)."""
    import zarr.core.codec_pipeline as pipelines

    if not hasattr(pipelines, "FusedCodecPipeline") or importlib.util.find_spec("obstore") is None:
        return []
    around = through("zarr.core.codec_pipeline.FusedCodecPipeline")
    return [RemoteReader("zarr fused", of_obstore, by_threads, around)]


def zarrs() -> list[RemoteReader]:
    """zarrs, which makes its own requests where zarr-python's store is obstore's."""
    if importlib.util.find_spec("zarrs") is None or importlib.util.find_spec("obstore") is None:
        return []
    import zarrs  # noqa: F401 (registers the pipeline)

    return [
        RemoteReader(
            "zarrs", of_obstore, by_threads, through("zarrs.ZarrsCodecPipeline", **{"codec_pipeline.strict": True})
        )
    ]

"""The ways in which gpuzarr and others read many regions, each as its users would make it fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import gpu, peers
from benchmarks.harness.regions import Request

CACHE_BYTES = 4 << 30
THREADS = 4
Read = Callable[[Sequence[Any], Sequence[Request]], Sequence[Any]]


@dataclass(frozen=True)
class RegionReader:
    """`open(path)` is not timed, `read(arrays, requests)` is.

    `forms`: "lists" where it takes index lists as they are, "slices" where its user makes slices of them.
    `caches`: it keeps decoded chunks. If it is `cold`, all is opened again before it is timed, and its cache is empty.
    `of_one_array`: it reads many regions, all of one array.
    """

    name: str
    open: Callable[[Path], Any]
    read: Read
    forms: tuple[str, ...] = ("lists", "slices")
    caches: bool = False
    cold: bool = False
    of_one_array: bool = False
    around: Callable[[], AbstractContextManager[Any]] = nullcontext
    host: Callable[[Any], Any] = lambda values: values


def region_readers(device: str) -> list[RegionReader]:
    return [*ours(device), *tensorstores(), *zarrs_and_zarr_python()]


def one(array: Any, key: tuple[Any, ...]) -> Any:
    """A region of an array of gpuzarr or zarr-python."""
    is_list = any(isinstance(part, np.ndarray) for part in key)
    return array.oindex[key] if is_list else array[key]


def loop(arrays: Sequence[Any], requests: Sequence[Request]) -> list[Any]:
    return [one(arrays[number], key) for number, key in requests]


@cache
def pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS)


def threads(arrays: Sequence[Any], requests: Sequence[Request]) -> list[Any]:
    return list(pool().map(lambda request: one(arrays[request[0]], request[1]), requests))


def ours(name: str) -> list[RegionReader]:
    """One call for all regions; the caller's loop; the reader; the call again, with a cache."""
    import gpuzarr

    device = gpu.device(name)

    def many(arrays: Sequence[Any], requests: Sequence[Request]) -> Sequence[Any]:
        if len(requests) == 1:
            return loop(arrays, requests)
        if len(arrays) == 1:
            return arrays[0].get_many([key for _, key in requests])
        return gpuzarr.read_many([(arrays[number], key) for number, key in requests])

    def ahead(arrays: Sequence[Any], requests: Sequence[Request]) -> list[Any]:
        return list(arrays[0].reader([key for _, key in requests]))

    def opened(**options: Any) -> Callable[[Path], Any]:
        return lambda path: gpuzarr.open_array(path, device=device, **options)

    found = [
        RegionReader(f"gpuzarr {name}", opened(), many, ("lists",)),
        RegionReader("gpuzarr loop", opened(), loop, ("slices",)),
        RegionReader("gpuzarr reader", opened(), ahead, ("lists",), of_one_array=True),
        RegionReader(f"gpuzarr {name}", opened(cache=CACHE_BYTES), many, ("lists",), caches=True),
    ]
    return [replace(each, host=device.download) for each in found] if device.gpu else found


def tensorstores() -> list[RegionReader]:
    """All reads begun, then awaited: alone, as a batch, and with a cache pool, which a batch shares."""
    if (alone := peers.tensorstore()) is None:
        return []
    import tensorstore as ts

    def cached(path: Path) -> Any:
        driver = "zarr3" if (path / "zarr.json").exists() else "zarr"
        spec = {"driver": driver, "kvstore": {"driver": "file", "path": f"{path}/"}}
        return ts.open(spec, read=True, context=ts.Context({"cache_pool": {"total_bytes_limit": CACHE_BYTES}})).result()

    def futures(arrays: Sequence[Any], requests: Sequence[Request]) -> list[Any]:
        return [future.result() for future in [arrays[number][key].read() for number, key in requests]]

    def batch(arrays: Sequence[Any], requests: Sequence[Request]) -> list[Any]:
        with ts.Batch() as together:
            begun = [arrays[number][key].read(batch=together) for number, key in requests]
        return [future.result() for future in begun]

    return [
        RegionReader("tensorstore futures", alone.open, futures),
        RegionReader("tensorstore batch", alone.open, batch),
        RegionReader("tensorstore pool", cached, futures, cold=True),
        RegionReader("tensorstore cache", cached, futures, caches=True),
    ]


def zarrs_and_zarr_python() -> list[RegionReader]:
    """A loop, and one on several threads."""
    found = [reader for reader in (peers.zarrs(), peers.zarr_fused() or peers.zarr_default()) if reader is not None]
    return [
        RegionReader(f"{reader.name}{name}", reader.open, read, around=reader.around)
        for reader in found
        for name, read in {" loop": loop, " threads": threads}.items()
    ]

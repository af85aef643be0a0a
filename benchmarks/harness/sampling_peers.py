"""Loaders of random samples: ours, and what users of Zarr have, each as its users would make it fast.

All but two deliver the samples that they are told, in that order; annbatch and insitubatch have an order of their own.
"""

from __future__ import annotations

import importlib.util
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import worker_processes
from benchmarks.harness.sampling import Job, amplification
from benchmarks.harness.worker_processes import PREFETCH, WORKERS, Item

Epoch = Callable[[int], Iterator[Any]]  # by its number: the batches
Read = Callable[[np.ndarray], np.ndarray]  # of a batch's origins
Begin = Callable[[np.ndarray], Callable[[], np.ndarray]]  # a read that goes on meanwhile; the batch, when it is there


@dataclass(frozen=True)
class Started:
    """A loader at work. `decoded()`: bytes decoded for a byte delivered in the last epoch; None where nobody knows.

    `host` copies a batch to the host, to check it.
    """

    epoch: Epoch
    decoded: Callable[[], float | None] = lambda: None
    host: Callable[[Any], np.ndarray] = lambda batch: batch


@dataclass(frozen=True)
class Loader:
    """`start(job)` opens, and begins processes. `needs`: packages. `own_order`: it does not take the job's order.

    `reads_windows`: it reads whole windows, before it delivers their samples.
    """

    name: str
    needs: tuple[str, ...]
    start: Callable[[Job], Started]
    own_order: bool = False
    reads_windows: bool = False


def ours(job: Job, origins: bool = False) -> Any:
    """The loader of gpuzarr for a job."""
    import gpuzarr
    from benchmarks.harness import gpu

    array = gpuzarr.open_array(job.path, device=gpu.device(job.device))
    shuffle = gpuzarr.BlockShuffle(
        blocks=job.blocks or ANYWHERE, block=(job.block,) * (len(job.shape) if job.edge else 1)
    )
    normalize = None if job.scale is None else {"x": (-job.offset / job.scale, 1 / job.scale)}
    return gpuzarr.Loader(
        {"x": array},
        job.batch,
        sample=gpuzarr.Patch(job.sample_shape, stride="random", samples=job.samples) if job.edge else "rows",
        shuffle=shuffle,
        drop_last=True,
        normalize=normalize,
        memory_limit=job.memory,
        origins=origins,
    )


ANYWHERE = 1 << 20  # blocks: all that there are


def order(job: Job) -> np.ndarray:
    """Origins of the samples of epoch 0, in the order in which our loader has them."""
    with ours(job, origins=True) as loader:
        return np.concatenate([batch["origins"][:, 1:] for batch in loader])


def start_ours(job: Job) -> Started:
    from benchmarks.harness import gpu

    loader = ours(job)

    def epoch(number: int) -> Iterator[Any]:
        loader.set_epoch(0)
        return (batch["x"] for batch in loader)

    device = gpu.device(job.device)
    host = device.download if device.gpu else np.asarray
    return Started(epoch, lambda: loader.last_epoch.asdict()["amplification"], host)


@dataclass
class Samples:
    """A dataset whose items are batches. Arrays are opened anew in each epoch, so nothing decoded is kept from one."""

    job: Job
    open: Callable[[Job], Read]
    epoch: int = -1
    read: Read | None = None

    def __getitem__(self, item: Item) -> np.ndarray:
        number, origins = item
        if self.read is None or number != self.epoch:
            self.read, self.epoch = self.open(self.job), number
        return self.job.normal(self.read(origins))


def in_processes(deal: Any, open_array: Callable[[Job], Read], keeps: bool, job: Job) -> Started:
    """Batches that are read by worker processes."""
    batches = job.batches()
    amplified = amplification(job, batches)
    return Started(deal(Samples(job, open_array), batches), lambda: None if keeps else amplified)


def zarr_python(job: Job) -> Read:
    """zarr-python with its fused pipeline, where it has one: rows by a sorted list, crops one after another."""
    import zarr
    import zarr.core.codec_pipeline as pipelines

    if hasattr(pipelines, "FusedCodecPipeline"):
        zarr.config.set({"codec_pipeline.path": "zarr.core.codec_pipeline.FusedCodecPipeline"})
    array: Any = zarr.open_array(job.path, mode="r")

    def rows(origins: np.ndarray) -> np.ndarray:
        numbers = origins[:, 0]
        ascending = np.argsort(numbers)
        batch = np.empty((len(origins), *job.sample_shape), array.dtype)
        batch[ascending] = array.oindex[numbers[ascending]]
        return batch

    def crops(origins: np.ndarray) -> np.ndarray:
        batch = np.empty((len(origins), *job.sample_shape), array.dtype)
        for sample, origin in zip(batch, origins.tolist(), strict=True):
            sample[...] = array[job.slices(origin)]
        return batch

    return crops if job.edge else rows


def tensorstore(job: Job, memory: int = 0) -> Begin:
    """All reads of a batch at once, into one array; with a cache pool of so many bytes."""
    import tensorstore as ts

    driver = "zarr3" if Path(job.path, "zarr.json").exists() else "zarr"
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": f"{job.path}/"}}
    context = ts.Context({"cache_pool": {"total_bytes_limit": memory}})
    array: Any = ts.open(spec, read=True, context=context).result()

    def rows(origins: np.ndarray) -> Callable[[], np.ndarray]:
        ascending = np.argsort(origins[:, 0])
        places = np.argsort(ascending)
        future = array[origins[ascending, 0]].read()
        return lambda: future.result()[places]

    def crops(origins: np.ndarray) -> Callable[[], np.ndarray]:
        whole = (0,) * origins.shape[1]
        future = ts.stack([array[job.slices(each)].translate_to[whole] for each in origins.tolist()]).read()
        return lambda: future.result()

    return crops if job.edge else rows


def at_once(job: Job, keeps: bool = False) -> Read:
    """As a worker of a DataLoader reads: begun, and awaited; it has its part of the memory."""
    begin = tensorstore(job, job.memory // WORKERS if keeps else 0)
    return lambda origins: begin(origins)()


def ahead(keeps: bool, job: Job) -> Started:
    """Batches read in this process, some at once, by tensorstore's own threads."""
    batches, chunks = job.batches(), [0]
    amplified = amplification(job, batches)

    def epoch(number: int) -> Iterator[np.ndarray]:
        before = chunks_read()
        begin, going = tensorstore(job, job.memory if keeps else 0), deque[Callable[[], np.ndarray]]()
        for origins in batches:
            going.append(begin(origins))
            if len(going) > PREFETCH:
                yield job.normal(going.popleft()())
        while going:
            yield job.normal(going.popleft()())
        chunks[0] = chunks_read() - before

    return Started(epoch, lambda: job.decoded(chunks[0]) if keeps else amplified)


def chunks_read() -> int:
    """How often tensorstore read a chunk, or the index of a shard, that its pool had not."""
    import tensorstore as ts

    found = ts.experimental_collect_matching_metrics("/tensorstore/cache/kvs_cache_read")
    return sum(each["value"] for metric in found for each in metric["values"] if each["category"] == "changed")


def annbatch(job: Job) -> Started:
    """annbatch over zarrs, as its documents want it: blocks of rows as long as chunks, as many as our window has."""
    import annbatch as package
    import zarr
    import zarrs  # noqa: F401 (registers the pipeline)

    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})

    def epoch(number: int) -> Iterator[np.ndarray]:
        array = zarr.open_array(job.path, mode="r")
        loader: Any = package.Loader(
            chunk_size=job.chunks[0],
            preload_nchunks=job.blocks or array.cdata_shape[0],
            batch_size=job.batch,
            shuffle=True,
            drop_last=True,
            rng=np.random.default_rng(number),
        )
        loader.add_dataset(array)
        return (batch["X"] for batch in loader)

    return Started(epoch)


def insitubatch(job: Job) -> Started:
    """insitubatch over obstore, with blocks of as many rows as our window has."""
    import insitubatch as package

    store = package.obstore_store(f"file://{Path(job.path).parent}")
    geometries = package.open_geometries(store, variables=[Path(job.path).name])
    [geometry] = geometries.values()
    rows = (job.blocks or geometry.n_chunks) * job.chunks[0]
    manifest = package.split_by_chunk(geometry, fractions=(1.0, 0.0, 0.0))
    dataset: Any = package.InSituDataset(
        store,
        manifest,
        geometries=geometries,
        batch_size=job.batch,
        block_chunks=max(1, rows // geometry.sample_chunk_size),
    )

    def epoch(number: int) -> Iterator[np.ndarray]:
        dataset.set_epoch(number)
        return (batch.arrays[Path(job.path).name] for batch in dataset.train)

    return Started(epoch)


def each_way(name: str, needs: tuple[str, ...], open_array: Callable[[Job], Read], keeps: bool = False) -> list[Loader]:
    """In the workers of torch's DataLoader, and in those without torch."""
    ways = {f"{WORKERS} workers of torch": ("torch",), f"{WORKERS} processes": ()}
    deals = worker_processes.with_torch, worker_processes.without_torch
    return [
        Loader(f"{name} in {way}", (*needs, *more), partial(in_processes, deal, open_array, keeps))
        for (way, more), deal in zip(ways.items(), deals, strict=True)
    ]


LOADERS: Sequence[Loader] = (
    Loader("gpuzarr", ("gpuzarr",), start_ours, reads_windows=True),
    *each_way("zarr-python", ("zarr",), zarr_python),
    *each_way("tensorstore", ("tensorstore",), at_once),
    *each_way("tensorstore cached", ("tensorstore",), partial(at_once, keeps=True), keeps=True),
    Loader("tensorstore ahead", ("tensorstore",), partial(ahead, False)),
    Loader("tensorstore cached ahead", ("tensorstore",), partial(ahead, True)),
    Loader("annbatch", ("annbatch", "zarrs"), annbatch, own_order=True, reads_windows=True),
    Loader("insitubatch", ("insitubatch", "obstore"), insitubatch, own_order=True, reads_windows=True),
)
OF_ROWS = ("annbatch", "insitubatch")  # they have no crops


def loaders() -> list[Loader]:
    """Those whose packages are there."""
    return [each for each in LOADERS if all(importlib.util.find_spec(name) for name in each.needs)]

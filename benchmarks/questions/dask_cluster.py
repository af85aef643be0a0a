"""Sum, rechunk and write a store with several processes: dask arrays of gpuzarr on a cluster of this machine.

What it does works the same on a cluster of many machines that see the same store: give `Client` the address of its
scheduler. With GPUs: `dask_cuda.LocalCUDACluster(threads_per_worker=1)`, and arrays opened with `device="cuda"`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import dask.array as da
from distributed import Client, LocalCluster

import gpuzarr


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--days", type=int, default=384, help="of a field of 256 x 256 (default 384: 100 MB)")
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(n_workers=options.workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        print(f"{len(client.scheduler_info()['workers'])} workers")
        run(Path(folder), options.days)


def run(folder: Path, days: int) -> None:
    """The work of the script. Whatever computes, `compute()` or `from_dask`, uses the client that was made last."""
    began = time.perf_counter()
    random = da.random.default_rng(0).random((days, 256, 256), dtype="f4", chunks=(32, 256, 256))
    maps = gpuzarr.from_dask(random, folder / "maps.zarr", chunks=(1, 256, 256), shards=(32, 256, 256))
    print(f"written: {maps.shape}, shards {maps.shards}: each task writes one of these")

    x = gpuzarr.to_dask(maps)  # each block is a shard
    total = float(x.sum(dtype="f8").compute())
    print(f"sum: {total:.1f}, a mean of {total / maps.size:.4f}")

    series = gpuzarr.from_dask(
        x.rechunk((-1, 64, 64)), folder / "series.zarr", chunks=(days, 8, 8), shards=(days, 64, 64)
    )
    same = float(gpuzarr.to_dask(series).sum(dtype="f8").compute())
    print(f"rechunked: {series.shape}, chunks {series.chunks}; its sum is {'the same' if same == total else same}")
    print(f"{time.perf_counter() - began:.1f} seconds")


if __name__ == "__main__":
    main()

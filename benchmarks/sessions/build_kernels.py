"""Compile all kernels for one GPU, once and in one process, to the cache where gpuzarr looks for compiled ones.

Else every process that starts at the same time compiles the same files. A cache that was filled on another machine
(`--arch sm_90`; the variable XDG_CACHE_HOME says where) can be taken from: `--compiled` is its folder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gpuzarr.devices import kernels
from gpuzarr.devices.select import device


def architecture() -> str:
    """Of the first GPU."""
    return f"sm_{device('cuda').xp.cuda.Device(0).compute_capability}"


def build(arch: str, jobs: int) -> float:
    """Seconds that it took."""
    begin = time.monotonic()
    kernels.nvrtc()
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda each: kernels.cubin(each[0], arch, each[1]), kernels.variants()))
    return time.monotonic() - begin


def take(folder: Path, cache: Path) -> int:
    """Copy what was compiled elsewhere, and how many. Names hold all that a file depends on: those of other sources or
    of another compiler are never asked for."""
    cache.mkdir(parents=True, exist_ok=True)
    files = [file for file in folder.glob("*.cubin") if not (cache / file.name).exists()]
    for file in files:
        shutil.copy(file, cache)
    return len(files)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", help="sm_90 and so on (default: that of the first GPU)")
    parser.add_argument("--compiled", type=Path, help="take first what is in this folder")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="files at once")
    options = parser.parse_args(arguments)
    if options.compiled:
        print(f"{take(options.compiled, kernels.cache_folder())} files were taken from {options.compiled}")
    seconds = build(options.arch or architecture(), options.jobs)
    print(f"{len(kernels.variants())} files in {kernels.cache_folder()}, after {seconds:.1f} seconds")


if __name__ == "__main__":
    main()

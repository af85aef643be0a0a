"""What does the first read of a process wait for, and what of it does `gpuzarr.warmup()` take away?

Every line is a process of its own. Cold: no compiled kernel is kept on disk. CUDA loads modules lazily or eagerly.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import gpuzarr
from benchmarks.harness import gpu, timing
from benchmarks.probes import report
from benchmarks.probes.child import ROOT

VARIANTS = (  # name, how CUDA loads modules, whether compiled kernels are kept, whether warmup() goes first
    ("cold", "LAZY", False, False),
    ("kept", "LAZY", True, False),
    ("kept, eager", "EAGER", True, False),
    ("kept, warmup()", "LAZY", True, True),
)
CODECS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("zstd", {}),
    ("lz4", {}),
    ("zlib", {}),
    ("gzip", {}),
    ("blosc", {"cname": "lz4", "shuffle": 1, "typesize": 4}),
)


def stages(name: str, warm: bool) -> dict[str, float]:
    """In this process: milliseconds of each step, in order."""
    found: dict[str, float] = {}

    def step(what: str, run: Callable[[], Any]) -> Any:
        before = time.perf_counter()
        made = run()
        found[what] = round((time.perf_counter() - before) * 1e3, 2)
        return made

    def started(device: Any) -> Any:
        device.download(device.upload(np.zeros(1, np.uint8)))
        return device

    if name.startswith("cuda"):
        step("import cupy", lambda: import_module("cupy"))
    device = step("device", lambda: started(gpu.device(name)))
    if warm:
        step("warmup()", lambda: gpuzarr.warmup(device))
    arrays = {codec: stored(codec, how, device) for codec, how in CODECS}
    for codec, array in arrays.items():
        step(f"first {codec}", lambda array=array: device.download(array[...]))
    for codec, array in arrays.items():
        step(f"second {codec}", lambda array=array: device.download(array[...]))
    return found


def stored(codec: str, how: dict[str, Any], device: Any) -> Any:
    """A small array in memory."""
    store: dict[str, bytes] = {}
    gpuzarr.create_array(
        store,
        data=np.arange(1 << 16, dtype="f4").reshape(64, -1),
        chunks=(16, 1024),
        zarr_format=2,
        compressors={"id": codec, **how},
        device="cpu",
    )
    return gpuzarr.open_array(store, device=device)


def process(options: Any, loading: str, warm: bool, cache: Path, limit: float) -> dict[str, float]:
    """`stages` of a new process, and what it took in all; of `limit` seconds at most."""
    kept = (
        {}
        if options.tiny
        else {
            "XDG_CACHE_HOME": str(cache),
            "CUPY_CACHE_DIR": str(cache / "cupy"),
            "CUDA_CACHE_PATH": str(cache / "cuda"),
        }
    )
    command = [sys.executable, "-m", "benchmarks.probes.first_use", "--child", "--device", options.device]
    before = time.perf_counter()
    done = subprocess.run(
        [*command, *(["--warm"] if warm else [])],
        cwd=ROOT,
        env={**os.environ, **kept, "CUDA_MODULE_LOADING": loading},
        stdout=subprocess.PIPE,
        text=True,
        timeout=limit,
        check=True,
    )
    whole = round((time.perf_counter() - before) * 1e3, 1)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found | {"whole process": whole}


def main(arguments: list[str] | None = None) -> None:
    parser = report.parser("first_use", __doc__)
    parser.add_argument("--child", action="store_true", help="be one of the processes")
    parser.add_argument("--warm", action="store_true", help="of one of the processes: warmup() goes first")
    options = parser.parse_args(arguments)
    if options.child:
        return print(json.dumps(stages(options.device, options.warm)))
    found: dict[str, list[dict[str, float]]] = {name: [] for name, *_ in VARIANTS}
    failed: list[str] = []
    end = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory() as kept:
        for _ in range(min(options.repeats, 1 if options.tiny else 3)):
            for name, loading, keeps, warm in VARIANTS[1::2] if options.tiny else VARIANTS:
                if (limit := end - time.monotonic()) > 1:
                    with tempfile.TemporaryDirectory() as fresh:
                        one = partial(process, options, loading, warm, Path(kept if keeps else fresh), limit)
                        found[name] += filter(None, [timing.tried(name, failed, one)])
    ran = {name: runs for name, runs in found.items() if runs}
    steps = list(dict.fromkeys(step for runs in ran.values() for step in runs[0]))
    rows = [
        [step, *(f"{median(run[step] for run in runs):.1f}" if step in runs[0] else "-" for runs in ran.values())]
        for step in steps
    ]
    print(timing.table(["milliseconds", *ran], rows))
    report.finish("first_use", options, milliseconds=ran, failed=failed)


if __name__ == "__main__":
    main()

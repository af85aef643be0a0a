"""A process that may open few files: what it can do with many, it can do with 40, only slower."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.data import environ

FEW = 40
CODE = """
import os, resource, sys, threading
import numpy as np
import gpuzarr
from tests import hardware

path, device, taken = sys.argv[1], hardware.DEVICES[sys.argv[2]](), int(sys.argv[3])
VALUES = np.arange(96 * 96, dtype="i4").reshape(96, 96) + 1
KINDS = {
    "chunks": {"chunks": (8, 8)},
    "large": {"chunks": (8, 8), "compressors": None},
    "shards": {"chunks": (4, 4), "shards": (8, 8)},
    "v2": {"chunks": (8, 8), "zarr_format": 2},
}

def host(values):
    return np.asarray(values.get() if hasattr(values, "get") else values)

def work(name, kind):
    store = f"{path}/{name}"
    a = gpuzarr.create_array(store, name="a", shape=(96, 96), dtype="i4", device=device, **KINDS[kind])
    a[...] = VALUES
    a[3:77, 5:91] = VALUES[3:77, 5:91]  # more locks than files may be open
    with a.writer() as w:
        for i in range(0, 96, 4):  # many shards are open
            w[i : i + 4] = VALUES[i : i + 4] + 1
    assert (host(a[...]) == VALUES + 1).all() and (host(a[::3, 5]) == VALUES[::3, 5] + 1).all()
    a.append(VALUES[:5])
    a.resize((50, 96))
    a.attrs["k"] = name
    g = gpuzarr.open(store, mode="r+", device=device)
    assert g.tree() and (host(g["a"][40:]) == VALUES[40:50] + 1).all() and g["a"].nbytes_stored()
    g["b"] = VALUES[:8]
    gpuzarr.consolidate_metadata(store)
    del g["a"]
    assert list(gpuzarr.open(store, consolidated=False)) == ["b"]

for kind in KINDS:
    work(f"before {kind}", kind)  # compiles, imports
before = set(os.listdir("/proc/self/fd"))
taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(taken)]
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
errors = []

def attempt(number, kinds=tuple(KINDS)):
    try:
        for kind in kinds:
            work(f"{number} {kind}", kind)
    except BaseException as error:
        errors.append(error)
        raise

attempt("alone")
halves = list(KINDS)[::2], list(KINDS)[1::2]
threads = [threading.Thread(target=attempt, args=[i, halves[i % 2]]) for i in range(int(sys.argv[4]))]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
[os.close(file) for file in taken]
left = set(os.listdir("/proc/self/fd")) - before
hidden = [name for _, _, names in os.walk(path) for name in names if name.endswith((".partial", ".lock"))]
assert not errors and not hidden, (errors, hidden)
print("done", len(left))
"""


def run(code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environ(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted by /proc")
@pytest.mark.parametrize(("device", "taken", "threads"), [("cpu", 0, 6), ("cpu", 10, 2), ("emulated", 0, 4)])
def test_all_works(device: str, taken: int, threads: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert run(CODE, tmp_path_factory.mktemp("few"), device, taken, threads).startswith("done")

"""What is promised when things go wrong: a kill at any moment, neighbours, a full disk, no permission."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import gpuzarr
from tests.data import environ, partial_files
from tests.small_process import FROM_A_SMALL_ONE
from tests.write.forever import write_forever

FORK = multiprocessing.get_context("fork")
KILLS = 60  # of each of two layouts


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """Two at a time, each on its own array, as each spends most of its life asleep."""
    paths = [tmp_path / "plain", tmp_path / "shards"]
    some = {"shape": (80, 80), "dtype": "i4", "chunks": (20, 20), "attributes": {"kept": 1}}
    for path, shards in zip(paths, (None, (40, 40)), strict=True):
        gpuzarr.create_array(path, shards=shards, **some)
    moments, left, begun = random.Random(1), dict.fromkeys(paths, 0), FROM_A_SMALL_ONE.Semaphore(0)
    for number in range(KILLS):
        children = [FROM_A_SMALL_ONE.Process(target=write_forever, args=(str(p), number << 12, begun)) for p in paths]
        for child in children:
            child.start()
        assert all(begun.acquire(timeout=60) for _ in children)
        killed(children, [moments.uniform(0.002, 0.04) for _ in children])
        for path in paths:
            values = of_whole_chunks(path)
            if number % 10 == 0:
                np.testing.assert_array_equal(zarr.open_array(path, mode="r")[...], values)
            left[path] = max(left[path], len(partial_files(path)))
    for path in paths:
        a = gpuzarr.open_array(path, mode="r+", device="cpu")
        assert left[path] and a.attrs["last"] > KILLS, "those killed were at work"
        subprocess.run([sys.executable, "-c", WRITE_ONCE, str(path)], check=True, env=environ())
        assert (a[...] == -1).all() and not partial_files(path), f"{left[path]} were left by those killed"


def killed(children: list[Any], moments: list[float]) -> None:
    """Kill each at its moment, in seconds from now."""
    now = 0.0
    for moment, child in sorted(zip(moments, children, strict=True), key=lambda pair: pair[0]):
        time.sleep(moment - now)
        os.kill(child.pid, signal.SIGKILL)
        now = moment
    for child in children:
        child.join(60)
        assert child.exitcode == -signal.SIGKILL


def of_whole_chunks(path: Path) -> np.ndarray:
    """The values of an array, of whose chunks none is half old and half new."""
    a = gpuzarr.open_array(path, device="cpu")
    assert a.attrs["kept"] == 1
    values = a[...]
    for i in range(0, 80, 20):
        for j in range(0, 80, 20):
            inner = values[max(i, 3) : min(i + 20, 77), max(j, 5) : min(j + 20, 75)]
            assert inner.min() == inner.max(), "a chunk is half old and half new"
    return values


WRITE_ONCE = """
import sys, gpuzarr
a = gpuzarr.open_array(sys.argv[1], mode="r+", device="cpu")
a[...] = -1
a.attrs["last"] = 0
"""


def write_rows(path: str, rank: int, workers: int, safe: bool) -> None:
    a = gpuzarr.open_array(path, mode="r+", device="cpu", config={"safe": safe})
    for row in range(rank, a.shape[0], workers):
        a[row] = row + 1


def in_processes(work: Any, arguments: list[tuple[Any, ...]]) -> list[int | None]:
    children = [FORK.Process(target=work, args=some) for some in arguments]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    return [child.exitcode for child in children]


@pytest.mark.parametrize("shards", [None, (32, 16)])
def test_eight_processes_lose_nothing(shards: Any, tmp_path: Path) -> None:
    """Disjoint rows that share chunks and shards; where each write is a read, a change and a write."""
    a = gpuzarr.create_array(tmp_path, shape=(64, 16), dtype="i4", chunks=(8, 8), shards=shards, device="cpu")
    assert in_processes(write_rows, [(str(tmp_path), rank, 8, True) for rank in range(8)]) == [0] * 8
    np.testing.assert_array_equal(a[...], np.repeat(np.arange(1, 65)[:, None], 16, axis=1))
    assert not [file for file in tmp_path.rglob(".*") if file.name.endswith((".lock", ".partial"))]


@pytest.mark.parametrize("store", ["folder", "dict"])
def test_threads_lose_nothing(store: str, tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path if store == "folder" else {}, shape=(64,), dtype="i4", chunks=(16,), device="cpu")
    threads = [threading.Thread(target=a.__setitem__, args=(i, i + 1)) for i in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(a[...], np.arange(1, 65))


def test_whole_shards_for_each_worker_need_no_lock(tmp_path: Path) -> None:
    for shape, workers in [((20, 30), 4), ((7,), 3), ((5, 5, 5), 200), ((), 2)]:
        a = gpuzarr.create_array({}, shape=shape, dtype="i1", chunks=(2,) * len(shape), shards=(4,) * len(shape))
        seen = np.zeros(shape, int)
        for rank in range(workers):
            for region in a.shard_slices(rank, workers):
                seen[region] += 1
                assert all(s.start % 4 == 0 for s in region)
        assert (seen == 1).all()
    with pytest.raises(ValueError, match="rank"):
        a.shard_slices(2, 2)


def create(path: str, dtype: str) -> None:
    try:
        gpuzarr.create_array(path, name="a/b", shape=(10,), dtype=dtype, chunks=(5,))
    except gpuzarr.ExistsError:
        os._exit(3)


def test_racing_creators(tmp_path: Path) -> None:
    assert in_processes(create, [(str(tmp_path / "same"), "i4")] * 6) == [0] * 6
    codes = in_processes(create, [(str(tmp_path / "other"), dtype) for dtype in ("i4", "f8") * 3])
    assert codes in ([0, 3] * 3, [3, 0] * 3)
    assert gpuzarr.open(tmp_path / "other")["a/b"].shape == (10,)


def test_overwriting_leaves_nothing_of_the_old(tmp_path: Path) -> None:
    old = gpuzarr.create_array(tmp_path / "x", data=np.arange(8, dtype="i4"), chunks=(2,))
    with pytest.raises(FileExistsError, match="another array"):
        gpuzarr.create_array(tmp_path / "x", shape=(8,), dtype="f4", chunks=(2,))
    assert (old[...] == np.arange(8)).all()
    for zarr_format in (2, 3):
        new = gpuzarr.create_array(
            tmp_path / "x", shape=(8,), dtype="f4", chunks=(2,), overwrite=True, zarr_format=zarr_format
        )
        assert (new[...] == 0).all() and gpuzarr.open(tmp_path / "x").zarr_format == zarr_format
        new[...] = 1
    gpuzarr.open(tmp_path / "x", mode="w")
    assert [file.name for file in (tmp_path / "x").rglob("*")] == ["zarr.json"]


def test_a_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the write fails, what was there stays."""
    a = gpuzarr.create_array(tmp_path, data=np.ones((64, 64)), chunks=(64, 64), compressors=None, device="cpu")
    script = f"""
import resource, signal, numpy as np, gpuzarr
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
a = gpuzarr.open_array({str(tmp_path)!r}, mode="r+", device="cpu")
resource.setrlimit(resource.RLIMIT_FSIZE, (10000, 10000))
try:
    a[...] = 2
except gpuzarr.StoreError as error:
    assert "c/0/0" in str(error) and error.errno, error
else:
    raise SystemExit("no error")
"""
    subprocess.run([sys.executable, "-c", script], check=True, env=environ())
    assert (a[...] == 1).all() and not partial_files(tmp_path)


FILL_THE_DISK = """
import errno, sys, numpy as np, gpuzarr
from pathlib import Path
disk = Path(sys.argv[1])
layout = {"chunks": (40000,), "compressors": None, "device": "cpu"}
kept = gpuzarr.create_array(disk, name="kept", data=np.ones(160000, "i4"), **layout)
for shards in (None, (160000,)):
    more = gpuzarr.create_array(disk, name=f"more{shards}", shape=(160000,), dtype="i4", shards=shards, **layout)
    try:
        more[...] = 2
    except gpuzarr.StoreError as error:
        assert error.errno == errno.ENOSPC and "more" in str(error), error
    else:
        raise SystemExit("no error")
    assert set(np.unique(more[...])) <= {0, 2} and (kept[...] == 1).all()
    assert not [file for file in disk.rglob(".*") if file.name.endswith(".partial")]
    del gpuzarr.open_group(disk, mode="r+")[f"more{shards}"]
for i in range(0, 160000, 40000):  # one after another: there is room for two more chunks
    kept[i : i + 40000] = 3
assert (kept[...] == 3).all()
"""


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """A file system of 1 MiB, which only the child sees."""
    mount = f"mount -t tmpfs -o size=1m none {tmp_path}"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    command = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$0" "$@"', sys.executable, "-c", FILL_THE_DISK]
    subprocess.run([*command, str(tmp_path)], check=True, env=environ())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path / "a", data=np.ones(4), device="cpu")
    (tmp_path / "a/c").chmod(0o500)
    with pytest.raises(gpuzarr.StoreError, match=r"cannot write 'c/0'"):
        a[...] = 2
    (tmp_path / "a/c").chmod(0o700)
    assert (a[...] == 1).all()


def test_what_cannot_be_written(tmp_path: Path) -> None:
    a = gpuzarr.create_array(tmp_path, data=np.ones((4, 4)), chunks=(2, 2), device="cpu")
    (tmp_path / "c/0/0").unlink()
    (tmp_path / "c/0/0").mkdir()
    (tmp_path / "c/0/0/x").touch()
    with pytest.raises(gpuzarr.StoreError, match="'c/0/0'"):
        a[...] = 2
    assert not partial_files(tmp_path)
    from types import MappingProxyType

    files: dict[str, bytes] = {}
    gpuzarr.create_array(files, data=np.ones(4))
    with pytest.raises(gpuzarr.ReadOnlyError, match="cannot be changed"):
        gpuzarr.open_array(MappingProxyType(files), mode="r+")


def test_memory_of_a_sharded_write_is_bounded(tmp_path: Path) -> None:
    """Shards go to the store as they are encoded: half a gigabyte is written with little memory beside the value."""
    script = f"""
import resource, numpy as np, gpuzarr
layout = {{"chunks": 1 << 20, "shards": 1 << 28, "compressors": None}}
a = gpuzarr.create_array({str(tmp_path)!r}, shape=(1 << 29,), dtype="u1", **layout)
a[: 1 << 20] = 1
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
a[...] = np.broadcast_to(np.uint8(1), a.shape)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, env=environ(), capture_output=True, text=True)
    assert int(done.stdout) < 80 << 10  # KiB

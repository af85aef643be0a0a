"""Files straight into the memory of a GPU, by kvikio, where cuFile really does that (GPUDirect Storage).

kvikio is imported only here, and only by who has found a driver. Not yet run on a GPU. kvikio's own POSIX mode
("compat mode") is never used: reading into pinned memory is what we do ourselves. A kvikio future holds neither its
buffer nor its file, so both are kept here until it is done; kvikio orders nothing on a stream, so `place` must give
memory that nobody uses any more.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from gpuzarr.batch import EncodedBatch
from gpuzarr.errors import StoreError
from gpuzarr.stores.contract import Requests

KEPT = 256  # open files: to register one with cuFile takes longer than to read it
SECONDS = 10.0  # in which another process must have opened a file; most of it is for importing kvikio
_TRIAL = """
import sys, kvikio, kvikio.defaults
with kvikio.defaults.set({"compat_mode": kvikio.CompatMode.OFF}):
    kvikio.CuFile(sys.argv[1], "r").close()
"""


@lru_cache(maxsize=256)
def why_not(root: str) -> str | None:
    """None where the files of folder `root` can be read straight into the memory of a GPU; else why not. Asked once."""
    if not find_spec("kvikio"):
        return "kvikio is not installed: pip install gpuzarr[cuda13] (or gpuzarr[cuda12])"
    try:
        import kvikio.cufile_driver

        if not kvikio.cufile_driver.get("is_gds_available"):
            return "the kernel module of GPUDirect Storage (nvidia-fs) is not loaded"
        path = next(os.path.join(folder, names[0]) for folder, _, names in os.walk(root) if names)
        if problem := _tried(path):
            return f"cuFile does not work in {root!r} ({problem})"
        with FILES.open(path):
            return None  # of a file system that it does not know cuFile would have refused it
    except StopIteration:
        return f"there is no file in {root!r}"
    except Exception as error:  # no libcufile, an old driver, another file system: kvikio raises several kinds
        return f"cuFile does not work in {root!r} ({error})"


_FOUND: dict[int, str] = {}  # by file system


def _tried(path: str) -> str:
    """Why another process could not open this file by cuFile; "" if it could. Asked once a file system.

    Where cuFile cannot start, opening a file may never return; here it would hold the lock of all files as well.
    """
    number = os.stat(path).st_dev
    if number not in _FOUND:
        _FOUND[number] = _opened_apart(path)
    return _FOUND[number]


def _opened_apart(path: str) -> str:
    command = [sys.executable, "-c", _TRIAL, path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        done = subprocess.run(command, env=environment, timeout=SECONDS, text=True, capture_output=True)
    except subprocess.TimeoutExpired:
        return f"it did not open a file within {SECONDS:.0f} seconds"
    said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return f"a trial ended with status {done.returncode}: {said}" if done.returncode else ""


class Files:
    """Files that are registered with cuFile, the last used ones kept. Used by many threads."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[str, tuple[Any, Any]] = OrderedDict()  # path -> version and file; not in use
        self._lock = threading.Lock()

    @contextmanager
    def open(self, path: str) -> Any:
        """The file, for the caller alone; FileNotFoundError and others as `os.stat`."""
        status = os.stat(path)
        version = status.st_ino, status.st_size, status.st_mtime_ns
        with self._lock:
            found, file = self._kept.pop(path, (None, None))
        if found != version:
            if file is not None:
                file.close()
            file = _registered(path)
        try:
            yield file
        finally:
            self._keep(path, version, file)

    def _keep(self, path: str, version: Any, file: Any) -> None:
        with self._lock:
            old = self._kept.pop(path, None)  # of a thread that had it too
            self._kept[path] = version, file
            closing = [old] if old else []
            while len(self._kept) > self._most:
                closing.append(self._kept.popitem(last=False)[1])
        for _, other in closing:
            other.close()

    def clear(self) -> None:
        """Close those that nobody uses."""
        with self._lock:
            files, self._kept = self._kept, OrderedDict()
        for _, file in files.values():
            file.close()


FILES = Files()
_OPENING = threading.Lock()


def _registered(path: str) -> Any:
    """With kvikio's POSIX mode off, so that it fails or is direct.

    That is a setting of the process: one thread at a time, or the one that is done first would put it back too early,
    and the last one put it back to what the others had set.
    """
    import kvikio
    import kvikio.defaults

    with _OPENING, kvikio.defaults.set({"compat_mode": kvikio.CompatMode.OFF}):
        return kvikio.CuFile(path, "r")


def read(store: object, paths: Sequence[str], requests: Requests, into: EncodedBatch) -> EncodedBatch:
    """Read files into `into`, which lies in the memory of a GPU, as `Objects.read` does into that of the host."""
    columns = requests.objects.tolist(), requests.offsets.tolist(), requests.sizes.tolist()
    with ExitStack() as files:
        opened: dict[int, Any] = {}
        pending: list[tuple[Any, Any, int, int]] = []
        try:
            for j, (number, offset, size) in enumerate(zip(*columns, strict=True)):
                if size:
                    if number not in opened:
                        opened[number] = files.enter_context(FILES.open(paths[number]))
                    buffer = into[j]
                    pending.append((opened[number].pread(buffer, size, offset), buffer, number, size))
            for future, _, number, size in pending:
                if (done := future.get()) != size:
                    path = paths[number]
                    raise StoreError(f"{path!r} became shorter while it was read: {done} bytes of {size}")
        except (OSError, RuntimeError) as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"cannot read from {store!r} by cuFile: {error}") from error
        finally:
            _wait(pending)
    return requests.ranges(into)


def _wait(pending: list[tuple[Any, Any, int, int]]) -> None:
    """Until nothing is written to the buffers any more, whatever went wrong."""
    for future, *_ in pending:
        try:
            future.get()
        except Exception:  # the first was raised already
            continue

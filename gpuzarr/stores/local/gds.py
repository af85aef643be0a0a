"""Read files straight into the memory of a GPU (GPUDirect Storage), by kvikio, where cuFile really does that.

kvikio is imported only here, and only after a driver was found. Its POSIX mode ("compat mode") is never used, because
we read into pinned memory ourselves. A kvikio future holds neither its buffer nor its file, so both are held here until
it is done. kvikio orders nothing on a stream, so the target must be memory that no stream uses any more.
"""

from __future__ import annotations

import os
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
from gpuzarr.stores.ranges import Requests

MAX_KEPT_FILES = 256  # that stay open: registering a file with cuFile takes longer than reading it
TRIAL_SECONDS = 10.0  # for another process to open a file; most of them are for importing kvikio
_TRIAL = """
import sys, kvikio, kvikio.defaults
with kvikio.defaults.set({"compat_mode": kvikio.CompatMode.OFF}):
    kvikio.CuFile(sys.argv[1], "r").close()
"""


@lru_cache(maxsize=256)
def why_not(root: str) -> str | None:
    """Say why files of folder `root` cannot be read straight into the memory of a GPU; None if they can. Asked once."""
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
            return None  # cuFile would have refused a file system that it does not support
    except StopIteration:
        return f"there is no file in {root!r}"
    except Exception as error:  # no libcufile, an old driver, another file system: kvikio has several kinds
        return f"cuFile does not work in {root!r} ({error})"


_FOUND: dict[int, str] = {}  # by file system


def _tried(path: str) -> str:
    """Say why another process could not open this file by cuFile; "" if it could. Asked once for each file system.

    Where cuFile cannot start, opening a file may never return. In this process it would also hold the lock of all
    files.
    """
    number = os.stat(path).st_dev
    if number not in _FOUND:
        _FOUND[number] = _opened_apart(path)
    return _FOUND[number]


def _opened_apart(path: str) -> str:
    import subprocess  # slow to import, and only needed here

    command = [sys.executable, "-c", _TRIAL, path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    try:
        done = subprocess.run(command, env=environment, timeout=TRIAL_SECONDS, text=True, capture_output=True)
    except subprocess.TimeoutExpired:
        return f"it did not open a file within {TRIAL_SECONDS:.0f} seconds"
    said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return f"a trial ended with status {done.returncode}: {said}" if done.returncode else ""


class Files:
    """Files registered with cuFile, of which the last used ones stay open. Many threads may use it at once."""

    def __init__(self, most: int = MAX_KEPT_FILES) -> None:
        self._most = most
        self._kept: OrderedDict[str, tuple[Any, Any]] = OrderedDict()  # path -> version and file, if it is not in use
        self._lock = threading.Lock()

    @contextmanager
    def open(self, path: str) -> Any:
        """Context with the file, for this caller alone. FileNotFoundError and others as for `os.stat`."""
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
            old = self._kept.pop(path, None)  # another thread had opened it too
            self._kept[path] = version, file
            closing = [old] if old else []
            while len(self._kept) > self._most:
                closing.append(self._kept.popitem(last=False)[1])
        for _, other in closing:
            other.close()

    def clear(self) -> None:
        """Close all files that are not in use."""
        with self._lock:
            files, self._kept = self._kept, OrderedDict()
        for _, file in files.values():
            file.close()


FILES = Files()
_OPENING = threading.Lock()


def _registered(path: str) -> Any:
    """Open a file with kvikio's POSIX mode off, so that it is read directly or fails.

    The mode is a setting of the whole process, so one thread at a time changes it: of two, the first to end would
    restore it too early, and the second would restore what the first had set.
    """
    import kvikio
    import kvikio.defaults

    with _OPENING, kvikio.defaults.set({"compat_mode": kvikio.CompatMode.OFF}):
        return kvikio.CuFile(path, "r")


def read(store: object, paths: Sequence[str], requests: Requests, into: EncodedBatch) -> EncodedBatch:
    """Read files into the memory of a GPU. See `ReadsToDevice`; `paths` are those of the objects."""
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
    """Wait until nothing is written to the buffers any more, also after an error."""
    for future, *_ in pending:
        try:
            future.get()
        except Exception:  # the first error is raised by the caller
            continue

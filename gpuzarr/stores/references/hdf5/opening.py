"""Open files with h5py, by their paths or by way of the stores that have them.

HDF5 refuses to open a file twice in a process with different options, unless by different drivers. So files of this
machine are opened by the driver that nobody else uses.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gpuzarr.errors import GpuZarrError, StoreError
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.references.streams import Blocks, Stream

H5PY_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)


def library() -> Any:
    """h5py, and the filters of hdf5plugin where they are installed. StoreError, saying what to install."""
    try:
        import h5py
    except ImportError as error:
        raise StoreError("files of HDF5 and NetCDF4 need h5py: pip install h5py hdf5plugin") from error
    with suppress(ImportError):
        import hdf5plugin  # noqa: F401
    return h5py


@contextmanager
def opened(blocks: Blocks) -> Iterator[Any]:
    """Context with a file of h5py, in which what h5py raises becomes a StoreError that names the file."""
    stream = Stream(blocks)
    with _told(stream), _opened(stream, blocks) as file:
        yield file
        blocks.check()


def _opened(stream: Stream, blocks: Blocks) -> Any:
    if isinstance(blocks.store, LocalStore):
        path = os.path.join(blocks.store.folder, blocks.key)
        return library().File(path, "r", driver="stdio", locking=False)
    return library().File(stream, "r")


@contextmanager
def _told(stream: Stream) -> Iterator[None]:
    """Context in which what h5py raises becomes what the stream raised before, or a StoreError that names the file."""
    try:
        yield
    except GpuZarrError:
        raise
    except H5PY_ERRORS as error:
        if stream.error is not None:
            raise stream.error from error
        problem = f"{type(error).__name__}: {error}"
        raise StoreError(f"cannot read {stream.name} with h5py: {problem}") from error


class Reading:
    """A file that is open while chunks of it are read; it is opened for the first one, and closed with this."""

    def __init__(self, store: Any, key: str, version: Any) -> None:
        self._place, self._lock = (store, key, version), threading.Lock()
        self._blocks: Any = None
        self._stream: Any = None
        self._file: Any = None

    @contextmanager
    def file(self) -> Iterator[Any]:
        """Context with the file, for one thread at a time. ChangedError where it is not of the version."""
        with self._lock:
            if self._file is None:
                self._blocks = Blocks(*self._place)
                self._stream = Stream(self._blocks)
                with _told(self._stream):
                    self._file = _opened(self._stream, self._blocks)
            with _told(self._stream):
                yield self._file
                self._blocks.check()

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

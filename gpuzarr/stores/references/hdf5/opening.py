"""Open files with h5py, by way of the stores that have them.

A file that h5py opens by its path would be in the way of others in this process who open it with other options.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gpuzarr.errors import GpuZarrError, StoreError
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
    h5py, stream = library(), Stream(blocks)
    with _told(stream), h5py.File(stream, "r") as file:
        yield file


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
        self._stream: Any = None
        self._file: Any = None

    @contextmanager
    def file(self) -> Iterator[Any]:
        """Context with the file, for one thread at a time. ChangedError where it is not of the version."""
        with self._lock:
            if self._file is None:
                self._stream = Stream(Blocks(*self._place))
                with _told(self._stream):
                    self._file = library().File(self._stream, "r")
            with _told(self._stream):
                yield self._file

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

"""What stores may add to the contract whose objects are files of this machine, or parts of such files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from gpuzarr.stores.contract import Objects, Store


class InFiles(Protocol):
    """Addition to `Store` of one whose objects are files of this machine, each of the bytes of the object."""

    def file_paths(self, keys: Sequence[str]) -> list[str] | None:
        """The paths of the files for keys. They need not be there. None if they are only to be read by `Objects`."""
        ...


def file_paths(store: Store, keys: Sequence[str]) -> list[str] | None:
    """The paths of the files for keys; None where objects are no files. See `InFiles`."""
    paths = getattr(store, "file_paths", None)
    return None if paths is None else paths(keys)


class AreFiles(Protocol):
    """Addition to `Objects` of a store whose objects are files of this machine, or parts of such files."""

    def open_files(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The open file of each object, and the offset in it at which the object begins, int64 (n,).

        MISSING as file for an object that is not there; None where not all are open.
        """
        ...


def open_files(objects: Objects) -> tuple[np.ndarray, np.ndarray] | None:
    """The open files of objects, and where they begin there; None where they are no files, or not all open. See
    `AreFiles`."""
    files = getattr(objects, "open_files", None)
    return None if files is None else files()

"""Open an archive to write it."""

from __future__ import annotations

from gpuzarr.errors import GpuZarrError, as_store_error
from gpuzarr.stores.contract import Store
from gpuzarr.stores.zip.archive import ArchiveFile
from gpuzarr.stores.zip.loading import load
from gpuzarr.stores.zip.writing import Writing


def opened(outer: Store, key: str, path: str, mode: str, is_deflating: bool, allows_zip64: bool) -> Writing:
    """Open the archive at a key of a folder, a file at `path`, to be written."""
    try:
        file = ArchiveFile(path, mode)
    except GpuZarrError:
        raise
    except OSError as error:
        raise as_store_error(error, "write", key, outer) from error
    try:
        before = load(outer, key).directory if not file.is_new and file.end else None
    except BaseException:
        file.close()
        raise
    return Writing(outer, key, file, before, is_deflating, allows_zip64)

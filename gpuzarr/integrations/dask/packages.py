"""dask, where it is installed."""

from __future__ import annotations

from typing import Any

from gpuzarr.errors import UnsupportedError


def dask_array() -> Any:
    """The module `dask.array`. UnsupportedError if dask is not installed."""
    try:
        import dask.array
    except ImportError as error:
        raise UnsupportedError("to_dask and from_dask need dask: pip install 'dask[array]' distributed") from error
    return dask.array

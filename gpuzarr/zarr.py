"""gpuzarr as a codec pipeline of zarr-python, and so of every library that reads and writes with zarr-python.

`gpuzarr.zarr.enable()` switches it on for all arrays that are opened from then on. zarr-python 3.1 or newer is needed.
"""

from __future__ import annotations

from typing import Any

from zarr.core.config import config
from zarr.registry import register_pipeline

from gpuzarr.integrations.zarr_python.pipeline import Pipeline as Pipeline

__all__ = ["Pipeline", "enable"]
PATH = "gpuzarr.zarr.Pipeline"

register_pipeline(Pipeline)


def enable() -> Any:
    """Have zarr-python read and write with this library: all arrays that are opened or created from now on.

    An array keeps the pipeline with which it was opened. The same as
    `zarr.config.set({"codec_pipeline.path": "gpuzarr.zarr.Pipeline"})`.

    Returns
    -------
    ConfigSet
        What `zarr.config.set` returns: as a context manager, it restores the setting at the end of the `with` block.

    Examples
    --------
    >>> import zarr
    >>> with gpuzarr.zarr.enable():
    ...     z = zarr.array([1, 2, 3])
    >>> z[1:]
    array([2, 3])
    """
    return config.set({"codec_pipeline.path": PATH})

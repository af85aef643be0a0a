"""The warning for an array that zarr-python's own pipeline reads or writes instead of this library."""

from __future__ import annotations

from gpuzarr.errors import DefaultPipelineWarning, warn
from gpuzarr.per_process import PerProcess

MAX_NOTED_ARRAYS = 1 << 12
_NOTED: PerProcess[set[tuple[str, str]]] = PerProcess(set)


def warn_once(array: str, why: str) -> None:
    """Warn, once in each process for an array and a reason."""
    if (array, why) in _NOTED.value:
        return
    if len(_NOTED.value) >= MAX_NOTED_ARRAYS:
        _NOTED.value.clear()
    _NOTED.value.add((array, why))
    warn(f"zarr-python's own pipeline is used for {array} instead of gpuzarr: {why}", DefaultPipelineWarning)

"""Encode a batch by some steps of a chain on one device, and bring what a GPU has encoded to the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch, Unmeasured, measured
from gpuzarr.codecs.decoding import blame
from gpuzarr.codecs.step import Step
from gpuzarr.devices.contract import Device
from gpuzarr.errors import BAD_DATA_ERRORS, CodecError


def encode_steps(chunks: Any, steps: tuple[Step, ...], device: Device) -> Any:
    """Encode a batch by `steps`. None if a step had to wait for the sizes, and the GPU had refused a chunk."""
    for step in steps:
        if not step.takes_unmeasured and (chunks := measured(chunks, device)) is None:
            return None
        try:
            chunks = step.encode(chunks, device)
        except BAD_DATA_ERRORS as error:
            blame(step, error)
            raise
    return chunks


def copy_back(chunks: Any, device: Device) -> Callable[[], Any]:
    """Return a function that copies chunks to host memory, in one copy, once their sizes are known.

    It returns None if the GPU refused a chunk.
    """
    if isinstance(chunks, Unmeasured):
        measure, copied = chunks.measuring(device), device.copy_back(chunks.data)
        return lambda: (
            None if (encoded_batch := measure()) is None else moved(encoded_batch, copied(len(encoded_batch.data)))
        )
    if isinstance(chunks, EncodedBatch):
        copied = device.copy_back(chunks.data)
        return lambda: moved(chunks, copied())
    return device.copy_back(chunks) if isinstance(chunks, device.xp.ndarray) else lambda: chunks


def unless_refused(copied: Callable[[], Any], check: Callable[[], None] | None) -> Callable[[], Any]:
    """The function `copied`, but it returns None if `check` says that the GPU found an element which a codec refuses:
    the host then encodes the batch, and raises the error."""
    if check is None:
        return copied

    def wait() -> Any:
        chunks = copied()
        try:
            check()
        except CodecError:
            return None
        return chunks

    return wait


def moved(encoded_batch: EncodedBatch, data: np.ndarray) -> EncodedBatch:
    """The same chunks, in `data`, a copy of their memory."""
    return EncodedBatch(data, encoded_batch.starts, encoded_batch.sizes)

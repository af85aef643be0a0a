"""Gather the new chunks of a batch: the elements of the value, and around them the old ones or the fill value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpuzarr.batch import EncodedBatch
from gpuzarr.codecs.chain import Chain
from gpuzarr.empty_chunk import is_empty
from gpuzarr.gpu.empty import is_empty_on_gpu
from gpuzarr.write.batch_plan import Batch
from gpuzarr.write.target import Assignment


@dataclass(frozen=True)
class Loaded:
    """A batch with its codecs. Where it covers chunks in part, `old` has the old ones that are `present`, encoded."""

    batch: Batch
    chain: Chain
    old: EncodedBatch | None = None
    present: np.ndarray | None = None


def gathered(loaded: Loaded, assignment: Assignment) -> Any:
    """The new chunks of a batch, an array (n, *chunk_shape) of the device. ChunkError for a damaged old chunk."""
    with assignment.target.blamed(loaded.batch.coords):
        chunks = _memory(loaded, assignment)
        for part, rows in loaded.batch.rows():
            part.gather(assignment.value, chunks[rows], assignment.device.xp)
    return chunks


def _memory(loaded: Loaded, assignment: Assignment) -> Any:
    """Memory for the chunks of a batch, with what the value will not fill."""
    batch, spec, device = loaded.batch, loaded.chain.spec, assignment.device
    shape = (len(batch), *spec.shape)
    if spec.nbytes is None:
        chunks = device.xp.empty(shape, spec.dtype)
    else:
        chunks = device.empty(shape[0] * spec.nbytes).view(spec.dtype).reshape(shape)
    if loaded.present is None:
        for part, rows in batch.rows():
            if not part.whole:
                chunks[rows] = spec.fill_value
    else:
        _put_old(loaded, loaded.present, chunks, assignment)
    return chunks


def _put_old(loaded: Loaded, present: np.ndarray, chunks: Any, assignment: Assignment) -> None:
    if not present.all():
        chunks[...] = loaded.chain.spec.fill_value
    if loaded.old is not None and len(loaded.old):
        with assignment.target.blamed(loaded.batch.coords[present]):
            old = loaded.chain.decode(loaded.old, assignment.device)
        chunks[assignment.device.xp.asarray(np.flatnonzero(present))] = old


def emptiness(chunks: Any, assignment: Assignment) -> Callable[[], np.ndarray]:
    """Tell which chunks are not to be stored, bool (n,); on a GPU the function that is returned waits for that."""
    target, fill_value = assignment.target, assignment.target.layout.spec.fill_value
    if assignment.device.gpu and fill_value is not None and not target.write_empty_chunks:
        return is_empty_on_gpu(chunks, fill_value, assignment.device)
    found = np.zeros(len(chunks), bool) if target.write_empty_chunks else is_empty(chunks, fill_value)
    return lambda: found


def selected(chunks: Any, which: np.ndarray, xp: Any) -> Any:
    """Some of the chunks; no byte moves where these are all."""
    return chunks if which.all() else chunks[xp.asarray(np.flatnonzero(which))]

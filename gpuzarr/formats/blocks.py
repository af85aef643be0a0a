"""Where the blocks of chunks lie, in formats that divide a chunk in parts which are compressed by themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Blocks:
    """All blocks of some chunks, int64, chunk after chunk: the number of its chunk, where its bytes lie, how many these
    are, its place in the decoded chunk, its decoded bytes. `good`: a mask of the chunks that are sound, whose blocks
    alone are here. `rest`: where the bytes behind the last block lie, for each chunk."""

    chunk: np.ndarray
    source: np.ndarray
    size: np.ndarray
    target: np.ndarray
    nbytes: np.ndarray
    good: np.ndarray
    rest: np.ndarray

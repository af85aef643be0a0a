"""What codecs share that change each element by itself, and so are programs on a GPU."""

from __future__ import annotations

from typing import Any

from gpuzarr.batch import ChunkSpec
from gpuzarr.codecs.contract import Direction
from gpuzarr.dtypes.element_program import runs_on


def why_host(codec: Any, spec: ChunkSpec, direction: Direction) -> str | None:
    """None where a GPU runs a codec that `ChangesElements`; else, in a few words, why only the host does."""
    if codec.program(spec, direction) is not None:
        return None
    for dtype in (spec.dtype, codec.encoded(spec).dtype):
        if not runs_on(dtype):
            return f"no program of the GPU takes {dtype}"
    return "no program of the GPU does this to the bit"

"""What codecs share that change each element by itself, and so are programs on a GPU."""

from __future__ import annotations

from gpuzarr.batch import ChunkSpec
from gpuzarr.dtypes.element_program import runs_on


def why_no_program(decoded: ChunkSpec, encoded: ChunkSpec) -> str:
    """Why the host runs a codec between these specs, in a few words."""
    for spec in (decoded, encoded):
        if not runs_on(spec.dtype):
            return f"no program of the GPU takes {spec.dtype}"
    return "no program of the GPU does this to the bit"

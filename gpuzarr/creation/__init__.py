"""New nodes of a store: their metadata is written, as one of several who may do so at the same time."""

from gpuzarr.creation.documents import DEFAULT, Wanted, metadata
from gpuzarr.creation.nodes import delete, new_array, new_group
from gpuzarr.creation.shapes import sides

__all__ = ["DEFAULT", "Wanted", "delete", "metadata", "new_array", "new_group", "sides"]

"""Make nodes in a store: their metadata is composed, checked and written, safely beside other processes."""

from gpuzarr.creation.documents import DEFAULT, Wanted, metadata
from gpuzarr.creation.shapes import sides
from gpuzarr.creation.summarised import delete, new_array, new_group
from gpuzarr.creation.types import dtype_of

__all__ = ["DEFAULT", "Wanted", "delete", "dtype_of", "metadata", "new_array", "new_group", "sides"]

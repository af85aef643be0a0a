"""Objects that are parts of other objects: members of an archive, chunks that a reference or a manifest names.

A table says where each object lies; its bytes are read through the store that has them, by ranges.
"""

from __future__ import annotations

from gpuzarr.stores.parts.objects import PartObjects
from gpuzarr.stores.parts.store import PartsStore
from gpuzarr.stores.parts.table import INLINE, Places, Table

__all__ = ["INLINE", "PartObjects", "PartsStore", "Places", "Table"]

"""Zip archives as stores."""

from __future__ import annotations

from gpuzarr.stores.zip.store import ZipStore

__all__ = ["ZipStore"]

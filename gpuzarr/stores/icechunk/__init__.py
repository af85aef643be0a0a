"""Icechunk: repositories, sessions and their stores, read through their manifests."""

from __future__ import annotations

from gpuzarr.stores.icechunk.location import of_location, store_of

__all__ = ["of_location", "store_of"]

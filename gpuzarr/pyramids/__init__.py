"""Pyramids: images with all their resolutions, written in one pass, and their OME-Zarr metadata."""

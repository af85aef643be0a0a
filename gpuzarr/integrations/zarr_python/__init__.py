"""A codec pipeline for zarr-python: its arrays decode and encode through the codecs of this library.

pipeline -> arrays (the array that is meant) -> batches (the elements that are meant) -> reading, writing
"""

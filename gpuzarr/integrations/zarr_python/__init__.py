"""A codec pipeline for zarr-python, with which its arrays are read and written by this library.

What happens when zarr-python calls the pipeline, in the order of the files:

1. `pipeline.py` has `Pipeline`, which zarr-python makes for each array, and calls with a batch of chunks.
2. `arrays.py` finds the array of this library that has the same chunks.
3. `hop.py` makes the call on a thread, so that the event loop stays free for the requests of the store.
4. `calls.py` reads or writes. `batches.py` tells it which elements of the array the batch asks for.
5. Where one of these fails, zarr-python's own pipeline does the work, and `warning.py` warns of it once.
"""

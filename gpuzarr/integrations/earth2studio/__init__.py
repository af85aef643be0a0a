"""A place for forecasts of earth2studio, which writes with this library.

`backend.py` has what earth2studio calls, `coords.py` finds where coordinates lie in the store, `chunking.py` divides
arrays, and `writers.py` writes while the model computes.
"""

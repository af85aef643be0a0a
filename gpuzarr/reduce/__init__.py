"""Numbers about all elements of an array, in one pass: what `gpuzarr.stats` tells.

`blocks.py` cuts the array into blocks of whole chunks, which are read one by one, and these into pieces that stay in a
core's cache. Elements of one or two bytes are counted (`patterns.py`); of others moments (`moments.py`) and a histogram
(`bins.py`) are merged, piece by piece in a certain order. `rows.py` has the loops.
"""

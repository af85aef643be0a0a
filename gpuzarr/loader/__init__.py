"""The loader: samples of arrays in random order, in batches, each chunk decoded once while it is needed.

Loader -> Space (which samples there are) -> Order (which are a batch) -> Batches (chunks are read, samples are cut)
"""

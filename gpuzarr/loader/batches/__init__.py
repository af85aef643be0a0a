"""Batches: chunks are read ahead and held, samples are cut out of them by other threads."""

"""Selections, taken by NumPy: what the elements of `gpuzarr.indexing` must be."""

import numpy as np

from gpuzarr.indexing.selection import Points


def take(array, selected):
    """Elements of a NumPy array that a selection in canonical form selects."""
    if isinstance(selected, Points):
        assert all(i.dtype == np.int64 and i.ndim == 1 for i in selected.indices)
        return array[selected.indices].reshape(selected.shape)
    for indices in selected.axes:
        assert isinstance(indices, range) or (indices.dtype == np.int64 and indices.ndim == 1)
    lists = [np.asarray(indices, np.int64) for indices in selected.axes]
    full = array[np.ix_(*lists)] if lists else array
    assert full.shape == selected.full_shape
    result = full.reshape(tuple(n for i, n in enumerate(full.shape) if i not in selected.squeeze))
    assert result.shape == selected.shape
    return result


def numbered(shape):
    return np.arange(np.prod(shape, dtype=int)).reshape(shape)


def outer_by_numpy(array, selection):
    """Orthogonal selection one axis after another, from the last."""
    selection = selection if isinstance(selection, tuple) else (selection,)
    for axis in reversed(range(len(selection))):
        member = selection[axis]
        array = array[(slice(None),) * axis + (np.asarray(member, int) if isinstance(member, list) else member,)]
    return array

"""Write dask arrays to stored arrays."""

from __future__ import annotations

from math import isnan
from typing import Any
from uuid import uuid4

import numpy as np

from gpuzarr.checks import flag, shown
from gpuzarr.devices.cpu import CPU
from gpuzarr.errors import ArgumentError, ExistsError, GpuZarrWarning, SelectionError, warn
from gpuzarr.indexing import selection as select
from gpuzarr.integrations.dask.blocks import Sizes, edges, snapped, write_units
from gpuzarr.integrations.dask.layouts import fitting
from gpuzarr.integrations.dask.packages import dask_array
from gpuzarr.integrations.dask.sources import check_not_lost
from gpuzarr.integrations.dask.target import Place, Target, write_block
from gpuzarr.nodes.array import Array
from gpuzarr.nodes.create import create_array, placed
from gpuzarr.nodes.keywords import OLDER, PARAMETERS, known, own
from gpuzarr.nodes.opener import Opener

OPTIONS = {*PARAMETERS, *OLDER} - {"store"}


def from_dask(
    x: Any, store: Any, path: str | None = None, *, region: Any = None, compute: bool = True, **options: Any
) -> Any:
    """Write a dask array to a new stored array, or to a region of an existing one.

    Each task writes whole shards (chunks, if there are no shards), so no two tasks change the same object. Where blocks
    of `x` end within shards, they are rechunked to blocks that do not, with a warning. The array is made at once;
    tasks only write, so they may be run again: when a worker dies, nothing is lost.

    Parameters
    ----------
    x
        A dask array of NumPy or CuPy arrays, whose chunk sizes are known.
    store
        As for `create_array`, or an Array, which is written to. What is in the memory of this process, such as a dict,
        can be written by threads only.
    path
        The path of the new array in the store; default: the root.
    region
        The region of an existing array, as between the brackets of `array[...]`: integers and slices without a step.
        Default: the whole array.
    compute
        False: write nothing yet, and return a Delayed, whose `compute()` does.
    **options
        As for `create_array`: `chunks`, `shards`, `compressors`, `dtype`, `overwrite`, `attributes`, `device` and so
        on. Default of `chunks`: 256 KiB to 1 MiB that fit the blocks of `x`; `shards="auto"` makes shards of up to 256
        MiB that fit them.

    Returns
    -------
    Array or dask.delayed.Delayed
        The array that was written; or, with `compute=False`, a Delayed that computes to the number of blocks written.

    Raises
    ------
    ArgumentError
        `x` is not a dask array, or its chunk sizes are unknown; an option is unknown; `overwrite` would delete what `x`
        is read from.
    SelectionError
        The region does not fit the array, or has another shape than `x`.
    StoreError
        Another process would have to write to a store in the memory of this one.
    ReadOnlyError, ExistsError, MetadataError, ValueKindError
        As for `create_array`, and for writing to an array.
    UnsupportedError
        dask is not installed.

    Examples
    --------
    >>> import dask.array as da
    >>> x = da.ones((6, 8), chunks=(4, 4))
    >>> a = gpuzarr.from_dask(x, "store.zarr", "a", chunks=(2, 2), shards=(4, 4))
    >>> a.shards, float(a[...].sum())
    ((4, 4), 48.0)
    >>> write = gpuzarr.from_dask(x[:1] * 7, a, region=slice(5, 6), compute=False)
    >>> int(write.compute())
    2
    >>> a[4:, 0]
    array([1., 7.])
    """
    da = dask_array()
    _check(x, da)
    compute = flag(compute, "compute")
    if isinstance(store, Array):
        if path is not None or options:
            raise ArgumentError(f"{shown([*options] or path)} is for new arrays: {store!r} exists")
        array = store
        array.check_writable()
    else:
        if region is not None:
            raise ArgumentError("`region` is a part of an existing array: give an Array as the store")
        array = _new(x, store, path, options)
    spans = _spans(array, region, x)
    x = _aligned(x, array, spans)
    count = _writing(da, x, Target(array, _places(spans, x.chunks)))
    if not compute:
        return count.to_delayed(optimize_graph=False).item()
    count.compute()
    return array


def _check(x: Any, da: Any) -> None:
    """ArgumentError for what is not a dask array, or does not know its shape."""
    if not isinstance(x, da.Array):
        raise ArgumentError(f"from_dask() takes a dask array, not {shown(x)}; gpuzarr.from_array takes other arrays")
    if any(isnan(n) for n in x.shape):
        raise ArgumentError("the chunk sizes of the dask array are not known: call x.compute_chunk_sizes() before")


def _new(x: Any, store: Any, path: str | None, options: dict[str, Any]) -> Array:
    own("from_dask", options, name="it is `path`", shape="it is that of x", data="it is x", write_data="it writes x")
    known("from_dask", options, OPTIONS)
    place, name = placed(store, path, options.get("storage_options"))
    if options.get("overwrite"):
        check_not_lost(x, place, name)
    elif Opener(place, CPU).exists(name):
        raise ExistsError(
            f"something exists at {name or '/'!r} in {place!r}: overwrite=True replaces it; to write to an array that "
            "exists, give the Array as the store"
        )
    given = {"dtype": x.dtype, **options}
    if not {"chunk_shape", "codecs"} & options.keys():
        given |= fitting(x.chunks, x.dtype, options.get("chunks", "auto"), options.get("shards"))
    given.pop("storage_options", None)
    return create_array(place, name=name, shape=x.shape, **given)


def _spans(array: Array, region: Any, x: Any) -> tuple[int | slice, ...]:
    """For each axis of the array the index or the slice that is written. SelectionError if `x` does not fit."""
    elements = select.orthogonal(... if region is None else region, array.shape)
    spans: tuple[int | slice, ...] = ()
    for axis, indices in enumerate(elements.axes):
        if not isinstance(indices, range) or indices.step != 1:
            raise SelectionError(f"region {shown(region)} is not made of integers and slices without a step only")
        spans += (indices[0] if axis in elements.squeeze else slice(indices.start, indices.stop),)
    shape = tuple(span.stop - span.start for span in spans if isinstance(span, slice))
    if shape != x.shape:
        raise SelectionError(f"a dask array of shape {x.shape} does not fit {shown(spans)} of {array!r}")
    return spans


def _aligned(x: Any, array: Array, spans: tuple[int | slice, ...]) -> Any:
    """The dask array in blocks that end where objects of the store do; GpuZarrWarning if it had other blocks."""
    cut = [(unit, span.start) for unit, span in zip(write_units(array), spans, strict=True) if isinstance(span, slice)]
    sizes: Sizes = tuple(snapped(each, *where) for each, where in zip(x.chunks, cut, strict=True))
    is_cut = [tuple(filter(None, old)) != tuple(filter(None, new)) for old, new in zip(x.chunks, sizes, strict=True)]
    if not any(is_cut):
        return x
    kind = "chunks" if array.shards is None else "shards"
    axes = ", ".join(
        f"along axis {axis} ({shown(x.chunks[axis])} become {shown(sizes[axis])} for {kind} of {shown(cut[axis][0])})"
        for axis in filter(is_cut.__getitem__, range(x.ndim))
    )
    warn(
        f"blocks of the dask array end within {kind} of {array!r}, and no two tasks may write the same one: it is "
        f"rechunked {axes}, which moves values between tasks. Rechunk it yourself, or choose {kind} that fit",
        GpuZarrWarning,
    )
    return x.rechunk(sizes)


def _places(spans: tuple[int | slice, ...], chunks: Sizes) -> tuple[Place, ...]:
    sizes = iter(chunks)
    return tuple(span if isinstance(span, int) else edges(next(sizes), span.start) for span in spans)


def _writing(da: Any, x: Any, target: Target) -> Any:
    """The number of blocks that are written, as a dask array without axes. Each call has tasks of its own."""
    import dask

    name = f"gpuzarr-write-{uuid4().hex}"
    held = dask.delayed(target, name=f"gpuzarr-target-{name}", traverse=False)
    one_each = tuple((1,) * len(sizes) for sizes in x.chunks)
    meta = np.empty((0,) * x.ndim, np.int64)
    return da.map_blocks(write_block, x, held, name=name, chunks=one_each, meta=meta, dtype=np.int64).sum()

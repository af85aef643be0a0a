"""The methods of `gpuzarr.Array` that write, beside its indexers.

The write path is imported when it is first used: most programs only read.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gpuzarr.checks import flag
from gpuzarr.devices.contract import Device
from gpuzarr.devices.trace import Trace
from gpuzarr.errors import no_memory
from gpuzarr.indexing import selection as select
from gpuzarr.indexing.counts import box
from gpuzarr.indexing.layout import Layout
from gpuzarr.indexing.locate import Locator
from gpuzarr.metadata import ArrayMetadata
from gpuzarr.nodes.indexers import Fields, Selection, with_fields
from gpuzarr.nodes.inputs import as_value
from gpuzarr.read.memory import parse_bytes
from gpuzarr.read.strategy import Options
from gpuzarr.stores import kept
from gpuzarr.stores.contract import Store, concurrency

if TYPE_CHECKING:
    from gpuzarr.write.explain import WriteExplanation
    from gpuzarr.write.open_shards import OpenShards
    from gpuzarr.write.report import WriteReport
    from gpuzarr.write.target import Target, Writable
    from gpuzarr.write.writer import Writer


ROUNDS = 4  # of objects in flight that a writer gives to a store together: after them it waits for the last one


class Writes(Protocol):
    """The members of an array that these methods use."""

    store: Store
    path: str
    metadata: ArrayMetadata
    device: Device
    options: Options
    writable: Writable | None
    last_write: WriteReport | None

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def layout(self) -> Layout: ...

    @property
    def locator(self) -> Locator: ...

    def check_writable(self) -> None: ...

    def read_elements(self, elements: Selection) -> Any: ...

    def write_elements(
        self, elements: Selection, fields: Fields, value: Any, limit: int | None = None, stream: Any = None
    ) -> None: ...

    def write_values(
        self,
        elements: Selection,
        values: Any,
        limit: int | None,
        open_shards: OpenShards | None = None,
        target: Target | None = None,
    ) -> None: ...

    def renew(self, metadata: ArrayMetadata) -> None: ...


def set(self: Writes, selection: Any, value: Any, *, stream: Any = None, memory_limit: int | str | None = None) -> None:
    """Write a selection, as `a[selection] = value`, with options for this write.

    Chunks and shards that the selection covers as a whole are written without reading anything; the others are
    locked, read, changed and written.

    Parameters
    ----------
    selection
        What may stand between the brackets of `a[...]`.
    value
        An array of NumPy or CuPy, anything with DLPack (such as a tensor of torch), a list or a scalar; it is
        broadcast to the shape of the selection and cast to the dtype of the array.
    stream
        The CuPy stream on which the value was made. Default: CuPy's current stream.
    memory_limit
        Bytes (an int, or a text such as "256MiB") that a GPU may hold beyond the value, pinned and device memory
        together. Default: as the array was opened, else 4 GiB, or a quarter of the free device memory if that is less.

    Raises
    ------
    ReadOnlyError
        The array was opened for reading only.
    SelectionError
        The selection does not fit the array.
    ValueKindError
        The value cannot be broadcast, or the array's dtype cannot hold it (such as NaN in an array of integers).
    ChunkError
        A stored chunk that has to be changed is damaged.
    StoreError
        The store could not be written.

    Examples
    --------
    >>> a = gpuzarr.zeros((2, 3), dtype="int64")
    >>> a.set((0, slice(2)), [7, 8], memory_limit="64MiB")
    >>> a[...]
    array([[7, 8, 0],
           [0, 0, 0]])
    """
    fields, rest = select.fields(selection)
    limit = None if memory_limit is None else self.options.changed(memory_limit=memory_limit).memory_limit
    self.write_elements(select.basic(rest, self.shape), fields, value, limit, stream)


def writer(self: Writes, max_inflight: str | int = "1GiB", *, resume: bool = False) -> Writer:
    """Make a writer, which encodes and stores values on another thread while the caller computes the next ones.

    Values are copied at once, so their memory may be used again. In the end the store holds what writing in the order
    of the calls would have stored. A region that covers a chunk only in part is kept until its neighbours come; it is
    written when the chunk is full, when a quarter of `max_inflight` is kept, by `flush()` and at the end. Where each
    request takes long, neighbours are kept until they are some times as many chunks as are written at once. A shard
    stays open, in a file that no reader sees, until all of its chunks have come or until one of these happens.

    Parameters
    ----------
    max_inflight
        Bytes (an int, or a text such as "1GiB") of copies held at any time. A larger value is not copied: the call
        returns when it is written. The running write holds no more than this beside them, and no more than the
        `memory_limit` of the array.
    resume
        True: keep a journal in the store of the shards (chunks, where there are no shards) that are complete, so that
        `missing_shards` tells what is left to do after an interruption. The journal is written every two seconds, by
        `flush()` and at the end.

    Returns
    -------
    Writer
        A context manager. `w[selection] = value` writes; `flush()` waits until everything is in the store; `close()`,
        or the end of the `with` block, flushes and ends it. The first error is raised by the next call or at the end;
        after an error nothing more is written.

    Raises
    ------
    ReadOnlyError, SelectionError, ValueKindError
        By `w[selection] = value`, as for `set`.
    ClosedError
        By `w[selection] = value` after the writer was closed.

    Examples
    --------
    >>> a = gpuzarr.zeros((4, 3), chunks=(2, 3), dtype="int64")
    >>> with a.writer() as w:
    ...     for i in range(4):
    ...         w[i] = np.full(3, i)
    >>> a[:, 0]
    array([0, 1, 2, 3])
    """
    from gpuzarr.write.journal import Completed, Journal
    from gpuzarr.write.merge import bounds_of
    from gpuzarr.write.open_shards import OpenShards
    from gpuzarr.write.writer import Writer

    def accept(selection: Any, value: Any) -> tuple[Selection, Any]:
        elements = select.basic(selection, self.shape)
        return elements, _to_write(self, value, elements.shape)

    most = parse_bytes(max_inflight, "max_inflight")
    limit = most if self.options.memory_limit is None else min(most, self.options.memory_limit)
    open_shards, completed = OpenShards(), None
    if flag(resume, "resume"):
        self.check_writable()
        completed = Completed(Journal(self.store, self.path, self.layout), self.layout, open_shards)

    def write(elements: Selection, values: Any) -> None:
        self.write_values(elements, values, limit, open_shards)
        if completed is not None and (bounds := bounds_of(elements)) is not None:
            completed.wrote(bounds)

    in_flight = concurrency(self.store)
    together = 1 if self.layout.levels or in_flight < 2 else ROUNDS * in_flight
    return Writer(accept, write, target_of(self).layout, most, self.device, together, completed or open_shards)


def explain_write(self: Writes, selection: Any = ...) -> WriteExplanation:
    """Explain how a selection would be written: chunks, batches, what must be read and locked, codecs, memory.

    Nothing is read or written.

    Parameters
    ----------
    selection
        What may stand between the brackets of `a[...]`. Default: the whole array.

    Returns
    -------
    WriteExplanation
        As text by `print`, as a dict by `asdict()`.

    Raises
    ------
    SelectionError
        The selection does not fit the array.

    Examples
    --------
    >>> a = gpuzarr.zeros((4, 4), chunks=(2, 2))
    >>> explanation = a.explain_write(slice(3))
    >>> explanation.chunks, explanation.whole_objects, explanation.partial_objects
    (4, 2, 2)
    """
    from gpuzarr.write.explain import explain_write as explained

    return explained(target_of(self), select.basic(selection, self.shape), self.device, self.options.memory_limit)


def write_elements(
    self: Writes, elements: Selection, fields: Fields, value: Any, limit: int | None = None, stream: Any = None
) -> None:
    """Write elements: what `set` and all indexers do once they know which."""
    with self.device.on(stream):
        if fields is not None:
            value = with_fields(fields, np.asarray(self.read_elements(elements)), value)
        values = _to_write(self, value, elements.shape)
        self.write_values(elements, values, self.options.memory_limit if limit is None else limit)


def write_values(
    self: Writes,
    elements: Selection,
    values: Any,
    limit: int | None,
    open_shards: OpenShards | None = None,
    target: Target | None = None,
) -> None:
    """Write an array of the device that broadcasts to the elements. `open_shards` are those of a writer.

    `target`: None for the array as it is known.
    """
    from gpuzarr.write import write
    from gpuzarr.write.report import WriteReport

    trace, begin = Trace(), time.perf_counter()
    try:
        write(target or target_of(self), elements, values, self.device, limit, trace, open_shards)
    except MemoryError as error:
        raise no_memory(self, error) from error
    finally:
        self.locator.indexes.forget()
        grid = (self.layout if target is None else target.array_layout).axes
        kept.changed(self.store, self.path, partial(box, elements, grid))
        nbytes = prod(elements.shape) * self.dtype.itemsize
        self.last_write = WriteReport(self.device, trace, nbytes, time.perf_counter() - begin)


def _to_write(self: Writes, value: Any, shape: tuple[int, ...]) -> Any:
    """A value as an array of the device that broadcasts to `shape`. ReadOnlyError if nothing may be written."""
    self.check_writable()
    return as_value(value, self.dtype, shape, self.device, self.metadata.data_type)


def target_of(self: Writes) -> Target:
    """The array as the write path knows it."""
    from gpuzarr.write.target import Target, Writable

    options = self.writable or Writable()
    return Target(self.store, self.path, self.layout, options.safe, options.write_empty_chunks)


def resize(self: Writes, new_shape: int | Iterable[int], *more: int) -> None:
    """Change the shape. Chunks (shards) outside the new shape are deleted; new elements have the fill value.

    If this fails before a chunk is deleted, the array is as it was; later, or interrupted, it is whole in one of the
    two shapes.

    Parameters
    ----------
    new_shape, *more
        The new length of each axis, as a list or as integers; the number of axes stays.

    Raises
    ------
    ReadOnlyError
        The array was opened for reading only.
    MetadataError
        The array cannot have this shape.

    Examples
    --------
    >>> a = gpuzarr.array([1, 2, 3], fill_value=0)
    >>> a.resize(5)
    >>> a[...]
    array([1, 2, 3, 0, 0])
    """
    from gpuzarr.creation import sides
    from gpuzarr.nodes.resize import change_shape

    self.check_writable()
    wanted = sides("shape", (new_shape, *more) if more else new_shape)
    self.renew(change_shape(self.store, self.path, self.metadata, lambda old: wanted, kept=self.renew))


def append(self: Writes, data: Any, axis: int = 0) -> tuple[int, ...]:
    """Make the array longer by `data`. Processes that append at the same time all get a place.

    If the data cannot be written, the array is as long as before, and has the old values.

    Parameters
    ----------
    data
        Values, with the shape of the array but for the length of `axis`.
    axis
        The axis along which the array grows.

    Returns
    -------
    tuple of int
        The new shape.

    Raises
    ------
    ArgumentError
        The array has no such axis.
    ReadOnlyError
        The array was opened for reading only.
    ValueKindError
        The shape of the data does not fit, or the array cannot hold its elements.
    MetadataError
        The array would be too long.

    Examples
    --------
    >>> a = gpuzarr.array([[1, 2]])
    >>> a.append([[3, 4], [5, 6]])
    (3, 2)
    """
    from gpuzarr.nodes.append import append as appended

    self.check_writable()
    return appended(self, data, axis)

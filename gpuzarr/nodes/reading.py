"""The methods of `gpuzarr.Array` that read, beside its indexers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from gpuzarr.checks import INT64_MAX
from gpuzarr.devices.contract import Device
from gpuzarr.devices.trace import Trace
from gpuzarr.dtypes.cast import Cast
from gpuzarr.errors import ArgumentError, NoMemoryError, SelectionError, no_memory
from gpuzarr.indexing import selection as select
from gpuzarr.metadata import ArrayMetadata
from gpuzarr.nodes.casting import Casting
from gpuzarr.nodes.casting import result as result_of
from gpuzarr.nodes.indexers import Fields, Selection, checked_fields, rows
from gpuzarr.nodes.inputs import as_out
from gpuzarr.nodes.misplaced import warn_if_misplaced
from gpuzarr.read import read
from gpuzarr.read.faults import Fault
from gpuzarr.read.report import ReadReport
from gpuzarr.read.requests import Request
from gpuzarr.read.source import Source
from gpuzarr.read.strategy import Options

if TYPE_CHECKING:
    from gpuzarr.read.explain import Explanation

MAX_ITERATED_BYTES = 64 << 20  # of the rows that an iteration holds


class Readable(Source, Protocol):
    """The members of an array that these methods use."""

    device: Device
    options: Options
    metadata: ArrayMetadata
    last_read: ReadReport | None
    has_looked: bool

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __len__(self) -> int: ...

    def __getitem__(self, selection: Any) -> Any: ...

    def read_elements(
        self, elements: Selection, fields: Any, out: Any, options: Options | None, stream: Any, cast: Cast | None
    ) -> Any: ...


def get(
    self: Readable,
    selection: Any = ...,
    *,
    out: Any = None,
    stream: Any = None,
    memory_limit: int | str | None = None,
    validate: Literal["auto", "host"] | None = None,
    io: Literal["auto", "gds", "posix"] | None = None,
    dtype: Any = None,
    scale: float | None = None,
    offset: float | None = None,
    fill_to_nan: bool | float | None = None,
) -> Any:
    """Read a selection, as `a[selection]`, with options for this read; or `values * scale + offset` in another dtype.

    Parameters
    ----------
    selection
        What may stand between the brackets of `a[...]`. Default: the whole array.
    out
        An array of the device, with the shape of the selection and the dtype of the result, to be filled and returned.
    stream
        The CuPy stream on which the work is ordered. Default: CuPy's current stream.
    memory_limit, validate, io
        As for `gpuzarr.open`. Default: as the array was opened.
    dtype
        The dtype of the result: bool, integer or float (also "bfloat16" and the small floats of ml_dtypes), of an array
        of such elements. Elements are cast on their way into the result, without a second pass over memory, and as by
        `astype` of NumPy; but floats are not read as integers. Default: that of the array; with `scale` or `offset`, or
        with `fill_to_nan` where elements are no floats, float32 if it holds all elements exactly (of integers up to 16
        bits, and floats up to 32), else float64, as in xarray.
    scale, offset
        Numbers, for a result of floats: each element becomes `element * scale + offset`. That is computed in float32
        where it holds all elements exactly, unless `dtype` is float64; else in float64. Each operation is rounded to
        nearest, even, by a CPU and by a GPU: both give the same bits, but for those of NaN.
    fill_to_nan
        True: elements that equal the fill value, which the array must have, become NaN, and so do missing chunks. A
        number, such as `a.attrs.get("_FillValue")`: elements that equal it. (-0.0 equals 0.0.) The result must be of
        floats. False or None: no element becomes NaN.

    Returns
    -------
    ndarray
        A `cupy.ndarray` if the device is a GPU, else a `numpy.ndarray`; a scalar if a CPU reads a single element.

    Raises
    ------
    SelectionError
        The selection does not fit the array, or `out` does not fit the selection.
    ArgumentError
        There is no such cast, of these elements or to this dtype; or `out` is read-only, or its elements share memory.
    ChunkError
        A chunk is damaged. The error names store, array, chunk, key and codec.
    StoreError
        The store could not be read.
    NoMemoryError
        There is not enough memory.
    DeviceError
        The device cannot do what was asked for; for instance, `out` lies elsewhere.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(6).reshape(2, 3))
    >>> memory = np.empty(3, "int64")
    >>> a.get(1, out=memory, memory_limit="64MiB")
    array([3, 4, 5])
    >>> packed = gpuzarr.array(np.array([0, 20, 30], "int16"), fill_value=0)
    >>> packed.get(scale=0.5, offset=273, fill_to_nan=True)
    array([ nan, 283., 288.], dtype=float32)
    """
    fields, rest = select.fields(selection)
    options = self.options.changed(memory_limit=memory_limit, validate=validate, io=io)
    cast = Casting(dtype, scale, offset, fill_to_nan).of(self)
    return self.read_elements(select.basic(rest, self.shape), fields, out, options, stream, cast)


def explain(self: Readable, selection: Any = ...) -> Explanation:
    """Explain how a selection would be read: chunks, batches, memory, which codec runs where, and why.

    No chunk is read; at most indexes of shards and the sizes of a few files.

    Parameters
    ----------
    selection
        What may stand between the brackets of `a[...]`. Default: the whole array.

    Returns
    -------
    Explanation
        As text by `print`, as a dict by `asdict()`.

    Raises
    ------
    SelectionError
        The selection does not fit the array.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(12, dtype="int32").reshape(3, 4), chunks=(2, 2))
    >>> explanation = a.explain(0)
    >>> explanation.chunks, explanation.decoded_bytes, explanation.result_bytes
    (2, 32, 16)
    """
    from gpuzarr.read.explain import explain as explained

    return explained(self, select.basic(selection, self.shape), self.device, self.options)


def read_elements(
    self: Readable,
    elements: Selection,
    fields: Fields = None,
    out: Any = None,
    options: Options | None = None,
    stream: Any = None,
    cast: Cast | None = None,
) -> Any:
    """Read elements: what `get` and all indexers do once they know which."""
    if fields is not None and out is not None:
        raise SelectionError("fields of a structured array cannot be read into `out`")
    names = None if fields is None else checked_fields(fields, self.dtype)
    shape, (dtype, device) = elements.shape, result_of(self, cast)
    with device.on(stream):
        result = allocated(self, shape, dtype, device) if out is None else as_out(out, shape, dtype, device)
        read_reported([self], [Request(self, elements, result, cast)], device, options or self.options)
    if names is not None:
        result = result[names]
    return result if device.gpu or result.shape or out is not None else result[()]


def read_reported(
    arrays: Sequence[Any],
    requests: Sequence[Request],
    device: Device,
    options: Options,
    faults: list[Fault] | None = None,
    stack: Any = None,
) -> None:
    """Read requests of these arrays, leave a report with each array, and look where chunks are if none was found."""
    nbytes = sum([request.out.nbytes for request in requests])
    chunks = reported(arrays, lambda trace: read(requests, device, options, trace, faults, stack), device, nbytes)
    if not chunks and any(0 not in request.selection.shape for request in requests):
        look_for_chunks(arrays)


def reported(arrays: Sequence[Any], work: Callable[[Trace], None], device: Device, nbytes: int) -> int:
    """Read by work(trace), and leave a report with each of these arrays. Returns the number of chunks."""
    trace, begin = Trace(), time.perf_counter()
    try:
        work(trace)
    except MemoryError as error:
        raise no_memory(arrays[0], error) from error
    finally:
        report = ReadReport(device, trace, nbytes, time.perf_counter() - begin)
        for array in arrays:
            array.last_read = report
    return trace.counts["chunks"]


def look_for_chunks(arrays: Sequence[Any]) -> None:
    """Warn where something else lies where the chunks of arrays should, of which none was found."""
    for array in arrays:
        if not array.has_looked:
            warn_if_misplaced(array)


def allocated(self: Readable, shape: tuple[int, ...], dtype: np.dtype, device: Device) -> Any:
    """Memory of a device for a result of the array, not initialised. NoMemoryError if there is none."""
    if prod([n or 1 for n in shape]) * (dtype.itemsize or 1) > INT64_MAX:  # NumPy leaves zeros out, too
        raise NoMemoryError(f"no memory for {self!r}: a result of shape {shape} cannot be addressed")
    try:
        return device.array(shape, dtype)
    except MemoryError as error:
        raise no_memory(self, error) from error


def length(self: Readable) -> int:
    """The length of the first axis, for `len(a)`. ArgumentError for an array without axes."""
    if not self.shape:
        raise ArgumentError("len() of an array without axes")
    return self.shape[0]


def iterate(self: Readable) -> Iterator[Any]:
    if not self.shape:
        raise ArgumentError("iteration over an array without axes")
    row = max(prod(self.shape[1:]) * self.dtype.itemsize, 1)
    chunk = self.layout.outer.spec.shape[0] if self.metadata.regular else 1
    return rows(self.__getitem__, len(self), max(1, min(chunk, MAX_ITERATED_BYTES // row)))

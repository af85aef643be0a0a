"""The methods of `gpuzarr.Array` that read, beside its indexers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from gpuzarr.devices.contract import Device
from gpuzarr.indexing import selection as select
from gpuzarr.nodes.indexers import Selection
from gpuzarr.read.fetch import Source
from gpuzarr.read.strategy import Options

if TYPE_CHECKING:
    from gpuzarr.read.explain import Explanation


class Readable(Source, Protocol):
    """The members of an array that these methods use."""

    device: Device
    options: Options

    @property
    def shape(self) -> tuple[int, ...]: ...

    def read_elements(
        self, elements: Selection, fields: Any, out: Any, options: Options | None, stream: Any
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
) -> Any:
    """Read a selection, as `a[selection]`, with options for this read.

    Parameters
    ----------
    selection
        What may stand between the brackets of `a[...]`. Default: the whole array.
    out
        An array of the device, with the shape of the selection and the dtype of the array, to be filled and returned.
    stream
        The CuPy stream on which the work is ordered. Default: CuPy's current stream.
    memory_limit, validate, io
        As for `gpuzarr.open`. Default: as the array was opened.

    Returns
    -------
    ndarray
        A `cupy.ndarray` if the device is a GPU, else a `numpy.ndarray`; a scalar if a CPU reads a single element.

    Raises
    ------
    SelectionError
        The selection does not fit the array, or `out` does not fit the selection.
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
    """
    fields, rest = select.fields(selection)
    options = self.options.changed(memory_limit=memory_limit, validate=validate, io=io)
    return self.read_elements(select.basic(rest, self.shape), fields, out, options, stream)


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

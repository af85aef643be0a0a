"""The method of `gpuzarr.Array` that reads ahead of its caller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gpuzarr.checks import number
from gpuzarr.dtypes.cast import Cast
from gpuzarr.nodes.casting import Casting, result
from gpuzarr.nodes.many import fill
from gpuzarr.nodes.reading import Readable, allocated
from gpuzarr.nodes.region_results import Region, finished, region_of
from gpuzarr.read.memory import parse_bytes

if TYPE_CHECKING:
    from gpuzarr.read.reader import Reader


@dataclass(frozen=True)
class Regions:
    """How selections of an array become results. See `gpuzarr.read.reader.Requests`."""

    array: Any
    options: dict[str, Any]
    cast: Cast | None = None

    def request(self, selection: Any) -> Region:
        return region_of(self.array, selection, self.cast)

    def allocate(self, region: Region) -> Any:
        return allocated(self.array, region.elements.shape, region.dtype, region.device)

    def read(self, regions: Sequence[Region], memory: Sequence[Any]) -> Any:
        fill(regions, memory, None, self.options, None, None)
        return finished(regions, memory, None)


def reader(
    self: Readable,
    selections: Iterable[Any],
    ahead: int | None = None,
    memory_limit: int | str = "1GiB",
    *,
    validate: Literal["auto", "host"] | None = None,
    io: Literal["auto", "gds", "posix"] | None = None,
    dtype: Any = None,
    scale: float | None = None,
    offset: float | None = None,
    fill_to_nan: bool | float | None = None,
) -> Reader:
    """Make a reader, an iterator over results, of which other threads read the next ones while the caller computes.

    Results are those of `a[selection]` for each selection, in order. Selections are taken as they are needed, so there
    may be endlessly many. Small results are read several at a time: where they share chunks, these are decoded once.

    Parameters
    ----------
    selections
        An iterable of what may stand between the brackets of `a[...]`.
    ahead
        The number of results that are read beyond the one that the caller has; with 0, each is read when it is asked
        for. Default: as many as two reads have, each of one large result or of several small ones.
    memory_limit
        Bytes (an int, or a text such as "1GiB") of the results that are read ahead; at least one is. A running read, of
        which a GPU has two, holds no more than the `memory_limit` of the array beside them.
    validate, io
        As for `gpuzarr.open`. Default: as the array was opened.
    dtype, scale, offset, fill_to_nan
        As for `get`.

    Returns
    -------
    Reader
        An iterator; its `len()` is that of `selections`. It may be used as a context manager, at whose end it is
        closed: what is under way ends, what nobody took is freed. So it is when nobody refers to it any more. On a GPU
        results are complete when they come. Their memory is of the stream that was current when their read began, so
        iterate on one stream.

    Raises
    ------
    ArgumentError
        There is no such cast, of these elements or to this dtype.
    SelectionError, ChunkError, StoreError, NoMemoryError, DeviceError
        As by `get`, where the result would come; the results before it come first, and the reader is closed behind it.
    ClosedError
        By iteration after the reader was closed, and in a forked process.

    Notes
    -----
    `a.last_read` tells of the read that has ended last, which may be of results that are still to come.

    Examples
    --------
    >>> a = gpuzarr.array(np.arange(6), chunks=2)
    >>> with a.reader(slice(i, i + 3) for i in range(4)) as windows:
    ...     for values in windows:
    ...         print(values.sum())
    3
    6
    9
    12
    """
    from gpuzarr.read.ahead import Ahead
    from gpuzarr.read.reader import Reader

    options = {"validate": validate, "io": io}
    self.options.changed(**options)
    most = None if ahead is None else number(ahead, "ahead", 0)
    limits = Ahead(most, parse_bytes(memory_limit), self.device.batch_bytes)
    cast = Casting(dtype, scale, offset, fill_to_nan).of(self)
    return Reader(Regions(self, options, cast), selections, limits, result(self, cast)[1])

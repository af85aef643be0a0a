"""What can go wrong, in the words of a user.

Every error that gpuzarr itself raises is a `GpuZarrError` and also the builtin that a user would
expect. `CodecError` and `NvcompError` are how the lower floors say which chunk of a batch is bad;
the read and write paths turn them into `ChunkError`, which names the place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


class GpuZarrError(Exception):
    """Any error that gpuzarr itself raises."""


class NotFoundError(GpuZarrError, FileNotFoundError, KeyError):
    """No array or group at that path."""

    def __str__(self) -> str:  # KeyError would show the repr
        return str(self.args[0]) if self.args else ""


class ExistsError(GpuZarrError, FileExistsError, ValueError):
    """There is an array or group at that path already, another one than was asked for."""


class ReadOnlyError(GpuZarrError, PermissionError, ValueError):
    """What was opened for reading was to be written."""


class ClosedError(GpuZarrError, ValueError):
    """A writer that was closed was to write."""


class ValueKindError(GpuZarrError, ValueError):
    """The value that was to be written has another shape, or elements that the array cannot hold."""


class MetadataError(GpuZarrError, ValueError):
    """The metadata is there, but wrong; the message names the file and the field."""


class UnsupportedError(MetadataError):
    """The metadata may be right, but it asks for something that nobody here can do."""


class SelectionError(GpuZarrError, IndexError):
    """The selection does not fit the array, or is of a kind that Zarr arrays do not take."""


class NoMemoryError(GpuZarrError, MemoryError):
    """The memory that a read or a write needs is not there; the message names the array."""


class DeviceError(GpuZarrError, RuntimeError):
    """The device that was asked for is not there, or cannot do this."""


class StoreError(GpuZarrError, OSError):
    """The store could not be read or written."""


def as_store_error(error: Exception, action: str, key: str, store: object) -> StoreError:
    """Make a StoreError, with the same errno, of what a system call raised: "cannot read 'c/0' of LocalStore(...)"."""
    problem = StoreError(f"cannot {action} {key!r} of {store!r}: {getattr(error, 'strerror', None) or error}")
    problem.errno = getattr(error, "errno", None)
    return problem


class StoreKindError(StoreError, TypeError, ValueError):
    """What was given as a store is of no kind that we know; the message says which we know."""


class RangeError(StoreError):
    """Range `index` of those to be read reaches beyond its object."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


class CodecError(GpuZarrError, ValueError):
    """A codec refused chunk `index` of the batch that it was given (None: not known which).

    `codec` is its name; the chain fills it in where the codec did not.
    """

    def __init__(self, message: str, index: int | None = None, codec: str = "") -> None:
        super().__init__(message)
        self.index, self.codec = index, codec


BAD_DATA_ERRORS = (
    CodecError,
    ArithmeticError,
    TypeError,
    ValueError,
)  # what codecs raise for bytes and numbers that do not fit

CHUNK_FAULTS = CodecError, RangeError  # what is blamed on the chunk that they tell by `index`


class ChunkError(GpuZarrError, ValueError):
    """A chunk could not be decoded. Attributes: `store array chunk key codec`; the cause is chained."""

    def __init__(self, problem: str, *, store: str, array: str, chunk: tuple[int, ...], key: str, codec: str) -> None:
        super().__init__(problem, store, array, chunk, key, codec)
        self.problem, self.store, self.array = problem, store, array
        self.chunk, self.key, self.codec = chunk, key, codec

    def __str__(self) -> str:
        where = f"chunk {self.chunk} of array {'/' + self.array!r} in {self.store} (key {self.key!r}"
        return f"{where}, codec {self.codec}): {self.problem}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _chunk_error, self.args


def _chunk_error(problem: str, store: str, array: str, chunk: tuple[int, ...], key: str, codec: str) -> ChunkError:
    return ChunkError(problem, store=store, array=array, chunk=chunk, key=key, codec=codec)


def naming_array(method: Method) -> Method:
    """Let a method of an array raise NoMemoryError, naming the array, for a MemoryError of NumPy, CuPy or Python."""

    @wraps(method)
    def run(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return method(self, *args, **options)
        except MemoryError as error:
            if isinstance(error, GpuZarrError):
                raise
            raise NoMemoryError(f"no memory for {self!r}: {error}") from error

    return run  # type: ignore[return-value]

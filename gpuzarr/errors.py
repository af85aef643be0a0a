"""The errors of this library.

Each one that users meet is a `GpuZarrError` and also the builtin that they would expect (`KeyError`, `ValueError`).
`CodecError` and `RangeError` tell within the library which chunk of a batch is bad; the read and write paths turn them
into `ChunkError`, which says where the chunk is.

At the end are the names of `zarr.errors`. Where zarr-python itself was imported, its classes catch the errors of this
library: an error is then of a class that also derives from the classes of zarr-python that its class names.
"""

from __future__ import annotations

import sys
import warnings
from functools import cache
from typing import Any, ClassVar


class _Caught(type):
    """The class of error classes: makes errors that zarr-python's classes catch, once zarr-python was imported."""

    in_zarr: tuple[str, ...]

    def __call__(cls, *args: Any, **options: Any) -> Any:
        kind = _caught_by_zarr(cls) if cls.in_zarr and "zarr.errors" in sys.modules else cls
        return type.__call__(kind, *args, **options)


class GpuZarrError(Exception, metaclass=_Caught):
    """Any error that this library raises itself. `in_zarr`: names in `zarr.errors` of classes that mean the same."""

    in_zarr: ClassVar[tuple[str, ...]] = ()


@cache
def _caught_by_zarr(cls: _Caught) -> _Caught:
    """Make the class that derives from an error of this library, and from those of zarr-python that mean the same."""
    theirs = [getattr(sys.modules["zarr.errors"], name, None) for name in cls.in_zarr]
    bases = (cls, *(kind for kind in theirs if isinstance(kind, type) and not issubclass(cls, kind)))

    def __reduce__(error: Any) -> tuple[Any, ...]:
        return cls, error.args, vars(error)  # pickled as an error of this library, which another process knows

    names = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__", "__init__")}
    return cls if len(bases) == 1 else _Caught(cls.__name__, bases, {**names, "in_zarr": (), "__reduce__": __reduce__})


class NotFoundError(GpuZarrError, ValueError, FileNotFoundError, KeyError):
    """No array or group exists at a path."""

    in_zarr = ("ArrayNotFoundError", "GroupNotFoundError")

    def __new__(cls, *args: Any) -> NotFoundError:  # tblib (in distributed) calls it; ValueError's would refuse
        return FileNotFoundError.__new__(cls, *args)

    def __str__(self) -> str:  # KeyError would show the repr
        return str(self.args[0]) if self.args else ""


class ExistsError(GpuZarrError, FileExistsError, ValueError):
    """Another array or group than the one asked for exists at a path."""

    in_zarr = ("ContainsArrayError", "ContainsGroupError", "ContainsArrayAndGroupError")


class OtherNodeError(ExistsError, TypeError):
    """The node at a path is of another kind, shape or dtype than the one that is required."""


class ReadOnlyError(GpuZarrError, PermissionError, ValueError):
    """Writing to an array or a group that was opened for reading only."""


class ClosedError(GpuZarrError, ValueError):
    """Use of a writer or a reader that was closed."""


class ArgumentError(GpuZarrError, ValueError, TypeError):
    """An argument of a call is wrong: of another type, or a value that means nothing; the message names it."""


class ConfigError(GpuZarrError, KeyError, ValueError):
    """There is no setting of that name, or it cannot have the value."""

    def __str__(self) -> str:  # KeyError would show the repr
        return str(self.args[0]) if self.args else ""


class UnsupportedCallError(ArgumentError, NotImplementedError):
    """An argument of zarr-python that is not supported here; the message says what to use."""


class ValueKindError(GpuZarrError, ValueError):
    """A value cannot be written: its shape does not fit, or the array cannot hold its elements."""


class MetadataError(GpuZarrError, ValueError):
    """Metadata is wrong, or would be; the message names the document and the field."""

    in_zarr: ClassVar[tuple[str, ...]] = ("NodeTypeValidationError", "DataTypeValidationError")


class NoSizesError(MetadataError, TypeError):
    """A shape, or the sizes of chunks or shards, are of another type than integers and lists of them."""


class UnsupportedError(MetadataError):
    """Metadata may be right, but asks for something that is not supported here."""

    in_zarr = (*MetadataError.in_zarr, "UnknownCodecError")


class JsonError(MetadataError, TypeError):
    """A value cannot be written as JSON."""


class SelectionError(GpuZarrError, IndexError):
    """A selection does not fit the array, or is of a kind that Zarr arrays do not take."""

    in_zarr = ("BoundsCheckError", "NegativeStepError", "VindexInvalidSelectionError", "ArrayIndexError")


class NoMemoryError(GpuZarrError, MemoryError):
    """There is not enough memory for a read or a write; the message names the array."""

    def __new__(cls, *args: Any) -> NoMemoryError:  # tblib (in distributed) calls it; MemoryError's would refuse
        return Exception.__new__(cls, *args)


class DeviceError(GpuZarrError, RuntimeError):
    """A device does not exist, lacks a package, or cannot do what was asked for."""


class ExportError(GpuZarrError, BufferError):
    """An array cannot be given to another library by DLPack."""


class StoreError(GpuZarrError, OSError):
    """A store cannot be read or written. `errno` is that of the operating system, if it has one."""


def as_store_error(error: Exception, action: str, key: str, store: object) -> StoreError:
    """Make a StoreError, with the same errno, of what a system call raised: "cannot read 'c/0' of LocalStore(...)"."""
    problem = StoreError(f"cannot {action} {key!r} of {store!r}: {getattr(error, 'strerror', None) or error}")
    problem.errno = getattr(error, "errno", None)
    return problem


class LinkedError(StoreError):
    """What would be changed lies behind a symbolic link. Stores read through links, and change nothing there."""


class ChangedError(StoreError):
    """An object is not of the version that it was asked for, as somebody else has replaced it."""


class StoreKindError(StoreError, TypeError, ValueError):
    """An object that is not a store, or a store of an unknown kind; the message lists the kinds that are known."""


class RangeError(StoreError):
    """A range reaches beyond the end of its object. `index`: its number among the ranges to be read."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index


class LengthError(StoreError):
    """An object has not as many bytes as it was taken to have, but `length`."""

    def __init__(self, message: str, length: int = 0) -> None:
        super().__init__(message)
        self.length = length


class CodecError(GpuZarrError, ValueError):
    """A codec refuses a chunk.

    `index`: the number of the chunk in the batch (None: not known which). `codec`: the name of the codec; the chain
    adds it if the codec did not.
    """

    def __init__(self, message: str, index: int | None = None, codec: str = "") -> None:
        super().__init__(message)
        self.index, self.codec = index, codec


# raised by codecs for bytes and numbers that do not fit
BAD_DATA_ERRORS = (CodecError, ArithmeticError, TypeError, ValueError)

CHUNK_FAULTS = CodecError, RangeError  # the fault of the chunk whose number is `index`


class ChunkError(GpuZarrError, ValueError):
    """A chunk cannot be decoded. The cause is chained.

    Attributes
    ----------
    store, array
        The store, as text, and the path of the array in it.
    chunk, key
        The coordinates of the chunk in the chunk grid, and the key of the object that holds it.
    codec
        The name of the codec that refused it; "none" if the fault is of no codec.
    problem
        The message of the codec.

    Examples
    --------
    >>> store = {}
    >>> a = gpuzarr.array([1, 2, 3], store=store)
    >>> store["c/0"] = store["c/0"][:-5]
    >>> try:
    ...     a[...]
    ... except gpuzarr.ChunkError as error:
    ...     print(error.chunk, error.key, error.codec)
    (0,) c/0 zstd
    """

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


def no_memory(array: object, error: MemoryError) -> MemoryError:
    """The NoMemoryError, which names the array, to raise for a MemoryError; an error of gpuzarr as it is."""
    return error if isinstance(error, GpuZarrError) else NoMemoryError(f"no memory for {array!r}: {error}")


class GpuZarrWarning(UserWarning):
    """Something works, but maybe not as its caller thinks; the message says what to do."""


class MisplacedChunksWarning(GpuZarrWarning):
    """A read found no chunk, but something else lies where chunks should; the message says what, and what to do."""


class UnguardedWriteWarning(GpuZarrWarning):
    """A part of a chunk or a shard is written that nothing guards from other processes; the message says what to do."""


class FewReadersWarning(GpuZarrWarning):
    """A new array has a codec that few other libraries read; the message names one that cannot, and one that can."""


class DefaultPipelineWarning(GpuZarrWarning):
    """zarr-python reads or writes an array with its own pipeline instead of this library; the message says why."""


class ZarrFutureWarning(FutureWarning):
    """A name of zarr-python for filters of warnings; this library does not warn by it."""


class ZarrDeprecationWarning(DeprecationWarning):
    """A name or a keyword is an older one of zarr-python; the message says which to use."""


class ZarrRuntimeWarning(RuntimeWarning):
    """A keyword of zarr-python has no effect; the message says why."""


def warn(text: str, kind: type[Warning]) -> None:
    """Warn of the line that called this library, however many of its functions lie between."""
    frame, depth = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        frame, depth = frame.f_back, depth + 1
    warnings.warn(text, kind, stacklevel=depth)


# the names of zarr-python
BaseZarrError = GpuZarrError
NodeNotFoundError = ArrayNotFoundError = GroupNotFoundError = NotFoundError
ContainsArrayError = ContainsGroupError = ContainsArrayAndGroupError = ExistsError
MetadataValidationError = NodeTypeValidationError = DataTypeValidationError = MetadataError
PickleCodecDisabledError = UnknownCodecError = UnsupportedError
ChunkNotFoundError = ChunkError
ArrayIndexError = BoundsCheckError = NegativeStepError = VindexInvalidSelectionError = SelectionError
ZarrUserWarning = GpuZarrWarning
UnstableSpecificationWarning = ZarrFutureWarning

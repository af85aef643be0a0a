"""Memory that is not there: an error that says of which array. (A damaged document may describe chunks of any size.)"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from gpuzarr.errors import GpuZarrError, NoMemoryError

Method = TypeVar("Method", bound=Callable[..., Any])


def named(method: Method) -> Method:
    """A method of an array whose MemoryError, of NumPy, CuPy or Python, is a NoMemoryError that names the array."""

    @wraps(method)
    def run(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return method(self, *args, **options)
        except MemoryError as error:
            if isinstance(error, GpuZarrError):
                raise
            raise NoMemoryError(f"no memory for {self!r}: {error}") from error

    return run  # type: ignore[return-value]

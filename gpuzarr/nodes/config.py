"""The configuration of an array, with the names of zarr-python."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from gpuzarr.checks import options
from gpuzarr.nodes.parts import Made, parts

if TYPE_CHECKING:
    from gpuzarr.nodes.array import Array
    from gpuzarr.write.target import Writable


@dataclass(frozen=True)
class ArrayConfig:
    """Configuration of an array; `create_array` and `open` take it as `config`.

    Attributes
    ----------
    write_empty_chunks, safe
        As in the `config` of `gpuzarr.open`.
    order
        The order of elements in arrays that are read, always "C".
    read_missing_chunks
        True: a missing chunk is the fill value.

    Examples
    --------
    >>> gpuzarr.zeros(3, config={"write_empty_chunks": True}).config
    ArrayConfig(write_empty_chunks=True, safe=True, order='C', read_missing_chunks=True)
    """

    write_empty_chunks: bool = False
    safe: bool = True
    order: str = "C"
    read_missing_chunks: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The configuration as a dict.

        Examples
        --------
        >>> gpuzarr.zeros(3).config.to_dict()["safe"]
        True
        """
        return asdict(self)


def config_of(writable: Writable | None) -> ArrayConfig:
    """The configuration of an array that is written so; that of a read-only one has the defaults."""
    return ArrayConfig() if writable is None else ArrayConfig(writable.write_empty_chunks, writable.safe)


def with_config(self: Made, config: Any) -> Array:
    """The same array, read and written in another way.

    `config` is a dict of what changes (see `gpuzarr.open`), or the `config` of another array. ArgumentError for members
    that it does not have.

    Examples
    --------
    >>> gpuzarr.zeros(3).with_config({"write_empty_chunks": True}).config.write_empty_chunks
    True
    """
    from gpuzarr.nodes.array import Array
    from gpuzarr.write.target import Writable

    given = options(config.to_dict() if hasattr(config, "to_dict") else config, "config")
    found = Writable.of(config_of(self.writable).to_dict() | given)
    writable = None if self.writable is None else found
    return Array(*parts(self, writable=writable))

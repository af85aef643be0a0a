"""What `gpuzarr.tools.diff` returns: in what two trees differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class FieldDifference:
    """A fact of metadata that differs.

    `a`, `b`: its value in each tree as JSON. `only_in`: "a" or "b", if it is in one tree only; it is None in the other.
    """

    name: str
    a: Any
    b: Any
    only_in: str | None = None


@dataclass(frozen=True)
class ValueDifference:
    """Elements of two arrays that differ.

    Attributes
    ----------
    count, size
        How many elements differ, of how many.
    largest
        The largest absolute difference; None for elements that are no numbers, and where one of each two is NaN.
    first
        The index of the first of them, in C order.
    a, b
        That element of each array, as text.
    """

    count: int
    size: int
    largest: int | float | None
    first: tuple[int, ...]
    a: str
    b: str


@dataclass(frozen=True)
class NodeDifference:
    """An array or a group that differs.

    Attributes
    ----------
    path
        The path below both trees; "" is their tops.
    only_in
        "a" or "b", if the node is in one tree only; else None.
    fields
        The facts of metadata that differ.
    values
        The elements that differ; None if none does, or if they were not compared.
    error
        Why the node could not be compared, if it could not.
    """

    path: str
    only_in: str | None = None
    fields: tuple[FieldDifference, ...] = ()
    values: ValueDifference | None = None
    error: str | None = None

    def __bool__(self) -> bool:
        return bool(self.only_in or self.fields or self.values or self.error)


@dataclass(frozen=True)
class Difference:
    """In what two trees differ: the result of `gpuzarr.tools.diff`. True if they differ.

    Attributes
    ----------
    nodes
        The nodes that differ, in the order of their paths.
    compared
        The number of nodes that are in both.
    elements
        The number of elements that were compared.

    Examples
    --------
    >>> bool(gpuzarr.tools.diff(gpuzarr.zeros(3), gpuzarr.zeros(3)))
    False
    """

    nodes: tuple[NodeDifference, ...]
    compared: int
    elements: int

    def __bool__(self) -> bool:
        return bool(self.nodes)

    @property
    def errors(self) -> list[str]:
        """Why nodes could not be compared."""
        return [node.error for node in self.nodes if node.error]

    def asdict(self) -> dict[str, Any]:
        """All that was found, as dicts, lists and numbers."""
        return {"equal": not self, **asdict(self)}

"""The attributes of a node, as users hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from functools import partial
from typing import Any, Protocol, TypeVar

from gpuzarr.checks import options, shown
from gpuzarr.errors import ArgumentError, MetadataError, ReadOnlyError
from gpuzarr.metadata.attributes import change_attributes
from gpuzarr.stores.contract import Store

Edit = Callable[[dict[str, Any]], None]
Save = Callable[[Edit], dict[str, Any]]


class Attributes(MutableMapping[str, Any]):
    """The attributes of an array or a group: a mutable mapping from names to values of JSON.

    Every change is stored at once, under a lock, on top of what other processes have stored meanwhile; `update` with
    several values is one change. Changing attributes of a node that was opened for reading raises ReadOnlyError, a
    value that JSON does not have raises MetadataError, as does a stored document that is wrong by now; then nothing is
    changed. `save(edit)` does an edit to the stored attributes and returns
    them; None for read-only access.

    Examples
    --------
    >>> attrs = gpuzarr.zeros(3).attrs
    >>> attrs["unit"] = "K"
    >>> attrs.update(model="v7", seeds=[1, 2])
    >>> dict(attrs)
    {'unit': 'K', 'model': 'v7', 'seeds': [1, 2]}
    """

    def __init__(self, attributes: dict[str, Any], save: Save | None = None) -> None:
        self._attributes, self._save = attributes, save

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str):
            raise KeyError(name)
        return self._attributes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._attributes)

    def __len__(self) -> int:
        return len(self._attributes)

    def __repr__(self) -> str:
        return f"Attributes({self._attributes!r})"

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise MetadataError(f"the name of an attribute must be text, not {shown(name)}")
        self.update({name: value})

    def __delitem__(self, name: str) -> None:
        self[name]  # a KeyError if there is none
        self._change(lambda stored: stored.pop(name, None))

    def update(self, *others: Any, **values: Any) -> None:
        """Add attributes, or change them; the arguments are those of `dict`. ArgumentError for others."""
        if len(others) > 1:
            raise ArgumentError(f"update takes one mapping, not {len(others)}")
        new = options(others[0] if others else {}, "attributes") | values
        self._change(lambda stored: stored.update(new))

    def put(self, d: dict[str, Any]) -> None:
        """Replace all attributes by these.

        Examples
        --------
        >>> attrs = gpuzarr.zeros(3, attributes={"unit": "K"}).attrs
        >>> attrs.put({"model": "v7"})
        >>> dict(attrs)
        {'model': 'v7'}
        """

        new = options(d, "attributes")

        def replace(stored: dict[str, Any]) -> None:
            stored.clear()
            stored.update(new)

        self._change(replace)

    def clear(self) -> None:
        """Delete all attributes."""
        self.put({})

    def asdict(self) -> dict[str, Any]:
        """The attributes as a dict of their own."""
        return dict(self._attributes)

    def _change(self, edit: Callable[[dict[str, Any]], Any]) -> None:
        if self._save is None:
            raise ReadOnlyError("these attributes were opened for reading; open them with mode 'r+' or 'a'")
        stored = dict(self._save(edit))
        self._attributes.clear()
        self._attributes.update(stored)


class HasAttributes(Protocol):
    """A node, as `update_attributes` uses it."""

    @property
    def attrs(self) -> Attributes: ...


Node = TypeVar("Node", bound=HasAttributes)


def update_attributes(self: Node, new_attributes: dict[str, Any]) -> Node:
    """Add attributes, or change them, and return the node.

    Examples
    --------
    >>> gpuzarr.zeros(3).update_attributes({"unit": "K"}).attrs["unit"]
    'K'
    """
    self.attrs.update(new_attributes)
    return self


class Stored(Protocol):
    """The members of an array or a group that `attributes_of` uses."""

    store: Store
    path: str
    metadata: Any

    @property
    def read_only(self) -> bool: ...


def attributes_of(node: Stored) -> Attributes:
    """The attributes of a node; each change is stored at once, if the node may be written."""
    save = partial(change_attributes, node.store, node.path, node.metadata)
    return Attributes(node.metadata.attributes, None if node.read_only else save)

"""The attributes of a node, as users hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from gpuzarr.errors import ReadOnlyError

Edit = Callable[[dict[str, Any]], None]
Save = Callable[[Edit], dict[str, Any]]


class Attributes(MutableMapping[str, Any]):
    """The attributes of an array or a group: a mutable mapping from names to values of JSON.

    Every change is stored at once, under a lock, on top of what other processes have stored meanwhile; `update` with
    several values is one change. Changing attributes of a node that was opened for reading raises ReadOnlyError, a
    value that JSON does not have raises MetadataError. `save(edit)` does an edit to the stored attributes and returns
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
        return self._attributes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._attributes)

    def __len__(self) -> int:
        return len(self._attributes)

    def __repr__(self) -> str:
        return f"Attributes({self._attributes!r})"

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def __delitem__(self, name: str) -> None:
        if name not in self._attributes:
            raise KeyError(name)
        self._change(lambda stored: stored.pop(name, None))

    def update(self, *others: Any, **values: Any) -> None:
        """Add attributes, or change them; the arguments are those of `dict`."""
        new = dict(*others, **values)
        self._change(lambda stored: stored.update(new))

    def put(self, attributes: dict[str, Any]) -> None:
        """Replace all attributes by these.

        Examples
        --------
        >>> attrs = gpuzarr.zeros(3, attributes={"unit": "K"}).attrs
        >>> attrs.put({"model": "v7"})
        >>> dict(attrs)
        {'model': 'v7'}
        """

        def replace(stored: dict[str, Any]) -> None:
            stored.clear()
            stored.update(attributes)

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

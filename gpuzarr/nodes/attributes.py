"""The attributes of a node, as users hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from gpuzarr.errors import ReadOnlyError

Edit = Callable[[dict[str, Any]], None]
Save = Callable[[Edit], dict[str, Any]]


class Attributes(MutableMapping[str, Any]):
    """The attributes of an array or a group. Every change is stored at once; `update` is one change.

    `save` does an edit to what is stored, whoever changed that meanwhile, and says what it is then; None: read only.
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
        new = dict(*others, **values)
        self._change(lambda stored: stored.update(new))

    def put(self, attributes: dict[str, Any]) -> None:
        """These attributes and no others."""

        def replace(stored: dict[str, Any]) -> None:
            stored.clear()
            stored.update(attributes)

        self._change(replace)

    def clear(self) -> None:
        self.put({})

    def asdict(self) -> dict[str, Any]:
        return dict(self._attributes)

    def _change(self, edit: Callable[[dict[str, Any]], Any]) -> None:
        if self._save is None:
            raise ReadOnlyError("these attributes were opened for reading; open them with mode 'r+' or 'a'")
        stored = dict(self._save(edit))
        self._attributes.clear()
        self._attributes.update(stored)

"""Keys of objects, as every store takes them: "a/b/c", names with slashes between them.

A key cannot lead out of a store: it does not begin or end with a slash, no name is empty, "." or "..", and there is no
null character. Each store asks `check` before it does anything else, and lists no object under another key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from gpuzarr.checks import shown
from gpuzarr.errors import StoreError
from gpuzarr.stores.contract import Store


def is_key(key: object) -> bool:
    """Return True for the key of an object."""
    return isinstance(key, str) and "\0" not in key and not any(part in f"/{key}/" for part in ("//", "/./", "/../"))


def joined(path: str, key: str) -> str:
    """The key that `key` is below a path. Either may be ""."""
    return f"{path}/{key}" if path and key else path or key


def start_of(prefix: str) -> str:
    """What keys below a prefix begin with: "a/" of "a"; "" of "", which is all of a store."""
    return f"{prefix}/" if prefix else ""


def only_keys(names: Iterable[object]) -> list[str]:
    """Those that are keys of objects, of what a place lists."""
    found = [name for name in names if isinstance(name, str)]
    return found if _are_keys(found) else [name for name in found if is_key(name)]


def check(store: object, keys: Sequence[str]) -> None:
    """Raise StoreError, naming the store, for the first key that is none."""
    if not _are_keys(keys):
        for key in keys:
            if not is_key(key):
                raise StoreError(f"{shown(key)} is not the key of an object of {store!r}{_why(key)}")


def _are_keys(keys: Sequence[str]) -> bool:
    """Whether all are keys, found in a few steps for all of them together."""
    try:
        joined = "/\0/".join(keys)
    except TypeError:  # one is no text
        return False
    joined = f"/{joined}/" if keys else ""
    is_plain = "//" not in joined and "/./" not in joined and "/../" not in joined
    return is_plain and joined.count("\0") == max(len(keys) - 1, 0)


def check_prefix(store: object, prefix: str) -> None:
    """Raise StoreError, naming the store, for what is neither a key nor "", all of the store."""
    if not isinstance(prefix, str) or prefix:
        check(store, [prefix])


def _why(key: object) -> str:
    if not isinstance(key, str):
        return ": it is no text"
    if ".." in key.split("/") or key.startswith("/"):
        return ": it leads out of the store"
    return ": it has a null character" if "\0" in key else ": a name in it is empty or '.'"


class ListsKeys(Protocol):
    """Addition to `Store` of one to which the lengths of objects cost more than their keys."""

    def keys(self, prefix: str) -> Iterable[str]:
        """Key of every object below a prefix, in any order."""
        ...


def listed_keys(store: Store, prefix: str) -> Iterator[str]:
    """Key of every object below a prefix, in any order. Nothing is fetched of them. See `ListsKeys`."""
    if (listed := getattr(store, "keys", None)) is not None:
        return iter(listed(prefix))
    return (key for key, _ in store.objects(prefix))

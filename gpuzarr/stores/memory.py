"""Mappings in the memory of this process: those that a URL names, parts of them, and those of zarr-python."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from gpuzarr.errors import StoreKindError

_named: dict[str, dict[str, Any]] = {}  # by the name in memory://name; they live as long as the process


@dataclass(frozen=True, eq=False)
class Below(MutableMapping[str, Any]):
    """The objects of a mapping below a path, as a mapping of their own. `prefix`: the path with a slash at its end."""

    inner: Any
    prefix: str

    def __getitem__(self, key: str) -> Any:
        return self.inner[self.prefix + key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.inner[self.prefix + key] = value

    def __delitem__(self, key: str) -> None:
        del self.inner[self.prefix + key]

    def __iter__(self) -> Iterator[str]:
        return (key[len(self.prefix) :] for key in list(iter(self.inner)) if key.startswith(self.prefix))

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, eq=False)
class Buffers(MutableMapping[str, Any]):
    """A dict whose values are buffers of zarr-python, as a mapping of bytes: both libraries see what either writes."""

    inner: MutableMapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return bytes_of(self.inner[key])

    def __setitem__(self, key: str, value: bytes) -> None:
        # of host memory, also where zarr-python is configured to use a GPU
        self.inner[key] = sys.modules["zarr.core.buffer.cpu"].Buffer.from_bytes(value)

    def __delitem__(self, key: str) -> None:
        del self.inner[key]

    def __iter__(self) -> Iterator[str]:
        return iter(list(iter(self.inner)))

    def __len__(self) -> int:
        return len(self.inner)


def bytes_of(value: Any) -> Any:
    """A value of a mapping as an object with the buffer protocol; those of zarr-python are not copied."""
    return value.as_numpy_array() if hasattr(value, "as_numpy_array") else value


def place(mapping: Mapping[str, Any], key: str) -> tuple[int, str]:
    """The identity of the innermost mapping that holds an object, and its key there."""
    while isinstance(mapping, Below | Buffers):
        key = mapping.prefix + key if isinstance(mapping, Below) else key
        mapping = mapping.inner
    return id(mapping), key


def is_of_this_process(mapping: Mapping[str, Any]) -> bool:
    """True if no other process has the objects of a mapping, as they are in a dict."""
    while isinstance(mapping, Below | Buffers):
        mapping = mapping.inner
    return isinstance(mapping, dict)


def path(text: str) -> str:
    """A path in a store without slashes at its ends. StoreKindError if it leads out of the store."""
    parts = [part for part in text.split("/") if part]
    if any(part in (".", "..") for part in parts):
        raise StoreKindError(f"{text!r} is not a path in a store")
    return "/".join(parts)


def below(mapping: Mapping[str, Any], text: str) -> Mapping[str, Any]:
    """The objects of a mapping below a path; all of them for "". StoreKindError for a path that leads out of it."""
    return Below(mapping, f"{prefix}/") if (prefix := path(text)) else mapping


def of_url(url: str) -> Mapping[str, Any]:
    """The mapping that `memory://name` or `memory://name/path` names in this process; an empty one at first."""
    name, _, rest = url.partition("://")[2].partition("/")
    return below(_named.setdefault(name, {}), rest)


def shown(mapping: Mapping[str, Any]) -> str:
    """A mapping in messages: the URL that names it, or its type and identity."""
    inner, prefix = (mapping.inner, mapping.prefix) if isinstance(mapping, Below) else (mapping, "")
    name = next((name for name, held in list(_named.items()) if held is inner), None)
    if name is None:
        return f"{type(mapping).__name__} at {id(mapping):#x}"
    return repr(f"memory://{name}/{prefix}".rstrip("/"))


def with_buffers(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    """The mapping itself; one of bytes for a dict to which zarr-python writes, as its values tell."""
    if type(mapping) is dict and hasattr(next(iter(mapping.values()), None), "as_numpy_array"):
        return Buffers(mapping)
    return mapping

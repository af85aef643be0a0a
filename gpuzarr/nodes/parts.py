"""What an array is made of: to pickle it, and to make one that differs from it in a part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from gpuzarr.devices.contract import Device
from gpuzarr.metadata import ArrayMetadata
from gpuzarr.read.strategy import Options
from gpuzarr.stores.contract import Store

if TYPE_CHECKING:
    from gpuzarr.write.target import Writable


class Made(Protocol):
    """The members of an array that are the arguments of `Array`."""

    store: Store
    path: str
    metadata: ArrayMetadata
    device: Device
    writable: Writable | None
    options: Options


def parts(array: Made, **changes: Any) -> tuple[Any, ...]:
    """The arguments with which `Array` makes the same array again, but for `changes`, given by their names."""
    names = ("store", "path", "metadata", "device", "writable", "options")
    return tuple(changes[name] if name in changes else getattr(array, name) for name in names)

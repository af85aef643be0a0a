"""The backend is what workflows of earth2studio call."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import pytest

from gpuzarr.earth2studio import ZarrBackend


@runtime_checkable
class IOBackend(Protocol):
    """The protocol, by name and parameters. Source: `earth2studio/io/base.py` of earth2studio 0.19."""

    def add_array(self, coords: Any, array_name: str | list[str], **kwargs: dict[str, Any]) -> None: ...

    def write(self, x: Any, coords: Any, array_name: str | list[str]) -> None: ...


class Readable(Protocol):
    """What both Zarr backends have beside it. Source: `earth2studio/io/zarr.py` and `async_zarr.py`."""

    coords: Any
    store: Any
    root: Any

    def __contains__(self, item: str) -> bool: ...

    def __getitem__(self, item: str) -> Any: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[str]: ...

    def read(self, coords: Any, array_name: str, device: Any = "cpu") -> Any: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


def named(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "item", "name")]


def test_it_is_an_io_backend() -> None:
    assert isinstance(ZarrBackend(), IOBackend)


@pytest.mark.parametrize("name", ["add_array", "write", "read", "flush", "close", "__contains__", "__getitem__"])
def test_parameters_have_the_names_and_places_of_the_protocol(name: str) -> None:
    theirs = named(getattr(IOBackend, name, None) or getattr(Readable, name))
    ours = named(getattr(ZarrBackend, name))
    asked = [parameter for parameter in theirs if parameter != "kwargs"]
    assert ours[: len(asked)] == asked
    if "kwargs" in theirs:
        kinds = [parameter.kind for parameter in inspect.signature(getattr(ZarrBackend, name)).parameters.values()]
        assert inspect.Parameter.VAR_KEYWORD in kinds


@pytest.mark.parametrize("name", [name for name in Readable.__annotations__ if name != "__doc__"])
def test_attributes_of_both_backends_are_there(name: str) -> None:
    assert getattr(ZarrBackend(), name) is not None

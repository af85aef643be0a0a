"""The public functions and methods, called with arguments of any kind on stores of any kind: every error is typed.

An error is a GpuZarrError, or the one that Python raises for a mapping without a key. Functions and members are found
by their names, so that a new one is called, too.
"""

from __future__ import annotations

import inspect
import os
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.checks import shown
from gpuzarr.nodes.attributes import Attributes
from gpuzarr.nodes.indexers import Indexer
from tests import nasty
from tests.attack.rounds import FACTOR, tried

FUNCTIONS = [name for name in gpuzarr.__all__ if inspect.isfunction(getattr(gpuzarr, name)) and name != "release"]
SPECIAL = ("__getitem__", "__setitem__", "__delitem__", "__contains__", "__len__", "__iter__", "__array__", "__repr__")
INTERNAL = ("read_elements", "write_elements", "write_values", "renew")  # take what other modules have checked
STORES = [
    None,
    5,
    1.5,
    b"x",
    [],
    {1: 2},
    {"zarr.json": 5},
    {"zarr.json": b"\xff"},
    object(),
    "new",
    "a\0b",
    "\ud800",
    "\ud800.zip",
    "n" * 5000,
]
OWN = re.compile("keyword argument|multiple values for argument")
MODES = ("r", "r+", "a", "w", "w-")
GOOD: dict[str, Callable[[], Any]] = {
    "path": lambda: "a",
    "name": lambda: "new",
    "shape": lambda: (2, 3),
    "data": lambda: [[1, 2], [3, 4]],
    "arr": lambda: [1, 2],
    "args": lambda: [1, 2],
    "fill_value": lambda: 1,
    "value": lambda: 1,
    "selection": lambda: (0, slice(2)),
    "mask": lambda: np.zeros((5, 4), bool),
    "new_attributes": lambda: {"n": 1},
    "attributes": lambda: {"n": 1},
    "rank": lambda: 0,
    "world_size": lambda: 2,
}
MEMBERS = {  # of mappings, which say so by a KeyError
    (Attributes, name) for name in ("__getitem__", "__delitem__", "pop", "popitem")
}


def test_no_error_of_a_function_is_untyped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = Random(1)
    for _ in range(30 * FACTOR):
        for name in FUNCTIONS:
            function = getattr(gpuzarr, name)
            given = arguments(function, draw)
            if "store" in parameters(function):
                given["store"] = a_store(tmp_path, draw)
            attempt(function, given, (), ())


@pytest.mark.parametrize("kind", nasty.STORES)
def test_no_error_of_a_member_is_untyped(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = Random(2)
    for _ in range(2 * FACTOR):
        mode = draw.choice(("r", "r+", "r+"))
        node = gpuzarr.open(dict(nasty.STORES[kind]), mode=mode, device="cpu")
        for thing in things(node):
            for name, member in members(type(thing)):
                allowed = (KeyError,) if (type(thing), name) in MEMBERS else ()
                if name in ("__iter__", "values", "items", "arrays") and "huge" in kind:
                    continue  # would read for ever
                attempt_member(thing, name, member, draw, allowed)


def test_no_error_of_a_local_store_is_untyped(tmp_path: Path) -> None:
    draw = Random(3)
    for root in STORES:
        attempt(gpuzarr.LocalStore, {"root": root}, (), ())
    for _ in range(30 * FACTOR):
        store = gpuzarr.LocalStore(str(tmp_path / "store"))
        for name in ("get", "names", "length", "path", "delete", "delete_prefix", "set"):
            key = draw.choice(nasty.values())
            attempt(
                getattr(store, name), {}, ([key] if name == "delete" else key, *([b"x"] if name == "set" else [])), ()
            )


def things(node: Any) -> Iterator[Any]:
    """A node, and what it has members of."""
    yield node
    yield node.attrs
    yield node.info
    if isinstance(node, gpuzarr.Array):
        yield from (node.oindex, node.vindex, node.blocks)
        if not node.read_only:
            yield node.writer()


def members(kind: type) -> Iterator[tuple[str, Any]]:
    for name in dir(kind):
        if (not name.startswith("_") or name in SPECIAL) and name not in INTERNAL:
            yield name, inspect.getattr_static(kind, name)


def attempt_member(thing: Any, name: str, member: Any, draw: Random, allowed: tuple[type[Exception], ...]) -> None:
    if not inspect.isfunction(member):
        attempt(lambda: getattr(thing, name), {}, (), allowed)
        return
    bound = getattr(thing, name)
    given = arguments(bound, draw)
    positional = [
        given.pop(p.name) for p in inspect.signature(bound).parameters.values() if p.kind in (0, 1) and p.name in given
    ]
    attempt(bound, given, tuple(positional), allowed)


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def arguments(function: Any, draw: Random) -> dict[str, Any]:
    """Arguments for all that a function must be given and for some of the rest; a few of them nasty ones."""
    values, found = nasty.values(), {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ("self", "store", "args", "others"):
            continue
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            some = draw.sample(sorted(inspect.signature(gpuzarr.create_array).parameters.keys() - {"store", "name"}), 2)
            if function.__name__ not in ("save", "save_group", "update", "load", "open_consolidated"):
                found |= {name: draw.choice(values) for name in some if name not in found}
        elif parameter.default is inspect.Parameter.empty or draw.random() < 0.25:
            good = GOOD.get(parameter.name)
            found[parameter.name] = good() if good and draw.random() < 0.5 else draw.choice(values)
    if "mode" in parameters(function) and draw.random() < 0.8:
        found["mode"] = draw.choice(MODES)
    return found


def a_store(tmp_path: Path, draw: Random) -> Any:
    """A store of any kind, or something that is none."""
    if draw.random() < 0.15:
        return draw.choice(STORES)
    store = dict(draw.choice(list(nasty.STORES.values())))
    return folder(tmp_path, draw, store) if draw.random() < 0.2 else store


def folder(tmp_path: Path, draw: Random, store: dict[str, bytes]) -> str:
    """The same store as files."""
    root = tmp_path / f"folder {draw.random()}"
    for key, data in store.items():
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(data)
    return str(root)


def attempt(
    function: Any, given: dict[str, Any], positional: tuple[Any, ...], allowed: tuple[type[Exception], ...]
) -> None:
    """Call, and look at the error. What is lazy is asked for a first member."""
    what = f"{getattr(function, '__qualname__', function)}: {os.getcwd()}"
    tried("calls")
    with warnings.catch_warnings(), nasty.in_time(what):
        warnings.simplefilter("ignore")
        try:
            result = function(*positional, **given)
            if isinstance(result, Iterator):
                next(result, None)
            elif isinstance(result, Indexer | gpuzarr.Array | gpuzarr.Group):
                repr(result)
        except (gpuzarr.GpuZarrError, *allowed):
            pass
        except Exception as error:
            if isinstance(error, TypeError) and OWN.search(str(error)):  # Python's own, of a wrong call
                return
            said = f"{shown(positional)}, {shown(given)}: {type(error).__name__}: {str(error)[:200]}"
            raise AssertionError(f"{what} {said}") from error

"""What is overwritten stays as it was, byte by byte, until the new one is complete: whatever fails, and wherever."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from errno import ENOSPC
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.creation import copy
from gpuzarr.errors import StoreError
from gpuzarr.stores.hidden import OUT, beside, host
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.mapping import MappingStore
from tests.attack.rounds import FACTOR, rounds
from tests.stores.own_store import OwnStore
from tests.stores_of_tests import objects

NEW = np.arange(12.0).reshape(4, 3)
LAYOUT: dict[str, Any] = {"chunks": (2, 2), "device": "cpu"}
Call = Callable[[Any, str, Any], Any]  # of a store, a path, a version of Zarr
DOCUMENTS: dict[int, dict[str, Any]] = {
    2: {"zarr_format": 2, "node_type": "group", "attributes": {"x": 1}},
    3: {"zarr_format": 3, "node_type": "group", "attributes": {"x": 1}},
}


def parent(store: Any, path: str) -> tuple[gpuzarr.Group, str]:
    above, _, name = path.rpartition("/")
    return gpuzarr.open_group(store, above, mode="r+", device="cpu"), name


def hierarchy(store: Any, path: str, version: Any) -> None:
    nodes = {path: DOCUMENTS[version], f"{path}/p/q".strip("/"): DOCUMENTS[version]}
    list(gpuzarr.create_hierarchy(store=store, nodes=nodes, overwrite=True, device="cpu"))


def copied(store: Any, path: str, version: Any) -> None:
    source = MappingStore({})
    gpuzarr.save_group(source, zarr_format=version, b=NEW)
    copy(source, "", store, path, overwrite=True)


CALLS: dict[str, Call] = {
    "create_array": lambda s, p, v: gpuzarr.create_array(s, name=p, data=NEW, overwrite=True, zarr_format=v, **LAYOUT),
    "create_array without data": lambda s, p, v: gpuzarr.create_array(
        s, name=p, shape=4, dtype="i4", overwrite=True, zarr_format=v
    ),
    "create_group": lambda s, p, v: gpuzarr.create_group(s, path=p, overwrite=True, zarr_format=v, attributes={"x": 1}),
    "group": lambda s, p, v: gpuzarr.group(s, path=p, overwrite=True, zarr_format=v),
    "open": lambda s, p, v: gpuzarr.open(s, p, mode="w", zarr_format=v),
    "open_array": lambda s, p, v: gpuzarr.open_array(s, p, mode="w", data=NEW, zarr_format=v, **LAYOUT),
    "save": lambda s, p, v: gpuzarr.save(s, NEW, path=p, zarr_format=v),
    "save_array": lambda s, p, v: gpuzarr.save_array(s, NEW, path=p, zarr_format=v, **LAYOUT),
    "save of many": lambda s, p, v: gpuzarr.save(s, NEW, NEW, path=p, zarr_format=v, c=NEW),
    "save_group": lambda s, p, v: gpuzarr.save_group(s, path=p, zarr_format=v, **{"a": NEW, "d/e": NEW}),
    "from_array": lambda s, p, v: gpuzarr.from_array(s, name=p, data=NEW, overwrite=True, zarr_format=v, **LAYOUT),
    "array": lambda s, p, v: gpuzarr.array(NEW, store=s, path=p, overwrite=True, zarr_format=v, **LAYOUT),
    "zeros": lambda s, p, v: gpuzarr.zeros(5, store=s, path=p, overwrite=True, zarr_format=v),
    "create_hierarchy": hierarchy,
    "copy": copied,
}
OF_GROUPS: dict[str, Call] = {
    "Group.create_array": lambda s, p, v: parent(s, p)[0].create_array(
        parent(s, p)[1], data=NEW, overwrite=True, chunks=2
    ),
    "Group.create_group": lambda s, p, v: parent(s, p)[0].create_group(parent(s, p)[1], overwrite=True),
    "Group.__setitem__": lambda s, p, v: parent(s, p)[0].__setitem__(parent(s, p)[1], NEW),
}
CASES = [(name, path) for name in CALLS for path in ("", "g/n")] + [(name, "g/n") for name in OF_GROUPS]
FORMATS: Any = [2, 3]
MOMENTS = 2  # of each call, and each kind of failure, at which something fails


def filled(store: Any, path: str, version: Any) -> Any:
    """A store with a group at a path, in it a group and arrays of several chunks; and an array beside it."""
    g = gpuzarr.create_group(store, path=path, attributes={"old": ["é"]}, zarr_format=version, device="cpu")
    g.create_array("a", data=np.arange(1, 61).reshape(6, 10), chunks=(3, 4), attributes={"unit": "K"})
    g.create_array("h/b", data=np.arange(1, 7.0), chunks=(3,))
    if path:
        gpuzarr.create_array(store, name="g/beside", data=np.arange(4), chunks=2, zarr_format=version, device="cpu")
    return store


class Faulty(dict[str, Any]):
    """A dict that takes some changes, and then raises: once, or for good, at more of them."""

    def __init__(self, found: dict[str, Any], passes: int, error: BaseException | None, lasts: bool = False) -> None:
        super().__init__(found)
        self.passes, self.error, self.lasts = passes, error, lasts

    def _count(self) -> None:
        self.passes -= 1
        if self.error is not None and self.passes < 0:
            error, self.error = self.error, self.error if self.lasts else None
            raise error

    def __setitem__(self, key: str, value: Any) -> None:
        self._count()
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self._count()
        super().__delitem__(key)

    def pop(self, *arguments: Any) -> Any:  # type: ignore[override]
        self._count()
        return super().pop(*arguments)


class Bounded(dict[str, Any]):
    """A dict that has room for so many bytes."""

    def __init__(self, found: dict[str, Any], room: int) -> None:
        super().__init__(found)
        self.room = room

    def __setitem__(self, key: str, value: Any) -> None:
        if sum(map(len, self.values())) - len(self.get(key, b"")) + len(value) > self.room:
            raise OSError(ENOSPC, "No space left on device")
        super().__setitem__(key, value)


def full_disk() -> BaseException:
    error = StoreError("No space left on device")
    error.errno = ENOSPC
    return error


ERRORS: dict[str, Callable[[], BaseException]] = {"full": full_disk, "interrupt": KeyboardInterrupt}


@cache
def old(path: str, version: Any) -> Mapping[str, bytes]:
    """The objects of a store that is filled."""
    return MappingProxyType(objects(filled(MappingStore({}), path, version)))


def in_memory(kind: str, passes: int, error: BaseException | None, path: str, version: Any) -> tuple[Any, Faulty]:
    found = old(path, version)
    if kind == "mapping":
        return MappingStore(faulty := Faulty(dict(found), passes, error)), faulty
    return OwnStore(faulty := Faulty({key: (0, value) for key, value in found.items()}, passes, error)), faulty


def in_folder(folder: Path, path: str, version: Any) -> LocalStore:
    for key, value in old(path, version).items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(value)
    return LocalStore(str(folder))


def spread(name: str, count: int) -> Iterator[int]:
    """Some of so many moments, others for each name; the more the longer the attack."""
    step = max(count / (MOMENTS * FACTOR), 1)
    first = random.Random(name).uniform(0, step)
    return rounds("failures of calls that overwrite", (int(first + i * step) for i in range(int(count / step))))


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("kind", ["mapping", "own"])
@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize(("name", "path"), CASES)
def test_a_change_of_a_store_that_fails(name: str, path: str, version: Any, kind: str, error: str) -> None:
    call = (CALLS | OF_GROUPS)[name]
    store, counted = in_memory(kind, 0, None, path, version)
    before = objects(store)
    call(store, path, version)
    after = objects(store)
    assert not [key for key in after if ".partial" in key] and after != before
    for passes in spread(f"{name}{path}{version}{kind}{error}", -counted.passes):
        store, faulty = in_memory(kind, passes, ERRORS[error](), path, version)
        try:
            call(store, path, version)
        except StoreError:
            assert objects(store) == before, f"change {passes}"
        except KeyboardInterrupt:  # it may come when the old node is being deleted
            assert objects(store) in (before, after), f"change {passes}"
        else:
            assert objects(store) == after, f"change {passes}"
        assert faulty.error is None


def test_a_store_with_little_room() -> None:
    """A full one fails for good, but what is deleted leaves room."""
    for name, path in CASES:
        call, before = (CALLS | OF_GROUPS)[name], old(path, 3)
        room = sum(map(len, before.values()))
        for more in spread(name + path, 4000):
            store = MappingStore(Bounded(dict(before), room + more))
            try:
                call(store, path, 3)
            except StoreError as error:
                assert objects(store) == before and error.errno == ENOSPC, f"{name}: {more} bytes"


class Calls:
    """A function of the system: some calls pass, and then one fails; but not those that free a lock."""

    def __init__(self, name: str, passes: int, error: BaseException | None) -> None:
        self.passes, self.error, self.right = passes, error, getattr(os, name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if str(arguments[0]).endswith(".lock"):
            return self.right(*arguments, **options)
        self.passes -= 1
        if self.error is not None and self.passes < 0:
            error, self.error = self.error, None
            raise error
        return self.right(*arguments, **options)


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, name: str, passes: int, error: BaseException | None) -> Iterator[Calls]:
    with monkeypatch.context() as patch:
        patch.setattr(os, name, calls := Calls(name, passes, error))
        yield calls


@pytest.mark.parametrize("function", ["pwrite", "replace", "rename", "mkdir", "unlink", "rmdir"])
@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize(("name", "path"), CASES)
def test_a_call_of_the_system_that_fails(
    name: str, path: str, version: Any, function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = (CALLS | OF_GROUPS)[name]
    store = in_folder(tmp_path / "right", path, version)
    before = objects(store)
    with failing(monkeypatch, function, 0, None) as counted:
        call(store, path, version)
    after = objects(store)
    assert not [key for key in after if ".partial" in key or ".lock" in key]
    errors = (OSError(ENOSPC, "No space left on device"), KeyboardInterrupt())
    for i, passes in enumerate(spread(f"{name}{path}{version}{function}", -counted.passes)):
        store, error = in_folder(tmp_path / str(i), path, version), errors[i % 2]
        with failing(monkeypatch, function, passes, error):
            try:
                call(store, path, version)
            except (StoreError, KeyboardInterrupt):
                assert objects(store) in (before, after), f"{function} {passes} {error!r}"
            else:
                assert objects(store) == after, f"{function} {passes} {error!r}"


@pytest.mark.parametrize("path", ["", "g/n"])
@pytest.mark.parametrize("mode", ["r+", "a"])
@pytest.mark.parametrize("version", FORMATS)
def test_what_a_killed_process_had_put_aside_is_opened(version: Any, mode: Any, path: str, tmp_path: Path) -> None:
    """It was killed when the old node was out, and the new one not yet in its place."""
    store = in_folder(tmp_path, path, version)
    before = objects(store)
    folder = Path(store.path(path)) if path else tmp_path
    names = os.listdir(folder)
    aside = Path(store.path(beside(path, f"{host()}-{ended_process()}-1{OUT}")))
    if path:
        folder.rename(aside)
    else:
        aside.mkdir()
        for name in names:
            (tmp_path / name).rename(aside / name)
    assert gpuzarr.open_group(store, path, mode=mode)["a"].shape == (6, 10)
    assert objects(store) == before


def ended_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid

"""Wholes and parts of the same chunks and shards, written at once by threads and processes: every element is one that
was written, every chunk decodes, readers see no error, and what ended before another write began is not lost."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.write.batches import Batches
from gpuzarr.write.shards import Shard
from tests.attack.rounds import FACTOR, rounds
from tests.stores.own_store import OwnStore

FORK = multiprocessing.get_context("fork")
SHAPE = (64, 64)
LAYOUTS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (16, 16)},
    "large chunks": {"chunks": (64, 64)},
    "shards": {"chunks": (8, 8), "shards": (32, 32)},
    "raw shards": {"chunks": (8, 8), "shards": (32, 32), "compressors": None},
    "v2": {"chunks": (16, 16), "zarr_format": 2},
}
STORES: dict[str, Callable[[Path], Any]] = {"folder": str, "dict": lambda path: {}, "own": lambda path: OwnStore({})}
KINDS = ["whole", "part", "writer", "append"]


def created(store: Any, layout: str) -> gpuzarr.Array:
    a = gpuzarr.create_array(store, shape=SHAPE, dtype="i4", device="cpu", fill_value=0, **LAYOUTS[layout])
    a[...] = 1
    return a


def disturb(a: gpuzarr.Array, seed: int, steps: int) -> None:
    """Write wholes and parts, each element with a number >= 1 that is the same for a write."""
    chosen = random.Random(seed)
    for step in range(steps):
        value, kind = 1 + seed * 1000 + step, chosen.choice(KINDS)
        first, last = sorted(chosen.sample(range(65), 2))
        left, right = sorted(chosen.sample(range(65), 2))
        if kind == "whole":
            a[0:64] = value
        elif kind == "part":
            a[first:last, left:right] = value
        elif kind == "writer":
            with a.writer() as w:
                for row in range(0, 64, 8):
                    w[row : row + 8] = value
                    if row == first:
                        w.flush()
        else:
            a.append(np.full((1, 64), value, "i4"))


def look(a: gpuzarr.Array, done: threading.Event, seen: list[Any]) -> None:
    while not done.is_set():
        try:
            seen.append(int(a[0:64].min()))
        except Exception as error:
            seen.append(error)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_threads(layout: str, store: str, tmp_path: Path) -> None:
    for number in rounds("overlapping writes", range(FACTOR)):
        a, done, seen = created(STORES[store](tmp_path / str(number)), layout), threading.Event(), list[Any]()
        errors: list[Exception] = []

        def run(seed: int, array: gpuzarr.Array = a, errors: list[Exception] = errors) -> None:
            try:
                disturb(array, seed, 12)
            except Exception as error:
                errors.append(error)

        writers = [threading.Thread(target=run, args=(4 * number + i,)) for i in range(4)]
        reader = threading.Thread(target=look, args=(a, done, seen))
        for thread in [reader, *writers]:
            thread.start()
        for thread in writers:
            thread.join()
        done.set()
        reader.join()
        assert not errors and not [each for each in seen if isinstance(each, Exception) or each < 1]
        assert a[...].min() >= 1, "every row that was appended has its values"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_processes(layout: str, tmp_path: Path) -> None:
    for number in rounds("overlapping writes", range(FACTOR)):
        a, done, seen = created(tmp_path / str(number), layout), threading.Event(), list[Any]()
        children = [FORK.Process(target=disturb, args=(a, 4 * number + i, 12)) for i in range(4)]
        for child in children:
            child.start()
        reader = threading.Thread(target=look, args=(a, done, seen))
        reader.start()
        for child in children:
            child.join(120)
        done.set()
        reader.join()
        assert [child.exitcode for child in children] == [0] * 4
        assert not [each for each in seen if isinstance(each, Exception) or each < 1]
        assert gpuzarr.open_array(tmp_path / str(number), device="cpu")[...].min() >= 1
        left = [file.name for file in (tmp_path / str(number)).rglob(".*") if file.suffix in (".lock", ".partial")]
        assert not left


def wholes(a: gpuzarr.Array, numbers: range, lost: Any) -> None:
    """Write wholes; between them nobody else writes the last column."""
    for value in numbers:
        a[...] = value
        if not (a[:, -1] == value).all():
            lost.value += 1


def parts(a: gpuzarr.Array, stop: Any) -> None:
    while not stop.is_set():
        a[3:61, 3:60] = 7


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_whole_that_was_written_is_not_lost_to_a_part(layout: str, tmp_path: Path) -> None:
    """A part that had read what was there before the whole came must not bring it back."""
    a, stop, lost = created(tmp_path, layout), FORK.Event(), FORK.Value("i", 0)
    others = [FORK.Process(target=parts, args=(a, stop)) for _ in range(2)]
    for other in others:
        other.start()
    for number in rounds("overlapping writes", range(2 * FACTOR)):
        wholes(a, range(10 + 10 * number, 20 + 10 * number), lost)
    stop.set()
    for other in others:
        other.join(60)
        assert other.exitcode == 0
    assert lost.value == 0


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_whole_beside_a_part_that_has_read(
    layout: str, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole comes just after the part has read what must stay: it waits, or is written again."""
    a, encode, others = created(STORES[store](tmp_path), layout), Batches.encode, list[threading.Thread]()

    def late(self: Batches, *arguments: Any) -> Any:
        if not others:
            others.append(threading.Thread(target=a.__setitem__, args=(slice(0, 64), 1000)))
            others[0].start()
            time.sleep(0.1)
        return encode(self, *arguments)

    monkeypatch.setattr(Batches, "encode", late)
    a[5:9, 5:9] = 7
    others[0].join()
    values = a[...]
    assert np.isin(values[5:9, 5:9], (7, 1000)).all()
    values[5:9, 5:9] = 1000
    assert (values == 1000).all()


@pytest.mark.parametrize("compressors", [None, "auto"])
def test_a_shard_is_not_replaced_while_a_part_of_it_is_changed(
    compressors: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not between its index and its chunks; who writes the whole waits."""
    a = gpuzarr.create_array(
        tmp_path, shape=256, dtype="i4", chunks=32, shards=256, compressors=compressors, device="cpu"
    )
    a[...] = np.arange(256)
    a[0:32] = 0
    keep, others = Shard.keep, list[threading.Thread]()

    def between(self: Shard, *arguments: Any) -> None:
        monkeypatch.setattr(Shard, "keep", keep)
        others.append(threading.Thread(target=a.__setitem__, args=(slice(None), np.arange(256) + 1000)))
        others[0].start()
        time.sleep(0.1)
        keep(self, *arguments)

    monkeypatch.setattr(Shard, "keep", between)
    a[64:65] = 7
    others[0].join()
    np.testing.assert_array_equal(a[...], np.arange(256) + 1000)


def test_unsafe_writes_take_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a lock")

    for name, layout in LAYOUTS.items():
        created(tmp_path / name, name)
        a = gpuzarr.open_array(tmp_path / name, mode="r+", device="cpu", config={"safe": False})
        with monkeypatch.context() as patch:
            patch.setattr(LocalStore, "locked", refuse)
            patch.setattr(LocalStore, "overwriter", refuse)
            a[...] = 2
            a[1:50, 3:40] = 3
            with a.writer() as w:
                w[0:8] = 4
        assert (a[1:50, 3:40][8:] == 3).all() and layout

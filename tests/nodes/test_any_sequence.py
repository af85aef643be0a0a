"""Any sequence of creating, writing, growing and opening again: what NumPy has in the end is what everybody reads."""

from __future__ import annotations

import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

import gpuzarr
from gpuzarr.devices.contract import Device
from tests.hardware import host_array

BLOSC = {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle"}}
LAYOUTS: list[dict[str, Any]] = [
    {"chunks": (2, 3), "shards": (4, 6), "compressors": "zstd"},
    {"chunks": (2, 3), "shards": {"shape": (2, 9), "index_location": "start"}, "compressors": None},
    {"chunks": (3, 4), "compressors": BLOSC},
    {"chunks": (3, 4), "compressors": "gzip", "dtype": ">f4"},
    {"chunks": (5, 2), "compressors": None, "order": "F", "zarr_format": 2},
    {"chunks": (4, 4), "compressors": {"id": "zlib", "level": 1}, "zarr_format": 2, "dtype": ">i2"},
    {"chunks": (3, 5), "shards": (3, 5), "compressors": None, "config": {"write_empty_chunks": True}},
]
randoms = st.randoms(use_true_random=False)


def box(random: Random, n: int) -> slice:
    a, b = sorted(random.randrange(n + 1) for _ in range(2))
    return slice(a, b)


def steps(random: Random, n: int) -> slice:
    a, b = random.randrange(-n - 1, n + 2), random.randrange(-n - 1, n + 2)
    return slice(random.choice((a, None)), random.choice((b, None)), random.choice((None, 1, 2, 3, -1, -2)))


def listed(random: Random, n: int) -> np.ndarray:
    return np.array(random.sample(range(-n, 0) if random.random() < 0.3 else range(n), random.randint(1, min(n, 3))))


class History(RuleBasedStateMachine):
    device: Device

    def __init__(self) -> None:
        super().__init__()
        self.folder, self.values = Path(tempfile.mkdtemp()), 0

    @initialize(random=randoms)
    def create(self, random: Random) -> None:
        shape, fill = (random.randrange(9), random.randrange(13)), random.choice((0, 7))
        options = {"dtype": "i4", **random.choice(LAYOUTS)}
        made: dict[str, Any] = {"shape": shape, "fill_value": fill, "device": self.device, **options}
        version = options.get("zarr_format", 3)
        if gpuzarr.open_group(self.folder, mode="a", zarr_format=None).zarr_format != version:  # it has no other nodes
            gpuzarr.create_group(self.folder, zarr_format=version, overwrite=True)
        self.array = gpuzarr.create_array(self.folder, name="a", overwrite=True, **made)
        self.model, self.fill, self.attrs = np.full(shape, fill, self.array.dtype), fill, {}
        self.config = options.get("config")

    @rule(random=randoms)
    def create_another(self, random: Random) -> None:
        if random.random() < 0.1:
            self.create(random)

    def value(self, shape: tuple[int, ...], random: Random) -> Any:
        """Sometimes what makes chunks empty, sometimes a scalar."""
        self.values += 1
        many = np.arange(np.prod(shape)).reshape(shape)
        return random.choice((self.fill, self.values, np.full(shape, self.fill), many))

    @rule(random=randoms)
    def basic(self, random: Random) -> None:
        place = tuple(random.choice((box, steps))(random, n) for n in self.model.shape)
        if self.model.size and random.random() < 0.3:
            place = (random.randrange(self.model.shape[0]), *place[1:])
        value = self.value(self.model[place].shape, random)
        self.model[place] = self.array[place] = value

    @rule(random=randoms)
    def outer(self, random: Random) -> None:
        if self.model.size:
            place = tuple(random.choice((listed, steps))(random, n) for n in self.model.shape)
            index = np.ix_(*(np.arange(n)[i] for i, n in zip(place, self.model.shape, strict=True)))
            value = self.value(self.model[index].shape, random)
            self.model[index] = self.array.oindex[place] = value
            np.testing.assert_array_equal(host_array(self.array.oindex[place]), self.model[index])

    @rule(random=randoms)
    def points(self, random: Random) -> None:
        if not self.model.size:
            return
        some = {tuple(map(random.randrange, self.model.shape)) for _ in range(4)}
        place: Any = tuple(map(np.array, zip(*some, strict=True)))
        if random.random() < 0.4:
            place = np.array([random.random() < 0.4 for _ in range(self.model.size)]).reshape(self.model.shape)
        value = self.value(self.model[place].shape, random)
        self.model[place] = self.array.vindex[place] = value
        np.testing.assert_array_equal(host_array(self.array.vindex[place]), self.model[place])

    @rule(random=randoms)
    def blocks(self, random: Random) -> None:
        if self.model.size:
            units = self.array.shards or self.array.chunks
            block = tuple(
                map(random.randrange, tuple(-(-n // u) for n, u in zip(self.model.shape, units, strict=True)))
            )
            sides = zip(block, units, strict=True)
            place = tuple(slice(i * n, (i + 1) * n) for i, n in sides)
            self.model[place] = self.array.blocks[block] = self.value(self.model[place].shape, random)

    @rule(random=randoms)
    def writer(self, random: Random) -> None:
        with self.array.writer(max_inflight=random.choice((1, 100, "1MiB"))) as w:
            for _ in range(random.randrange(6)):
                place = tuple(random.choice((box, box, box, steps))(random, n) for n in self.model.shape)
                value = self.value(self.model[place].shape, random)
                self.model[place] = w[place] = value
                if random.random() < 0.2:
                    w.flush()
                    self.everybody_reads_it()

    @rule(random=randoms)
    def resize(self, random: Random) -> None:
        old, shape = self.model, (random.randrange(10), random.randrange(13))
        self.array.resize(shape)
        self.model = np.full(shape, self.fill, old.dtype)
        common = tuple(slice(min(a, b)) for a, b in zip(old.shape, shape, strict=True))
        self.model[common] = old[common]
        self.forget_what_lies_outside()

    def forget_what_lies_outside(self) -> None:
        """Of chunks that are kept in part nobody promises what lies beyond the shape: fill, and the model knows."""
        units = self.array.shards or self.array.chunks
        end = tuple(-(-n // u) * u for n, u in zip(self.model.shape, units, strict=True))
        if 0 not in end and end != self.model.shape:
            shape = self.model.shape
            self.array.resize(end)
            for axis, n in enumerate(shape):
                self.array[(slice(None),) * axis + (slice(n, None),)] = self.fill
            self.array.resize(shape)

    @rule(random=randoms)
    def append(self, random: Random) -> None:
        axis = random.randrange(2)
        if self.model.shape[axis] < 15:
            shape = [*self.model.shape]
            shape[axis] = random.randrange(4)
            more = np.arange(np.prod(shape)).reshape(shape).astype(self.model.dtype)
            self.array.append(more, axis)
            self.model = np.concatenate([self.model, more], axis)

    @rule(random=randoms)
    def attributes(self, random: Random) -> None:
        name = random.choice("abc")
        if name in self.attrs and random.random() < 0.5:
            del self.attrs[name], self.array.attrs[name]
        else:
            self.attrs[name] = self.array.attrs[name] = random.choice((1, "ü", [None, {"x": 1.5}]))

    @rule()
    def open_again(self) -> None:
        self.array = gpuzarr.open_array(self.folder / "a", mode="r+", device=self.device, config=self.config)
        assert dict(self.array.attrs) == self.attrs

    @rule(random=randoms)
    def read(self, random: Random) -> None:
        place = tuple(steps(random, n) for n in self.model.shape)
        limit = random.choice((None, 1, 10_000))
        np.testing.assert_array_equal(host_array(self.array.get(place, memory_limit=limit)), self.model[place])

    @rule()
    def everybody_reads_it(self) -> None:
        found = zarr.open_array(self.folder / "a", mode="r")
        np.testing.assert_array_equal(found[...], self.model)
        np.testing.assert_array_equal(host_array(self.array[...]), self.model)
        assert dict(found.attrs) == self.attrs and not list(self.folder.rglob("*.partial*"))

    def teardown(self) -> None:
        if hasattr(self, "array"):
            self.everybody_reads_it()
        shutil.rmtree(self.folder)


def test_any_history(device: Device) -> None:
    machine = type("Of", (History,), {"device": device})
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    quick = settings(
        max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=checks, database=None
    )
    run_state_machine_as_test(machine, settings=quick)


@pytest.mark.parametrize("options", LAYOUTS[:5], ids=str)
def test_readers_beside_a_writer(options: dict[str, Any], device: Device, tmp_path: Path) -> None:
    """What each object of the store holds is of one write, the old one or a newer one, and nothing is an error."""
    made: dict[str, Any] = {"shape": (12, 18), "dtype": "i4", **options, "device": device}
    a = gpuzarr.create_array(tmp_path, fill_value=0, **made)
    units, problems, done = a.shards or a.chunks, [], threading.Event()

    def look() -> None:
        reader = gpuzarr.open_array(tmp_path, device="cpu" if device.gpu else device)
        while not done.is_set():
            found = host_array(reader[...])
            for y in range(0, 12, units[0]):
                for x in range(0, 18, units[1]):
                    unit = found[y : y + units[0], x : x + units[1]]
                    if (unit != unit[0, 0]).any():
                        problems.append(unit)

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(look) for _ in range(3)]
        for i in range(1, 20):
            a[...] = i
        done.set()
        for each in readers:
            each.result()
    assert not problems and (host_array(a[...]) == 19).all()

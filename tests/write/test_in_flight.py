"""Many objects are on their way at once to a store where each takes long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.errors import ChangedError
from gpuzarr.stores.ranges import MISSING
from gpuzarr.stores.remote.client import Answer, Asked
from gpuzarr.stores.remote.store import RemoteStore
from tests.hardware import host_array, on

IN_FLIGHT, WAITED_FOR = 24, 12  # that the client asks for; and without which no put ends


@dataclass(frozen=True, eq=False)
class Slow:
    """A client of a dict. The first puts of chunks end when so many are on their way; `most`: how many were."""

    objects_: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    most: list[int] = field(default_factory=lambda: [0])
    now: list[str] = field(default_factory=list)
    together: threading.Condition = field(default_factory=threading.Condition)
    concurrency: int = IN_FLIGHT
    has_conditional_put: bool = True

    def fetch(self, asked: Sequence[Asked], deliver: Callable[[int, Answer | None], None]) -> None:
        for i, (key, offset, size, _) in enumerate(asked):
            version, data = self.objects_.get(key, (MISSING, b""))
            part = data[offset:] if offset < 0 or size < 0 else data[offset : offset + size]
            deliver(i, None if version == MISSING else Answer(part, len(data), version))

    def put(self, key: str, data: Any, if_version: Any = None) -> None:
        with self.together:
            if if_version is not None and self.objects_.get(key, (MISSING,))[0] != if_version:
                raise ChangedError(key)
            self.objects_[key] = self.objects_.get(key, (0,))[0] + 1, bytes(data)
            if key.endswith(".json"):
                return
            self.now.append(key)
            self.most[0] = max(self.most[0], len(self.now))
            self.together.notify_all()
            assert self.together.wait_for(lambda: self.most[0] >= WAITED_FOR, timeout=20), "they come one by one"
            self.now.remove(key)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.objects_.pop(key, None)

    def names(self, prefix: str) -> list[str]:
        return []

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        return iter([])

    def why_read_only(self) -> None:
        return None

    def below(self, path: str) -> Slow:
        return self


LAYOUTS: dict[str, dict[str, Any]] = {
    "small chunks": {"chunks": (1, 64)},
    "large chunks": {"chunks": (1, 1 << 17)},
    "shards": {"chunks": (1, 16), "shards": (1, 64)},
    "shards of large chunks": {"chunks": (1, 1 << 17), "shards": (1, 1 << 18)},
}


@pytest.mark.parametrize("how", ["whole", "in part", "writer"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_many_are_on_their_way(layout: str, how: str, device: Any) -> None:
    client = Slow()
    options = LAYOUTS[layout]
    shape = (48, options.get("shards", options["chunks"])[1])
    values = np.random.default_rng(1).integers(1, 99, shape, dtype="u1")
    a = gpuzarr.create_array(RemoteStore(client), shape=shape, dtype="u1", compressors=None, device=device, **options)
    if how == "writer":
        step = 24 if "shards" in options else 2
        with a.writer() as w:
            for i in range(0, 48, step):
                w[i : i + step] = on(device, values[i : i + step])
    elif how == "whole":
        a[...] = on(device, values)
    else:
        values[:, -1:] = 0
        a[:, :-1] = on(device, values[:, :-1])
    assert client.most[0] >= WAITED_FOR
    np.testing.assert_array_equal(host_array(a[...]), values)

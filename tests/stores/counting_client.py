"""A client over a dict (`gpuzarr.stores.remote.client`) that notes what it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from gpuzarr.errors import ChangedError
from gpuzarr.stores.ranges import MISSING
from gpuzarr.stores.remote.client import Answer, Asked, Client, Deliver, no_names
from gpuzarr.stores.remote.store import RemoteStore

_NUMBERS = count(1)


@dataclass(frozen=True, eq=False)
class CountingClient:
    """Objects in memory, each with the number of its version, which answers tell if `tells_versions`.

    `asked`: keys of which bytes were asked for, `looks`: of which only the version, in order; `lists`: prefixes that
    were listed. `can_list`: whether it can, unlike a web server.
    """

    values: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    tells_versions: bool = True
    can_list: bool = True
    asked: list[str] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    prefix: str = ""
    concurrency: int = 4
    has_conditional_put: bool = True

    def fetch(self, asked: Sequence[Asked], deliver: Deliver) -> None:
        for i, each in enumerate(asked):
            (self.looks if each.size == 0 else self.asked).append(each.key)
            found = self.values.get(self._path(each.key))
            deliver(i, None if found is None else self._answer(*found, each))

    def put(self, key: str, data: Any, if_version: Any = None) -> None:
        now = self.values.get(self._path(key))
        if if_version is not None and if_version != (MISSING if now is None else now[0]):
            raise ChangedError(f"{key!r} of {self!r} was changed by somebody else meanwhile")
        self.values[self._path(key)] = next(_NUMBERS), bytes(data)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.values.pop(self._path(key), None)

    def names(self, prefix: str) -> list[str]:
        return [key.removeprefix(f"{prefix}/" if prefix else "").split("/")[0] for key, _ in self.objects(prefix)]

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        if not self.can_list:
            raise no_names(self, prefix, "it")
        self.lists.append(prefix)
        start, skip = self._path(prefix) + "/" if prefix or self.prefix else "", len(self._path("x")) - 1
        return iter([(key[skip:], len(data)) for key, (_, data) in list(self.values.items()) if key.startswith(start)])

    def why_read_only(self) -> str | None:
        return None

    def below(self, path: str) -> Client:
        return replace(self, prefix=self._path(path))

    def forget(self) -> None:
        """Forget what was asked for."""
        for each in (self.asked, self.looks, self.lists):
            each.clear()

    def _path(self, key: str) -> str:
        return "/".join(filter(None, (self.prefix, key)))

    def _answer(self, version: int, data: bytes, asked: Asked) -> Answer:
        told = version if self.tells_versions else None
        if asked.size == 0 or (asked.most is not None and len(data) > asked.most):
            return Answer(None, len(data), told)
        end = len(data) if asked.offset < 0 or asked.size < 0 else asked.offset + asked.size
        return Answer(data[asked.offset : end], len(data), told)


def remote(**options: Any) -> tuple[RemoteStore, CountingClient]:
    """A remote store, and the client that notes what it asks for."""
    client = CountingClient(**options)
    return RemoteStore(client), client

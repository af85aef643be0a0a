"""A client over a dict that counts what it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpuzarr.stores.remote.client import Answer, Asked, Deliver


@dataclass(frozen=True, eq=False)
class ClientOfValues:
    """`calls`: what was asked for at once, each time. Versions are the values themselves."""

    values: dict[str, bytes] = field(default_factory=dict)
    calls: list[list[Asked]] = field(default_factory=list)
    concurrency = 8
    has_conditional_put = False

    def __repr__(self) -> str:
        return "ClientOfValues"

    def fetch(self, asked: Sequence[Asked], deliver: Deliver) -> None:
        self.calls.append(list(asked))
        threads = [threading.Thread(target=deliver, args=(i, self._answer(each))) for i, each in enumerate(asked)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _answer(self, asked: Asked) -> Answer | None:
        if (value := self.values.get(asked.key)) is None:
            return None
        begin = max(asked.offset + len(value), 0) if asked.offset < 0 else asked.offset
        end = len(value) if asked.size == -1 or asked.offset < 0 else begin + asked.size
        is_wanted = asked.size and (asked.most is None or len(value) <= asked.most)
        return Answer(value[begin:end] if is_wanted else None, len(value), hash(value))

    def put(self, key: str, data: Any, if_version: Any = None) -> None:
        self.values[key] = bytes(data)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.values.pop(key, None)

    def names(self, prefix: str) -> list[str]:
        start = f"{prefix}/" if prefix else ""
        return [key.removeprefix(start).split("/")[0] for key in self.values if key.startswith(start)]

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        start = f"{prefix}/" if prefix else ""
        return ((key, len(value)) for key, value in self.values.items() if key.startswith(start))

    def why_read_only(self) -> str | None:
        return None

    def below(self, path: str) -> Any:
        raise NotImplementedError

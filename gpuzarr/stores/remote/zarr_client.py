"""Client over any store of zarr-python, also one of a user's own: its coroutines are run a batch at a time."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gpuzarr.errors import StoreError
from gpuzarr.stores.keys import joined
from gpuzarr.stores.remote import zarr_loop
from gpuzarr.stores.remote.client import Answer, Asked, Deliver
from gpuzarr.stores.remote.zarr_values import byte_request, is_same, prototype

CONCURRENCY = 64  # coroutines at once
MAX_TEXT = 1000  # characters of a store's error


@dataclass(frozen=True, eq=False)
class ZarrClient:
    """Makes requests of a store of zarr-python, for what is below a path in it.

    Such stores tell no versions, and give lengths only with whole objects. `keys_like`: what the keys of objects look
    like in a store that takes no others, and raises errors for them; None: it takes any. `absent`: what errors say that
    mean that an object is missing. `loop`: the event loop that runs its coroutines; None: that of zarr-python.
    """

    store: Any
    path: str = ""
    concurrency: int = CONCURRENCY
    keys_like: re.Pattern[str] | None = None
    absent: re.Pattern[str] | None = None
    loop: Any = None
    has_conditional_put: ClassVar[bool] = False

    def __repr__(self) -> str:
        store = " ".join(repr(self.store).split())
        return f"ZarrClient({store}{f', {self.path!r}' if self.path else ''})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ZarrClient) and self.path == other.path and is_same(self.store, other.store)

    def __hash__(self) -> int:
        return hash((type(self.store), self.path))  # the stores themselves have none

    def fetch(self, asked: Sequence[Asked], deliver: Deliver) -> None:
        async def one(i: int) -> None:
            deliver(i, await self._answer(asked[i]))

        if asked:
            self._run(self._all(one, range(len(asked))))

    def tried(self, asked: Sequence[Asked]) -> list[Answer | StoreError | None]:
        """Make requests as `fetch` does: the answer to each, or the error."""
        found: list[Answer | StoreError | None] = [None] * len(asked)

        async def one(i: int) -> None:
            try:
                found[i] = await self._answer(asked[i])
            except StoreError as error:
                found[i] = error

        self._run(self._all(one, range(len(asked))))
        return found

    def put(self, key: str, data: Any, if_version: Any = None) -> None:
        if if_version is not None:
            raise StoreError(f"cannot write {key!r} of {self!r} only if it has a version: it has none")
        self.put_all([key], lambda _: data)

    def put_all(self, keys: Sequence[str], data: Callable[[int], Any]) -> None:
        """See `PutsAll`."""

        async def one(i: int) -> None:
            value = prototype().buffer.from_bytes(bytes(data(i)))
            await self._attempt("write", keys[i], lambda: self.store.set(self._key(keys[i]), value))

        self._run(self._all(one, range(len(keys))))

    def delete(self, keys: Sequence[str]) -> None:
        async def one(key: str) -> None:
            try:
                await self._attempt("delete", key, lambda: self.store.delete(self._key(key)))
            except StoreError as error:
                if self.store.supports_deletes:
                    raise
                raise StoreError(f"cannot delete {key!r} of {self!r}: it does not support that") from error

        self._run(self._all(one, [key for key in keys if self._may_be(key)]))

    def names(self, prefix: str) -> list[str]:
        start = f"{self._key(prefix)}/".lstrip("/")
        try:
            found = self._listed(prefix, lambda: self.store.list_dir(self._key(prefix)))
        except StoreError:  # some stores list folders of nodes only
            found = [joined(self.path, key) for key in self.keys(prefix)]
        return list({key.removeprefix(start).strip("/").partition("/")[0] for key in found} - {""})

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        keys = self.keys(prefix)
        return zip(keys, self.sizes(keys), strict=True)

    def keys(self, prefix: str) -> list[str]:
        """The key of every object below a prefix."""
        start, own = f"{self._key(prefix)}/".lstrip("/"), f"{self.path}/".lstrip("/")
        found = self._below(prefix, self._key(prefix))
        return [key.removeprefix(own) for key in found if key.startswith(start)]

    def _below(self, prefix: str, folder: str) -> list[str]:
        """Keys in the whole store, those below a folder among them. Some stores list folders of nodes only."""
        try:
            return self._listed(prefix, lambda: self.store.list_prefix(f"{folder}/".lstrip("/")))
        except StoreError:
            if not folder:
                raise
            return self._below(prefix, folder.rpartition("/")[0])

    def sizes(self, keys: Sequence[str]) -> list[int]:
        """Bytes of objects that are there, 0 where one is gone. Many stores of zarr-python must fetch them for that."""
        found = [0] * len(keys)

        async def one(i: int) -> None:
            size = await self._attempt("read", keys[i], lambda: self.store.getsize(self._key(keys[i])))
            found[i] = size or 0

        self._run(self._all(one, range(len(keys))))
        return found

    def why_read_only(self) -> str | None:
        if self.store.read_only:
            return "its read_only is True"
        return None if self.store.supports_writes else f"a {type(self.store).__name__} does not support it"

    def below(self, path: str) -> ZarrClient:
        return replace(self, path=self._key(path))

    def _key(self, key: str) -> str:
        return joined(self.path, key)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return zarr_loop.run(self._opened(work), self.store, self.loop)

    async def _opened(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do the work in a store that is open: whoever makes one need not open it."""
        try:
            await self.store._ensure_open()
        except Exception as error:
            work.close()
            raise self._problem(error, "open", "") from error
        return await work

    async def _attempt(self, action: str, key: str, make: Callable[[], Any]) -> Any:
        """The result of a coroutine of the store; None for an object that is missing. StoreError, naming the key."""
        try:
            return await make()
        except Exception as error:  # of any store
            if action != "write" and self._means_absent(error, action):
                return None
            raise self._problem(error, action, key) from error

    def _means_absent(self, error: Exception, action: str) -> bool:
        if isinstance(error, FileNotFoundError) or (action == "delete" and isinstance(error, KeyError)):
            return True
        return self.absent is not None and self.absent.search(str(error)) is not None

    def _may_be(self, key: str) -> bool:
        """Whether an object can be at a key."""
        return self.keys_like is None or self.keys_like.fullmatch(self._key(key)) is not None

    async def _answer(self, asked: Asked) -> Answer | None:
        if not self._may_be(asked.key):
            return None
        if asked.size == 0:
            length = await self._attempt("read", asked.key, lambda: self.store.getsize(self._key(asked.key)))
            return None if length is None else Answer(b"", length)
        wanted = byte_request(asked)
        try:
            buffer = await self.store.get(self._key(asked.key), prototype(), wanted)
        except Exception as error:  # of any store
            if self.absent is not None and self._means_absent(error, "read"):
                return None
            if wanted is not None and (answer := await self._beyond(asked)) is not None:
                return answer
            raise self._problem(error, "read", asked.key) from error
        if buffer is None:
            return None
        data = buffer.as_numpy_array()
        if wanted is None:
            return Answer(None if asked.most is not None and len(data) > asked.most else data, len(data))
        self._check(asked, len(data))
        return Answer(data)

    def _check(self, asked: Asked, size: int) -> None:
        """StoreError where more bytes came than were asked for: the store knows no ranges."""
        most = -asked.offset if asked.offset < 0 else asked.size
        if size > most >= 0:
            raise StoreError(f"cannot read {asked.key!r} of {self!r}: {size} bytes came for a range of {most}")

    async def _beyond(self, asked: Asked) -> Answer | None:
        """The answer to a range that begins or ends beyond its object, where the store has raised an error for it."""
        try:
            length = await self.store.getsize(self._key(asked.key))
        except Exception:  # that of the read tells more
            return None
        end = -asked.offset if asked.offset < 0 else asked.offset + max(asked.size, 0)
        return Answer(b"", length) if end > length else None

    async def _all(self, one: Callable[[Any], Coroutine[Any, Any, None]], things: Sequence[Any]) -> None:
        """Do `one` for each thing, many at a time. After an error the others are given up."""
        rest = iter(things)

        async def work() -> None:
            for thing in rest:
                await one(thing)

        workers = [asyncio.create_task(work()) for _ in range(min(self.concurrency, len(things)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def _problem(self, error: Exception, action: str, key: str) -> StoreError:
        """The StoreError for an error of the store, of which icechunk's tell of its inner parts behind "context"."""
        text = " ".join(str(error).partition("context:")[0].split()).removeprefix("x ").rstrip(" |")
        problem = StoreError(f"cannot {action} {key!r} of {self!r}: {text[:MAX_TEXT] or type(error).__name__}")
        problem.errno = getattr(error, "errno", None)
        return problem

    def _listed(self, prefix: str, listing: Callable[[], AsyncIterator[str]]) -> list[str]:
        if not self.store.supports_listing:
            raise StoreError(f"cannot list {prefix!r} of {self!r}: it does not support that")

        async def keys() -> list[str]:
            return [key async for key in listing()]

        found = self._run(self._attempt("list", prefix, keys))
        return found or []

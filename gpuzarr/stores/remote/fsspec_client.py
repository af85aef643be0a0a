"""Client for file systems of fsspec: of mappers, chained URLs, and protocols that obstore does not know.

All ranges of a batch are one call of `cat_ranges`, which an asynchronous file system makes many requests of.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from gpuzarr.errors import ReadOnlyError, StoreError
from gpuzarr.per_process import PerProcess
from gpuzarr.stores import read_only
from gpuzarr.stores.finding import urls
from gpuzarr.stores.keys import joined
from gpuzarr.stores.remote import retry
from gpuzarr.stores.remote.client import Answer, Asked, Deliver, no_names

MISSING_ERRORS = (FileNotFoundError, IsADirectoryError, NotADirectoryError, KeyError)
HTTP = frozenset(("http", "https", "sync-http", "sync-https"))
CONCURRENCY = 128  # requests at once, unless the file system has a number of its own
LOCAL = frozenset(("file", "local"))
T = TypeVar("T")


class _Made:
    """File systems that this process has made anew, by those of its parent: their threads and sockets are its own."""

    def __init__(self) -> None:
        self.by_number: dict[int, tuple[Any, Any]] = {}


_MADE = PerProcess(_Made)


@dataclass(frozen=True, repr=False)
class FsspecClient:
    """Requests to a file system of fsspec. Objects are the files below `root`; a `Client`.

    `url` names the place in messages; `missing` are the errors of objects that are not there; `process` is the one in
    which the file system was made.
    """

    fs: Any
    root: str
    url: str = field(default="", compare=False)
    missing: tuple[type[Exception], ...] = MISSING_ERRORS
    process: int = field(default_factory=os.getpid, compare=False)

    has_conditional_put = False

    @property
    def concurrency(self) -> int:
        """Requests that are made at once."""
        is_async = getattr(self.fs, "async_impl", False)
        return int(getattr(self.fs, "batch_size", None) or CONCURRENCY) if is_async else 1

    @property
    def is_of_this_process(self) -> bool:
        """Whether no other process has the files, as they are in its memory."""
        return "memory" in protocols(self.fs)

    @classmethod
    def of(cls, fs: Any, root: str, url: str = "", missing: Sequence[type[Exception]] = ()) -> FsspecClient:
        """A client of the files below a path. Asynchronous file systems are made anew for callers who wait.

        `missing`: errors that mean that an object is not there, beside the usual ones.
        """
        if getattr(fs, "asynchronous", False):
            fs = type(fs)(*fs.storage_args, **{**fs.storage_options, "asynchronous": False})
        more = tuple(kind for kind in missing if kind not in MISSING_ERRORS)
        return cls(fs, fs._strip_protocol(root).rstrip("/"), urls.shown(url), MISSING_ERRORS + more)

    def __reduce__(self) -> tuple[Any, ...]:
        return FsspecClient, (self.fs, self.root, self.url, self.missing)

    def __repr__(self) -> str:
        return repr(self.url or urls.shown(str(self.fs.unstrip_protocol(self.root))))

    def fetch(self, asked: Sequence[Asked], deliver: Deliver) -> None:
        waiting = list(range(len(asked)))
        for again in retry.pauses():
            answers = self._cat([asked[i] for i in waiting])
            failed = []
            for j, i in enumerate(waiting):
                answer, answers[j] = answers[j], None  # not to hold what was delivered
                if not isinstance(answer, Exception):
                    deliver(i, answer)
                elif again and retry.may_pass(answer):
                    failed.append(i)
                else:
                    raise self._problem("read", asked[i].key, answer) from answer
            if not failed:
                return
            waiting = failed

    def _cat(self, asked: Sequence[Asked]) -> list[Any]:
        """An Answer, None (missing) or an error for each request."""
        found: list[Any] = [None] * len(asked)
        looked = [i for i, each in enumerate(asked) if each.size == 0]  # at objects of which nothing is wanted
        ranged = [i for i, each in enumerate(asked) if each.size != 0]
        if looked:
            paths = [self._path(asked[i].key) for i in looked]
            for i, told in zip(looked, many(self._live(), "info", paths), strict=True):
                found[i] = _looked(told, self.missing)
        if ranged:
            for i, data in zip(ranged, self._ranges([asked[i] for i in ranged]), strict=True):
                found[i] = _answer(asked[i], data, self.missing)
        for i, answer in enumerate(found):
            if isinstance(answer, Answer) and answer.data is None and answer.length is None:  # larger than wanted
                found[i] = _looked(many(self._live(), "info", [self._path(asked[i].key)])[0], self.missing, None)
        return found

    def _ranges(self, asked: Sequence[Asked]) -> Sequence[Any]:
        """The bytes, or an error, of each range. Of a whole object one byte more than is wanted at most."""
        paths = [self._path(each.key) for each in asked]
        starts = [each.offset or None for each in asked]
        ends = [None if each.offset < 0 else _end(each) for each in asked]
        try:
            found: Sequence[Any] = self._live().cat_ranges(paths, starts, ends, on_error="return")
        except Exception as error:  # some, such as caches, raise that of any file: nobody knows of which
            return [error] if len(asked) == 1 else [self._ranges([each])[0] for each in asked]
        return found

    def put(self, key: str, data: Any, if_version: Any = None) -> None:
        path, value = self._path(key), bytes(data)

        def write() -> None:
            fs = self._live()
            try:
                fs.pipe_file(path, value)
            except FileNotFoundError:  # where folders must be made
                fs.makedirs(fs._parent(path), exist_ok=True)
                fs.pipe_file(path, value)

        self._call("write", key, write)

    def delete(self, keys: Sequence[str]) -> None:
        """(`rm` of fsspec would take "*" in a name for a pattern.)"""
        waiting = list(keys)
        for again in retry.pauses():
            errors = many(self._live(), "rm_file", list(map(self._path, waiting)))
            failed = [(key, error) for key, error in zip(waiting, errors, strict=True) if _fails(error)]
            if not failed:
                return
            for key, error in failed:
                if not again or not retry.may_pass(error):
                    raise self._problem("delete", key, error) from error
            waiting = [key for key, _ in failed]

    def names(self, prefix: str) -> list[str]:
        path = self._path(prefix)
        found: list[str] = self._listed(prefix, lambda fs: fs.ls(path, detail=False), [])
        return sorted({name for each in found if (name := _below(each, path)) and "/" not in name})

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        path = self._path(prefix)
        found: dict[str, Any] = self._listed(prefix, lambda fs: fs.find(path, detail=True), {})
        sizes = {name: info.get("size") for each, info in found.items() if (name := _below(each, path))}
        keys = {name: f"{prefix}/{name}" if prefix else name for name in sizes}
        if unknown := [name for name, size in sizes.items() if size is None]:
            told = many(self._live(), "info", [self._path(keys[name]) for name in unknown])
            sizes |= {
                name: info.get("size") for name, info in zip(unknown, told, strict=True) if isinstance(info, dict)
            }
        for name, size in sizes.items():
            if size is None:
                raise StoreError(f"cannot list {prefix!r} of {self!r}: the size of {keys[name]!r} is not told")
            yield keys[name], int(size)

    def _listed(self, prefix: str, call: Callable[[Any], T], empty: T) -> T:
        """What a call lists of what is there now; `empty` where there is no such folder. StoreError for HTTP then."""

        def listed() -> T:
            fs = self._live()
            fs.invalidate_cache(self._path(prefix))
            return call(fs)

        try:
            found = self._call("list", prefix, listed, self.missing)
        except self.missing:
            found = empty
        if not found and HTTP & set(protocols(self.fs)):
            raise no_names(self, prefix, "a web server")
        return found

    def why_read_only(self) -> str | None:
        return read_only.why_layers_read_only(self.fs)

    def below(self, path: str) -> FsspecClient:
        return replace(self, root=self._path(path), url=f"{self.url.rstrip('/')}/{path}" if self.url else "")

    def _path(self, key: str) -> str:
        return joined(self.root, key)

    def _live(self) -> Any:
        """The file system; made anew in a forked process, which has no part in the threads of its parent."""
        if self.process == os.getpid():
            return self.fs
        made = _MADE.value.by_number
        if (found := made.get(id(self.fs))) is None:
            made[id(self.fs)] = found = (self.fs, pickle.loads(pickle.dumps(self.fs)))
        return found[1]

    def _call(self, action: str, key: str, call: Callable[[], T], passed: tuple[type[Exception], ...] = ()) -> T:
        """Make a call, and again where that may help. Errors become StoreErrors but for those that are `passed`."""
        for again in retry.pauses():
            try:
                return call()
            except passed:
                raise
            except Exception as error:
                if not again or not retry.may_pass(error):
                    raise self._problem(action, key, error) from error
        raise AssertionError("the last try returns or raises")

    def _problem(self, action: str, key: str, error: Exception) -> StoreError | ReadOnlyError:
        if isinstance(error, StoreError):
            return error
        kind = ReadOnlyError if isinstance(error, NotImplementedError) and action != "list" else StoreError
        text = urls.shown(str(error)) or type(error).__name__
        problem: StoreError | ReadOnlyError = kind(f"cannot {action} {key!r} of {self!r}: {text}")
        problem.errno = getattr(error, "errno", None)
        return problem


def _fails(found: Any) -> bool:
    return isinstance(found, BaseException) and not isinstance(found, FileNotFoundError)


def _end(asked: Asked) -> int | None:
    if asked.size < 0:
        return None if asked.most is None or asked.offset else asked.most + 1
    return asked.offset + asked.size


def _answer(asked: Asked, data: Any, missing: tuple[type[Exception], ...]) -> Any:
    """What one range of `cat_ranges` means. A server that knows no ranges answers with the whole object."""
    is_whole = asked.size < 0 and not asked.offset
    if isinstance(data, missing):
        return None
    if isinstance(data, BaseException):
        return Answer(b"", 0 if is_whole else None) if retry.is_beyond(data) else data
    if is_whole:
        return Answer(data, len(data)) if asked.most is None or len(data) <= asked.most else Answer(None)
    if asked.offset < 0:
        return Answer(data[asked.offset :])
    if 0 < asked.size < len(data):
        return Answer(data[asked.offset : asked.offset + asked.size])
    return Answer(data)


def _looked(told: Any, missing: tuple[type[Exception], ...], data: bytes | None = b"") -> Any:
    """What is told of a file, as an answer."""
    if isinstance(told, missing) or (isinstance(told, dict) and told.get("type") == "directory"):
        return None
    return told if isinstance(told, BaseException) else Answer(data, told.get("size"))


def many(fs: Any, name: str, paths: Sequence[str]) -> list[Any]:
    """Call a method of a file system for each path, many at once where it is asynchronous. Errors are returned."""
    if not getattr(fs, "async_impl", False):
        return [_tried(getattr(fs, name), path) for path in paths]
    from fsspec.asyn import sync

    parts = [paths[i : i + CONCURRENCY] for i in range(0, len(paths), CONCURRENCY)]
    return [found for some in parts for found in sync(fs.loop, _gathered, getattr(fs, f"_{name}"), some)]


async def _gathered(method: Callable[[str], Any], paths: Sequence[str]) -> list[Any]:
    from asyncio import gather

    return await gather(*map(method, paths), return_exceptions=True)


def _tried(method: Callable[[str], Any], path: str) -> Any:
    try:
        return method(path)
    except Exception as error:
        return error


def _below(path: str, root: str) -> str:
    """The path below a root; "" for what is not below it."""
    path, start = path.rstrip("/").lstrip("/" if not root.startswith("/") else ""), f"{root}/" if root else ""
    return path[len(start) :] if path.startswith(start) else ""


def protocols(fs: Any) -> tuple[str, ...]:
    """The names of the protocol of a file system."""
    found = getattr(type(fs), "protocol", ())
    return (found,) if isinstance(found, str) else tuple(found)


def is_file_system(thing: Any) -> bool:
    """True for a file system of fsspec."""
    return any(kind.__name__ == "AbstractFileSystem" and _of_fsspec(kind) for kind in type(thing).__mro__)


def is_mapper(thing: Any) -> bool:
    """True for a mapper of fsspec that reads files as they are; not for one of a class that changes what it reads."""
    kind = next((kind for kind in type(thing).__mro__ if "__getitem__" in vars(kind)), None)
    return isinstance(thing, Mapping) and kind is not None and kind.__name__ == "FSMap" and _of_fsspec(kind)


def _of_fsspec(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "fsspec"


def local_folder(fs: Any, path: str) -> str | None:
    """The folder of this machine that a path of a file system is; None if it is none."""
    while protocols(fs) == ("dir",):
        fs, path = fs.fs, fs._join(path)
    return fs._strip_protocol(path) if LOCAL & set(protocols(fs)) else None

"""What references may reach: a document may come from anybody, and nobody wants it to read what its user never named.

Allowed are the folder of the references themselves, and what the caller names. Symbolic links are followed first.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from gpuzarr.checks import shown
from gpuzarr.errors import ArgumentError, GpuZarrError, StoreError, UnsupportedError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.finding import urls
from gpuzarr.stores.local.folders import why_no_path
from gpuzarr.stores.local.store import LocalStore

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_ALIASES = {"gcs": "gs", "s3a": "s3", "s3n": "s3", "local": "file"}
OPTIONS = "allow", "remote_protocol", "remote_options", "target_options", "target_protocol", "template_overrides"


class ReachError(StoreError, PermissionError):
    """A reference names what its caller did not allow; the message says what to pass."""


@dataclass(frozen=True)
class Reach:
    """Where references may lead.

    Parameters
    ----------
    store, folder
        The store that has the references, and their folder in it; None for references in memory.
    url
        The URL of that folder, where the store has one.
    allow
        Prefixes of URLs and paths that are allowed beside the folder: "s3://bucket/", "/data/", or "s3://".
    protocol
        That of names without one, as kerchunk has them ("bucket/key" of "s3"); it is allowed, as the caller named it.
    options
        Credentials and the like of remote stores, as `gpuzarr.open` takes them.
    """

    store: Store | None = field(default=None, compare=False)
    folder: str = ""
    url: str = ""
    allow: tuple[str, ...] = ()
    protocol: str = ""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def place(self, url: str) -> tuple[Store | str, str]:
        """The place of what a URL, or a path from the folder, names: a store, or its folder or URL; and the key there.

        ReachError where it is not allowed; UnsupportedError for chains of URLs.
        """
        if "::" in url or "|" in url or "\0" in url or not url:
            raise UnsupportedError(f"a reference names {urls.shown(url)!r}; it must be one file or URL")
        text = normal(url)
        if not _SCHEME.match(text) and self.protocol not in ("", "file"):
            text = f"{self.protocol}://{text.lstrip('/')}"
        text = local_path(text)
        if _SCHEME.match(text):
            return self._remote(text)
        if os.path.isabs(text) or self.store is None or isinstance(self.store, LocalStore):
            return self._local(text)
        return self._beside(text)

    def _beside(self, path: str) -> tuple[Store | str, str]:
        """What a path from the folder names, in the store of the references."""
        key = posixpath.normpath(f"{self.folder}/{path}".lstrip("/"))
        assert self.store is not None
        if not lies_below(key, self.folder):
            raise self._refused(path, "is outside of their own folder")
        return self.store, key

    def _local(self, path: str) -> tuple[Store | str, str]:
        if (why := why_no_path("", path)) is not None:
            raise StoreError(f"the references name {urls.shown(path)!r}, which is no path: {why}")
        home = [os.path.join(self.store.folder, self.folder)] if isinstance(self.store, LocalStore) else []
        real = os.path.realpath(os.path.join(*home, path))
        allowed = [*home, *(each for each in self.allow if not _SCHEME.match(each))]
        if not any(lies_below(real, os.path.realpath(each)) for each in allowed):
            raise self._refused(path, f"({real}) is outside of their own folder", os.path.dirname(real) + "/")
        return os.path.split(real)

    def _remote(self, url: str) -> tuple[Store | str, str]:
        scheme, _, rest = url.partition("://")
        if {".", ".."} & set(unquote(rest).split("/")):
            raise self._refused(url, "has '..' in it")
        if self.url and self.store is not None and lies_below(url, normal(self.url)):
            return self.store, posixpath.join(self.folder, url[len(normal(self.url).rstrip("/")) + 1 :])
        host = rest.partition("/")[0]
        if not any(lies_below(url, each) for each in self.allow) and scheme != self.protocol:
            raise self._refused(url, "is remote, and was not named by who opened them", f"{scheme}://{host}/")
        key = rest.partition("/")[2]
        if scheme not in ("http", "https"):
            return f"{scheme}://{host}", key
        key, mark, query = key.partition("?")  # maybe a signature
        return f"{scheme}://{host}{mark}{query}", unquote(key)

    def _refused(self, url: str, problem: str, advice: str = "") -> ReachError:
        hint = f"; pass storage_options={{'allow': [{advice!r}]}} if they may read it" if advice else ""
        return ReachError(f"the references name {urls.shown(url)!r}, which {problem}{hint}")


def normal(url: str) -> str:
    """A URL with its scheme and host as they are compared."""
    if (match := _SCHEME.match(url)) is None:
        return url
    scheme = match[1].lower()
    host, slash, rest = url[match.end() :].partition("/")
    return f"{_ALIASES.get(scheme, scheme)}://{host.lower() if scheme.startswith('http') else host}{slash}{rest}"


def local_path(text: str) -> str:
    """The path that a file URL names; other texts as they are."""
    return "/" + unquote(text[len("file://") :].partition("/")[2]) if text.startswith("file://") else text


def lies_below(url: str, prefix: str) -> bool:
    """Return True if a URL, or a path, is a prefix, or lies below it."""
    return not prefix or url == prefix or url.startswith(prefix if prefix.endswith("/") else f"{prefix}/")


def options_of(given: Any) -> dict[str, Any]:
    """A copy of `storage_options`. ArgumentError where they are no mapping."""
    if given is not None and not isinstance(given, Mapping):
        raise ArgumentError(f"storage_options must be a mapping, not {shown(given)}")
    return dict(given or {})


def prefixes(allow: Any) -> tuple[str, ...]:
    """The prefixes that a caller allows: one, or several. ArgumentError for what is none."""
    given = [allow] if isinstance(allow, str | os.PathLike) else allow
    if given is None:
        return ()
    if not isinstance(given, Iterable) or isinstance(given, Mapping):
        raise ArgumentError(f"allow is a list of prefixes of URLs and paths, not {shown(allow)}")
    return tuple(_prefix(each) for each in given)


def _prefix(given: Any) -> str:
    text = os.fspath(given) if isinstance(given, os.PathLike) else given
    if not isinstance(text, str) or not text:
        raise ArgumentError(f"a prefix that references may reach is a URL or a path, not {shown(given)}")
    text = local_path(normal(text))
    return text if _SCHEME.match(text) else os.path.abspath(text)


class Holders(Sequence[tuple[Store, str]]):
    """The stores and keys of what URLs name, each looked for when it is first needed; a store is made once."""

    def __init__(self, urls: Sequence[str], reach: Reach) -> None:
        self.urls, self.reach = urls, reach
        self._found: dict[int, tuple[Store, str]] = {}
        self._stores: dict[str, Store] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Holders, (self.urls, self.reach)

    def __len__(self) -> int:
        return len(self.urls)

    def __getitem__(self, number: Any) -> Any:
        if (found := self._found.get(number)) is None:
            root, key = self.reach.place(self.urls[number])
            found = self._found.setdefault(number, (self._store(root) if isinstance(root, str) else root, key))
        return found

    def stores(self) -> list[Store]:
        """The stores of which something was wanted, or of the first URL, each once."""
        if not self._found and self.urls:
            with suppress(GpuZarrError):  # who reads it is told
                self[0]
        return list({id(store): store for store, _ in list(self._found.values())}.values())

    def _store(self, root: str) -> Store:
        if (store := self._stores.get(root)) is None:
            store = self._stores.setdefault(root, self._made(root))
        return store

    def _made(self, root: str) -> Store:
        if not _SCHEME.match(root):
            return LocalStore(root)
        from gpuzarr.stores.finding import locations, resolve

        if root.startswith("memory://"):
            return resolve.store(root)
        return locations.place(root, dict(self.reach.options))

"""Files outside of an Icechunk repository, in which virtual chunks lie, where this library can read them itself.

These are files of this machine, of web servers, and of buckets that anybody may read: sessions do not give away their
credentials.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gpuzarr.errors import StoreError
from gpuzarr.stores.contract import Store
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.spread import each
from gpuzarr.stores.versions import versions

CONCURRENCY = 64  # requests at once, to learn versions
_PLAIN = re.compile(r"([a-z0-9]+)://([^/%?#\\@]*)/([^%?#\\]*)")
_S3 = ("S3", "S3Compatible")


class Containers:
    """The virtual chunk containers of a repository: where what is below a URL is read."""

    def __init__(self, containers: Mapping[str, Any]) -> None:
        self._by_prefix = sorted(containers.items(), key=lambda item: -len(item[0]))
        self._stores: dict[tuple[str, str], Store | None] = {}

    def place(self, url: str) -> tuple[Store, str] | None:
        """The store and the key of a file; None where that is not plain to see, or only the session can read it."""
        found = _PLAIN.fullmatch(url)
        container = next((each for prefix, each in self._by_prefix if url.startswith(prefix)), None)
        if found is None or container is None or {"", ".", ".."} & set(found[3].split("/")):
            return None
        store = self._store(container, found[1], found[2])
        return None if store is None else (store, found[3])

    def _store(self, container: Any, scheme: str, host: str) -> Store | None:
        name = (container.url_prefix, f"{scheme}://{host}")
        if name not in self._stores:
            self._stores[name] = _opened(container.store, *name)
        return self._stores[name]


def _opened(config: Any, prefix: str, url: str) -> Store | None:
    """The store for what lies below a URL; None where only the session can read it."""
    kind, options = type(config).__name__, getattr(config, "_0", None)
    if kind == "LocalFileSystem":
        return LocalStore("/", read_only=True) if url == "file://" else None
    if kind in _S3 and options is not None and not options.requester_pays:
        found = {"skip_signature": True, "region": options.region, "endpoint": options.endpoint_url}
        hosted = None if options.endpoint_url is None or options.force_path_style else True
        return _reached(url, {**found, "virtual_hosted_style_request": hosted})
    if kind == "Gcs" and not options:
        return _reached(url, {"skip_signature": True})
    return _reached(url, {}) if kind == "Http" and getattr(config, "_1", None) is None else None


def _reached(url: str, options: dict[str, Any]) -> Store | None:
    from gpuzarr.stores.remote.obstore_client import of_url
    from gpuzarr.stores.remote.store import RemoteStore

    try:
        given = {name: value for name, value in options.items() if value is not None}
        return RemoteStore(of_url(url, given), read_only=True)
    except StoreError:  # such as that obstore is not installed: the session reads it
        return None


def versions_of(places: Sequence[tuple[Store, str]]) -> list[Any]:
    """The version of each file; None where it cannot be told, or the file cannot be read."""
    found: list[Any] = [None] * len(places)

    def look(i: int) -> None:
        store, key = places[i]
        try:
            found[i] = versions(store, [key])[0]
        except StoreError:
            return

    each(look, range(len(places)), min(len(places), CONCURRENCY))
    return found


def are_near(prefixes: Iterable[str]) -> bool:
    """Whether all containers with such URLs are folders of this machine."""
    return all(prefix.startswith("file:") for prefix in prefixes)

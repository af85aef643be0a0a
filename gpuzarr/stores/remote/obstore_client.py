"""Client of obstore: S3, Google Cloud Storage, Azure and web servers.

Each request is a call of obstore that waits, made by a thread of its own: that takes 60 microseconds of a core, where
its coroutines take 100 to 170 (64 KiB from a server on the same machine). obstore itself tries again, with a growing
delay, what a server cannot do just now.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from gpuzarr.errors import ChangedError, StoreError
from gpuzarr.per_process import PerProcess
from gpuzarr.stores import library_threads
from gpuzarr.stores.finding import urls
from gpuzarr.stores.keys import joined
from gpuzarr.stores.ranges import MISSING
from gpuzarr.stores.remote.client import Answer, Asked, Deliver, no_names
from gpuzarr.stores.spread import each

CONCURRENCY = 128  # 20 ms a request are 6,400 requests a second
MAX_TRIES = 2  # of a request, each with the tries of obstore itself
MAX_PUT_BYTES = 16 << 20  # of one request; what is larger goes in parts
MAX_MADE = 64  # stores of obstore that are kept for whoever opens the same URL again
ENVIRONMENT = ("AWS_", "AZURE_", "GOOGLE_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy")
MAX_DELETED_KEYS = 1000  # of one request
BEYOND = ("416 ", "Wanted range starting at")  # of errors for a range that begins beyond the end of its object
TRANSPORT = {  # what obstore takes as `client_options`, and callers as options of their own
    *("allow_http", "allow_invalid_certificates", "connect_timeout", "default_content_type", "default_headers"),
    *("http1_only", "http2_only", "http2_keep_alive_interval", "http2_keep_alive_timeout", "pool_idle_timeout"),
    *("http2_keep_alive_while_idle", "pool_max_idle_per_host", "proxy_url", "timeout", "user_agent"),
}
_PLACE = ("endpoint", "account_name", "bucket", "container_name")  # of the configuration of a store
_XML = re.compile(r"<Code>([^<]*)</Code>.*?<Message>([^<]*)</Message>", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_CAUSE = re.compile(r'(?:message|error): "([^"]*)"')  # in what obstore tells of its inner parts, the innermost last
_REFUSED = re.compile(r"\b(?:401 Unauthorized|403 Forbidden)")

_MADE: PerProcess[dict[Any, Any]] = PerProcess(dict)


@dataclass(frozen=True)
class ObstoreClient:
    """A store of obstore as a client.

    `url` names it in messages: a location without credentials. `store`: one of `obstore.store`. `prefix`: the part of
    it that is the whole place, "" or a path without slashes at its ends. `where` tells clients apart, too: the server,
    the account and the bucket, of which a URL may name only some.
    """

    url: str
    store: Any = field(repr=False, compare=False)
    prefix: str = ""
    concurrency: int = CONCURRENCY
    tells_lengths: ClassVar[bool] = True  # each answer does
    where: tuple[Any, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        config = getattr(self.store, "config", {})
        object.__setattr__(self, "where", tuple(config.get(name) for name in _PLACE))

    def __repr__(self) -> str:
        return repr("/".join(filter(None, (self.url.rstrip("/"), self.prefix))))

    @property
    def is_web_server(self) -> bool:
        """Whether it is a web server, which lists no names and takes no objects."""
        return type(self.store).__name__ == "HTTPStore"

    @property
    def takes_suffixes(self) -> bool:
        """Whether a range may count from the end of an object whose length is unknown."""
        return type(self.store).__name__ != "AzureStore"

    @property
    def has_conditional_put(self) -> bool:
        return not self.is_web_server

    def fetch(self, asked: Sequence[Asked], deliver: Deliver) -> None:
        self._begin()
        each(lambda j: deliver(j, self._fetched(asked[j])), range(len(asked)), min(self.concurrency, len(asked)))

    def put(self, key: str, data: Any, if_version: Any = None) -> None:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if if_version == MISSING else "overwrite" if if_version is None else dict(if_version)
        put = partial(obstore.put, self.store, self._path(key), data, mode=mode, chunk_size=MAX_PUT_BYTES)
        try:
            self._called(key, "write", put)
        except (AlreadyExistsError, PreconditionError, FileNotFoundError) as error:
            if isinstance(error, FileNotFoundError) and if_version in (None, MISSING):  # nor is there a place for it
                raise StoreError(f"cannot write {key!r} of {self!r}: {_reason(error)}") from error
            raise ChangedError(f"{key!r} of {self!r} was changed by somebody else meanwhile") from error

    def delete(self, keys: Sequence[str]) -> None:
        import obstore

        for i in range(0, len(keys), MAX_DELETED_KEYS):
            some = keys[i : i + MAX_DELETED_KEYS]
            paths = [self._path(key) for key in some]
            try:
                self._called(some[0], "delete", partial(obstore.delete, self.store, paths))
            except FileNotFoundError:  # of one of them
                each(self._delete_one, some, self.concurrency)

    def names(self, prefix: str) -> list[str]:
        import obstore

        self._check_lists(prefix)
        found: Any = self._called(prefix, "list", partial(obstore.list_with_delimiter, self.store, self._path(prefix)))
        below = self._path(prefix)
        paths = [*found["common_prefixes"], *[one["path"] for one in found["objects"]]]
        return [path[len(below) :].strip("/") for path in paths]

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        import obstore

        self._check_lists(prefix)
        start = len(self.prefix) + 1 if self.prefix else 0
        below = self._path(prefix)
        pages = iter(obstore.list(self.store, below or None, chunk_size=1000))
        while (page := self._called(prefix, "list", partial(next, pages, None))) is not None:
            for one in page:
                if not below or one["path"].startswith(f"{below}/"):
                    yield one["path"][start:], one["size"]

    def why_read_only(self) -> str | None:
        return "a web server takes no objects" if self.is_web_server else None

    def below(self, path: str) -> ObstoreClient:
        return ObstoreClient(self.url, self.store, self._path(path), self.concurrency)

    def _path(self, key: str) -> str:
        if not key.isascii() and _SURROGATE.search(key):
            raise StoreError(f"{key!r} of {self!r} cannot be a key: it has no bytes in UTF-8")
        return joined(self.prefix, key)

    def _fetched(self, asked: Asked) -> Answer | None:
        """Make one request. A body that breaks off is asked for again."""
        for attempt in range(MAX_TRIES):
            try:
                return self._called(asked.key, "read", partial(self._answer, asked, attempt > 0))
            except FileNotFoundError:
                return None
            except StoreError:
                if attempt == MAX_TRIES - 1:
                    raise
        raise AssertionError

    def _answer(self, asked: Asked, is_again: bool = False) -> Answer:
        import obstore

        path = self._path(asked.key)
        if asked.size == 0:
            return _told(obstore.head(self.store, path), None)
        if asked.offset < 0 and (is_again or not self.takes_suffixes):  # some web servers take none, either
            length = obstore.head(self.store, path)["size"]
            asked = asked._replace(offset=max(length + asked.offset, 0), size=-1)
        key_range = _range(asked)
        try:
            result = obstore.get(self.store, path, options={"range": key_range} if key_range else None)
        except obstore.exceptions.GenericError as error:
            if not any(told in str(error) for told in BEYOND):
                raise
            return _told(obstore.head(self.store, path), b"")  # the range begins beyond its end
        if asked.most is not None and result.meta["size"] > asked.most:
            return _told(result.meta, None)
        data, (first, last) = result.bytes(), result.range
        if len(data) != last - first:
            raise StoreError(f"cannot read {asked.key!r} of {self!r}: {len(data)} bytes came, not {last - first}")
        return _told(result.meta, data)

    def _called(self, key: str, what: str, call: Callable[[], Any]) -> Any:
        """Call obstore. StoreError, naming the key, for its errors but those that tell of missing or other objects."""
        self._begin()
        from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError

        try:
            return call()
        except (FileNotFoundError, AlreadyExistsError, PreconditionError):
            raise
        except (BaseError, OSError, ValueError) as error:
            raise StoreError(f"cannot {what} {key!r} of {self!r}: {_reason(error)}") from _without_secrets(error)

    def _delete_one(self, key: str) -> None:
        import obstore

        try:
            self._called(key, "delete", partial(obstore.delete, self.store, self._path(key)))
        except FileNotFoundError:
            return

    def _begin(self) -> None:
        library_threads.use("obstore", repr(self))

    def _check_lists(self, prefix: str) -> None:
        if self.is_web_server:
            raise no_names(self, prefix, "a web server")


def _range(asked: Asked) -> Any:
    """The range as obstore takes it; None for the whole object."""
    if asked.offset < 0:
        return {"suffix": -asked.offset}
    if asked.size < 0:
        return {"offset": asked.offset} if asked.offset else None
    return asked.offset, asked.offset + asked.size


def _told(meta: Any, data: Any) -> Answer:
    """An answer with what obstore tells of an object. Its version can be asked for by `put`."""
    named = tuple((name, meta[name]) for name in ("e_tag", "version") if meta.get(name) is not None)
    return Answer(data, meta["size"], named or None)


def _reason(error: BaseException) -> str:
    """What an error of obstore says, in a line and without secrets, and what may help."""
    head, _, inner = str(error).partition("Debug source:")
    text = " ".join(head.split())
    if text.endswith("error sending request") and (causes := _CAUSE.findall(inner)):
        text += f": {causes[-1]}"
    if (said := _XML.search(text)) is not None:  # what an object store answers
        text = f"{text.partition('<')[0]}{said[1]}: {said[2]}"
    text = _without_queries(text)[:600]  # of URLs, which may be signatures
    if _REFUSED.search(text) or type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError"):
        text += "; public data: storage_options={'skip_signature': True}"
    if "Range request not supported" in text:
        text += "; this server gives whole objects only: download it, and open the file"
    return text


def _without_secrets(error: BaseException) -> BaseException:
    """The same error without the queries of URLs in its text, as the cause of another."""
    if "?" not in str(error):
        return error
    return Exception(f"{type(error).__name__}: {_without_queries(str(error))}")


def _without_queries(text: str) -> str:
    return re.sub(r"\?[^\s'\"]*", "", text)


def of_url(url: str, storage_options: dict[str, Any] | None = None) -> ObstoreClient:
    """Client for s3://, gs://, az://, abfs://, http:// and https:// URLs.

    `storage_options`: what `obstore.store.from_url` takes: keys of its configuration (`region`, `endpoint`,
    `access_key_id`, `skip_signature`, ...), `client_options`, `retry_config`, `credential_provider`; and `concurrency`.
    StoreError where obstore is not installed, or takes no such URL or option.
    """
    options = dict(storage_options or {})
    concurrency = int(options.pop("concurrency", CONCURRENCY))
    try:
        from obstore.store import HTTPStore, from_url
    except ImportError as error:
        raise StoreError(f"{urls.shown(url)!r} needs obstore: pip install 'gpuzarr[remote]'") from error
    parts = urlsplit(url)
    is_web = parts.scheme.lower() in ("http", "https")  # also of hosts of S3 and Azure, which need no credentials then
    transport = {name: options.pop(name) for name in TRANSPORT & options.keys()}
    if is_web and "@" in parts.netloc:  # obstore would tell it in messages
        transport["default_headers"] = {"Authorization": _basic(parts.username or "", parts.password or "")}
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if "http://" in url or str(options.get("endpoint", "")).startswith("http://"):
        transport = {"allow_http": True, **transport}
    if transport:
        options["client_options"] = {**transport, **options.get("client_options", {})}
    make: Callable[..., Any] = HTTPStore.from_url if is_web else from_url
    try:
        store = _made(make, url.rstrip("/"), options)
    except BaseException as error:  # of many classes of obstore, also that of a panic of Rust
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise StoreError(
            f"obstore takes no {urls.shown(url)!r} with such options: {_reason(error)}"
        ) from _without_secrets(error)
    return ObstoreClient(plain_url(parts.geturl()), store, "", concurrency)


def _made(make: Callable[..., Any], url: str, options: dict[str, Any]) -> Any:
    """A store of obstore: the same one for the same URL and options, with its open connections.

    Making one takes 50 milliseconds, of which most is for the certificates of the system. What it takes from the
    environment counts, too. Options that are objects are not compared.
    """
    try:
        words = json.dumps(options, sort_keys=True)
    except TypeError:
        return make(url, **options)
    around = sorted(item for item in os.environ.items() if item[0].startswith(ENVIRONMENT))
    made = _MADE.value
    if (store := made.get(name := (make.__qualname__, url, words, tuple(around)))) is None:
        store = made[name] = make(url, **options)
        while len(made) > MAX_MADE:
            made.pop(next(iter(made)), None)
    return store


def _basic(user: str, password: str) -> str:
    """The header by which a web server knows a user."""
    pair = f"{unquote(user)}:{unquote(password)}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def plain_url(url: str) -> str:
    """A URL as it names a client: without secrets, and without a query or slashes at its end."""
    return urls.shown(url).partition("?")[0].rstrip("/")

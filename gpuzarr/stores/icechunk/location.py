"""Stores of what users have of Icechunk: a repository, a session, a session's store, or a location."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlsplit

from gpuzarr.errors import StoreError
from gpuzarr.stores import library_threads
from gpuzarr.stores.contract import Store
from gpuzarr.stores.finding import urls
from gpuzarr.stores.icechunk.store import SessionStore
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.remote.store import RemoteStore
from gpuzarr.stores.remote.zarr_client import ZarrClient

INSTALL = "pip install 'gpuzarr[icechunk]'"
_KEY = re.compile(r"(?:.*/)?(?:zarr\.json|c(?:/\d+)*)", re.DOTALL)  # of what a session holds
_ABSENT = re.compile(r"node not found|not an array at|invalid chunk index")  # in errors of a session
_PROVIDER, _PATH = b"local_file_system_object_store_provider", b"\xa4path"  # in a session as bytes


def store_of(thing: Any) -> Store:
    """Store for a repository (what its main branch is now, to be read), a session, or the store of a session."""
    library_threads.use("icechunk", "an Icechunk repository")
    if hasattr(thing, "readonly_session"):
        thing = thing.readonly_session("main")
    store = getattr(thing, "store", thing)
    return _store(store, _chunks(store))


def of_location(
    place: str,
    *,
    branch: str | None = None,
    tag: str | None = None,
    snapshot: str | None = None,
    storage_options: dict[str, Any] | None = None,
) -> Store:
    """Store for the repository at a path or a URL, to be read: at the end of a branch ("main"), a tag or a snapshot.

    `storage_options`: as obstore takes them for the URL; and `authorize_virtual_chunk_access`, as
    `icechunk.Repository.open` takes it: without it chunks that lie outside of the repository are refused.
    StoreError where icechunk is not installed, or finds no such repository, or no such version of it.
    """
    options = dict(storage_options or {})
    authorized = options.pop("authorize_virtual_chunk_access", None)
    library_threads.use("icechunk", repr(urls.shown(place)))
    storage = _storage(place, options)
    import icechunk

    try:
        repository = icechunk.Repository.open(storage, authorize_virtual_chunk_access=authorized)
        which: dict[str, Any] = (
            {"tag": tag} if tag else {"snapshot_id": snapshot} if snapshot else {"branch": branch or "main"}
        )
        session = repository.readonly_session(**which)
    except icechunk.IcechunkError as error:
        raise StoreError(f"cannot open the Icechunk repository {urls.shown(place)!r}: {_reason(error)}") from error
    return _store(session.store, _of_place(place, options))


def _of_place(place: str, options: dict[str, Any]) -> Store:
    """Where the native chunks of the repository at a location lie."""
    if (folder := _folder(place)) is not None:
        return LocalStore(os.path.join(folder, "chunks"), read_only=True)
    from gpuzarr.stores.remote.obstore_client import of_url

    return RemoteStore(of_url(f"{place.rstrip('/')}/chunks", options), read_only=True)


def _storage(place: str, options: dict[str, Any]) -> Any:
    """The storage of icechunk at a location, for options of obstore."""
    try:
        import icechunk
    except ImportError as error:
        raise StoreError(f"{urls.shown(place)!r} is an Icechunk repository: {INSTALL}") from error
    if (folder := _folder(place)) is not None:
        if not os.path.isdir(folder):  # else it is made
            raise StoreError(f"there is no Icechunk repository at {place!r}")
        return icechunk.local_filesystem_storage(folder)
    parts = urlsplit(place)
    make = {"s3": _s3, "s3a": _s3, "gs": _gs, "gcs": _gs, "az": _az, "azure": _az, "http": _http, "https": _http}
    if parts.scheme not in make:
        raise StoreError(f"no Icechunk repository is read from a {parts.scheme} URL ({urls.shown(place)!r})")
    return make[parts.scheme](icechunk, place, parts.netloc, parts.path.strip("/"), options)


def _s3(icechunk: Any, place: str, bucket: str, prefix: str, options: dict[str, Any]) -> Any:
    secrets = {name: options.get(name) for name in ("access_key_id", "secret_access_key", "session_token")}
    endpoint, anonymous = options.get("endpoint"), _is_true(options.get("skip_signature")) or None
    return icechunk.s3_storage(
        bucket=bucket,
        prefix=prefix or None,
        region=options.get("region"),
        endpoint_url=endpoint,
        allow_http=str(endpoint or "").startswith("http://"),
        anonymous=anonymous,
        from_env=None if anonymous or any(secrets.values()) else True,
        force_path_style=endpoint is not None and not _is_true(options.get("virtual_hosted_style_request")),
        **secrets,
    )


def _gs(icechunk: Any, place: str, bucket: str, prefix: str, options: dict[str, Any]) -> Any:
    names = {"service_account": "service_account_file", "service_account_key": "service_account_key"}
    names["application_credentials"] = "application_credentials"
    secrets = {names[name]: options[name] for name in names if name in options}
    anonymous = _is_true(options.get("skip_signature")) or None
    from_env = None if anonymous or secrets else True
    return icechunk.gcs_storage(bucket=bucket, prefix=prefix or None, anonymous=anonymous, from_env=from_env, **secrets)


def _az(icechunk: Any, place: str, container: str, prefix: str, options: dict[str, Any]) -> Any:
    names = {"account_key": "access_key", "sas_key": "sas_token", "token": "bearer_token"}
    secrets = {names[name]: options[name] for name in names if name in options}
    account = options.get("account_name") or os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", "")
    from_env = None if secrets else True
    return icechunk.azure_storage(account=account, container=container, prefix=prefix, from_env=from_env, **secrets)


def _http(icechunk: Any, place: str, host: str, path: str, options: dict[str, Any]) -> Any:
    if not hasattr(icechunk, "http_storage"):
        raise StoreError(f"{urls.shown(place)!r} needs a newer Icechunk: {INSTALL}")
    return icechunk.http_storage(place, opts={"allow_http": "true"} if place.startswith("http://") else None)


def _folder(place: str) -> str | None:
    """The folder of this machine that a location is."""
    path = urls.path_of(place)
    return place if path is None and urls.scheme(place) is None else path


def _is_true(value: Any) -> bool:
    return value is True or str(value).lower() in ("true", "1", "yes")


def _reason(error: BaseException) -> str:
    """The first line of an error of icechunk; what follows is of its inner parts."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _store(store: Any, chunks: Store | None) -> Store:
    return SessionStore(RemoteStore(ZarrClient(store, keys_like=_KEY, absent=_ABSENT)), chunks)


def _chunks(store: Any) -> Store | None:
    """Where the native chunks of a session lie, if that is a folder of this machine; None where nothing tells.

    A session does not say it, but its pickled form does. (Chunks are never changed, and their ids are random: what is
    found by one is that chunk, or nothing.)
    """
    try:
        state = bytes(store._store.session.as_bytes())
    except Exception:  # of an inner class of icechunk
        return None
    at = state.find(_PATH, max(state.find(_PROVIDER), 0)) + len(_PATH)
    if _PROVIDER not in state or at < len(_PATH):
        return None
    folder = _text(state, at)
    return LocalStore(os.path.join(folder, "chunks"), read_only=True) if os.path.isdir(folder) else None


def _text(state: bytes, at: int) -> str:
    """The text of MessagePack at an offset; "" where there is none."""
    kind = state[at]
    if 0xA0 <= kind <= 0xBF:
        start, size = at + 1, kind & 0x1F
    elif kind in (0xD9, 0xDA):
        start = at + kind - 0xD9 + 2
        size = int.from_bytes(state[at + 1 : start], "big")
    else:
        return ""
    return state[start : start + size].decode(errors="replace")

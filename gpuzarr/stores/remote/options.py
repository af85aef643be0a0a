"""`storage_options` for URLs that obstore reaches, in its words: those of s3fs, gcsfs, adlfs and fsspec's HTTP, too.

What means the same has the name of obstore; what tunes caches and buffers of those packages has no effect here; what
has no equal is refused by name. Everything else is passed on as it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from gpuzarr.checks import shown
from gpuzarr.errors import StoreKindError
from gpuzarr.stores.finding import urls

ALIASES = {"gcs": "gs"}  # schemes of fsspec, and the names that obstore has for them
OTHER_NAMES = {
    "s3": {
        "anon": "skip_signature",
        "key": "access_key_id",
        "username": "access_key_id",
        "secret": "secret_access_key",
        "password": "secret_access_key",
        "token": "session_token",
        "endpoint_url": "endpoint",
        "region_name": "region",
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
        "requester_pays": "request_payer",
    },
    "gs": {"anon": "skip_signature"},
    "az": {"anon": "skip_signature", "sas_token": "sas_key", "account_host": "endpoint"},
    "http": {},
}
NEEDLESS = {  # of which nothing here depends: caches, buffers and loops of fsspec
    *("asynchronous", "loop", "batch_size", "skip_instance_cache", "use_listings_cache", "listings_expiry_time"),
    *("max_paths", "default_block_size", "block_size", "default_fill_cache", "default_cache_type", "cache_type"),
    *("default_cache_options", "cache_options", "cache_regions", "cache_timeout", "max_concurrency", "simple_links"),
    *("same_scheme", "size_policy", "encoded", "check", "create", "auto_mkdir", "consistency", "project", "location"),
    *("fixed_upload_size", "version_aware", "same_names"),
}
Options = dict[str, Any]


def translated(url: str, given: Mapping[str, Any] | None) -> tuple[str, Options]:
    """The URL and the options as obstore takes them. StoreKindError, naming the option, for what has no equal there."""
    scheme = urls.scheme(url) or ""
    kind = urls.OBJECT_SCHEMES[scheme]
    url = ALIASES.get(scheme, scheme) + url[len(scheme) :]
    options = {name: value for name, value in (given or {}).items() if value is not None and name not in NEEDLESS}
    found = {"s3": _s3, "gs": _gs, "az": _az, "http": _http}[kind](options)
    names = OTHER_NAMES[kind]
    made: Options = {}
    for name, value in found.items():
        if (to := names.get(name, name)) in made:
            raise StoreKindError(f"storage_options has {to!r} twice for {urls.shown(url)!r}: also as {name!r}")
        made[to] = value if isinstance(value, dict) or callable(value) else _text(value)
    return url, made


def _text(value: Any) -> Any:
    """Numbers as text: obstore takes texts and booleans."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _refused(name: str, instead: str) -> StoreKindError:
    return StoreKindError(f"the storage option {name!r} is not supported: {instead}, or give a file system of fsspec")


def _mapping(options: Options, name: str) -> Options:
    """Take a mapping out of options."""
    value = options.pop(name, None) or {}
    if not isinstance(value, Mapping):
        raise StoreKindError(f"the storage option {name!r} is a dict, not {shown(value)}")
    return dict(value)


def _s3(options: Options) -> Options:
    """The options of s3fs, of which some are those of boto's client."""
    if "profile" in options:
        instead = "credential_provider=obstore.auth.boto3.Boto3CredentialProvider(boto3.Session(profile_name=...))"
        raise _refused("profile", f"give {instead}")
    if "session" in options:
        raise _refused("session", "give credential_provider=obstore.auth.boto3.Boto3CredentialProvider(session)")
    client, boto = _mapping(options, "client_kwargs"), _mapping(options, "config_kwargs")
    boto |= _mapping(client, "config") if isinstance(client.get("config"), Mapping) else {}
    _mapping(options, "s3_additional_kwargs")
    use_ssl, verify = options.pop("use_ssl", client.pop("use_ssl", True)), client.pop("verify", True)
    style = _mapping(boto, "s3").get("addressing_style")
    unsigned = boto.get("signature_version")
    transport: Options = {}
    for name, to in {"connect_timeout": "connect_timeout", "read_timeout": "timeout"}.items():
        if name in boto:
            transport[to] = f"{boto[name]}s"
    if verify is False:
        transport["allow_invalid_certificates"] = True
    if style in ("path", "virtual"):
        options.setdefault("virtual_hosted_style_request", style == "virtual")
    if unsigned is not None and str(unsigned).upper().find("UNSIGNED") >= 0:
        options.setdefault("skip_signature", True)
    for name, value in client.items():
        if name not in OTHER_NAMES["s3"]:
            raise _refused(f"client_kwargs[{name!r}]", "give what obstore.store.S3Store takes")
        options.setdefault(name, value)
    if not use_ssl:
        transport["allow_http"] = True
    return _with_transport(options, transport)


def _gs(options: Options) -> Options:
    """The options of gcsfs: `token` is a way, a file, or the document of a service account."""
    options.pop("access", None)
    if "requester_pays" in options and options.pop("requester_pays"):
        raise _refused("requester_pays", "give what obstore.store.GCSStore takes")
    token = options.pop("token", None)
    if token == "anon":
        options["skip_signature"] = True
    elif isinstance(token, Mapping):
        options["service_account_key"] = json.dumps(dict(token))
    elif isinstance(token, str) and token not in ("google_default", "cloud"):
        if not os.path.isfile(os.path.expanduser(token)):
            raise _refused(f"token={shown(token)}", "give 'anon', the file of a service account, or its document")
        options["application_credentials"] = os.path.expanduser(token)
    elif token is not None and not isinstance(token, str):
        raise _refused("token", "give 'anon', the file of a service account, or its document")
    return options


def _az(options: Options) -> Options:
    """The options of adlfs, also those in a connection string."""
    if (text := options.pop("connection_string", None)) is not None:
        pairs = dict(part.split("=", 1) for part in str(text).split(";") if "=" in part)
        names = {"AccountName": "account_name", "AccountKey": "account_key", "BlobEndpoint": "endpoint"}
        options |= {names[name]: value for name, value in pairs.items() if name in names}
        if "SharedAccessSignature" in pairs:
            options["sas_token"] = pairs["SharedAccessSignature"]
    credential = options.pop("credential", None)
    if isinstance(credential, str):
        options["account_key"] = credential
    elif credential is not None:
        instead = "give credential_provider=obstore.auth.azure.AzureCredentialProvider(credential)"
        raise _refused("credential", instead)
    return options


def _http(options: Options) -> Options:
    """The options of fsspec's file system for HTTP."""
    client = _mapping(options, "client_kwargs")
    headers = {**_mapping(client, "headers"), **_mapping(options, "headers")}
    if client:
        raise _refused(f"client_kwargs[{next(iter(client))!r}]", "give client_options as obstore takes them")
    return _with_transport(options, {"default_headers": headers} if headers else {})


def _with_transport(options: Options, transport: Options) -> Options:
    """Options with more of what is said of connections; what the caller says in obstore's words goes first."""
    given = _mapping(options, "client_options")
    merged = {**transport, **given}
    return {**options, "client_options": merged} if merged else options

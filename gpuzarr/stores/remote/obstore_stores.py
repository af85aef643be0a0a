"""Stores of obstore, as users make them, as stores of this library."""

from __future__ import annotations

import os
from typing import Any

from gpuzarr.stores.contract import Store
from gpuzarr.stores.local.store import LocalStore
from gpuzarr.stores.remote.obstore_client import ObstoreClient, plain_url
from gpuzarr.stores.remote.store import RemoteStore

SCHEMES = {"S3Store": "s3", "GCSStore": "gs", "AzureStore": "az"}


def store_of(store: Any) -> Store:
    """Store for one of obstore. Files of this machine are read without it."""
    if type(store).__name__ == "LocalStore":
        return LocalStore(str(store.prefix or os.sep))
    return RemoteStore(ObstoreClient(url_of(store), store))


def url_of(store: Any) -> str:
    """URL that names a store of obstore in messages, and tells it from others; without secrets."""
    name = type(store).__name__
    if name == "HTTPStore":
        return plain_url(store.url)
    if name not in SCHEMES:
        return f"{name}://{id(store):#x}"
    config = store.config
    bucket = config.get("bucket") or config.get("container_name") or config.get("container")
    endpoint = config.get("endpoint") or config.get("aws_endpoint") or config.get("azure_endpoint")
    account = f"{config['account_name']}." if config.get("account_name") else ""
    place = f"{plain_url(endpoint)}/{bucket}" if endpoint else f"{SCHEMES[name]}://{account}{bucket}"
    return f"{place}/{store.prefix}" if store.prefix else place

"""What may be a secret is in no message, no `repr` and no cause of an error."""

from __future__ import annotations

import traceback
from typing import Any

import numpy as np
import pytest

import gpuzarr
from benchmarks.latency_server import serving
from gpuzarr.stores.finding import urls
from gpuzarr.stores.remote.obstore_client import of_url

pytest.importorskip("obstore")
SECRET = "S3CRET"
NO_RETRIES = {"retry_config": {"max_retries": 0}}
S3 = {"endpoint": "http://127.0.0.1:9", "region": "us-east-1", **NO_RETRIES}
PLACES: list[tuple[str, dict[str, Any]]] = [
    (f"http://user:{SECRET}@127.0.0.1:9/x.zarr", NO_RETRIES),
    (f"http://127.0.0.1:9/x.zarr?X-Amz-Signature={SECRET}", NO_RETRIES),
    (f"http://user:{SECRET}@127.0.0.1:9/x.zip|zip:", NO_RETRIES),
    ("s3://bucket/x", {"access_key_id": "AK", "secret_access_key": SECRET, **S3}),
    (
        "s3://bucket/x",
        {"key": "AK", "secret": SECRET, "client_kwargs": {"endpoint_url": "http://127.0.0.1:9"}, **NO_RETRIES},
    ),
    ("s3://bucket/x", {"nonsense": SECRET}),
    ("az://container/x", {"account_name": "a", "account_key": SECRET}),
    (f"nosuch://user:{SECRET}@host/x", {}),
]


@pytest.mark.parametrize(("url", "options"), PLACES)
def test_errors_tell_no_secret(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(gpuzarr.GpuZarrError) as caught:
        gpuzarr.open(url, storage_options=options)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in str(error) and SECRET not in repr(error)
        error = error.__cause__ or error.__context__
    assert SECRET not in "".join(traceback.format_exception_only(caught.value))


def test_a_user_is_known_to_a_web_server_and_not_told(tmp_path: Any) -> None:
    gpuzarr.save_array(tmp_path / "a", np.arange(3))
    with serving(tmp_path) as server:
        a = gpuzarr.open_array(server.url.replace("://", f"://user:{SECRET}@") + "/a", device="cpu")
        assert a[2] == 2
        for text in (repr(a), repr(a.store), str(a.info), str(a.store_path), repr(a.store.client), a.__doc__):
            assert SECRET not in text and "@" not in text
        assert server.url in repr(a)


def test_what_obstore_takes_for_connections_may_stand_beside_the_rest() -> None:
    """Of which it panics."""
    client = of_url(
        "s3://bucket/a", {"allow_http": True, "timeout": "5s", "region": "us-east-1", "skip_signature": True}
    )
    assert set(client.store.client_options) == {"allow_http", "timeout"}


def test_a_container_is_no_secret() -> None:
    url = "abfs://container@account.dfs.core.windows.net/a"
    assert urls.shown(url) == url == of_url(url, {"account_key": "a2V5"}).url


def test_the_same_url_at_other_servers_and_accounts_is_another_place() -> None:
    """Else a cache, or a lock, of one would be that of the other."""
    options = {"region": "us-east-1", "skip_signature": True}
    one = of_url("s3://bucket/a", {"endpoint": "http://127.0.0.1:9", **options})
    assert one == of_url("s3://bucket/a", {"endpoint": "http://127.0.0.1:9", **options})
    assert one != of_url("s3://bucket/a", {"endpoint": "http://127.0.0.1:10", **options})
    key = {"account_key": "a2V5"}
    assert of_url("az://c/a", {"account_name": "x", **key}) != of_url("az://c/a", {"account_name": "y", **key})
    host = "account.dfs.core.windows.net"
    assert of_url(f"abfs://c1@{host}/a", key) != of_url(f"abfs://c2@{host}/a", key)
    assert one.below("x") == of_url("s3://bucket/a", {"endpoint": "http://127.0.0.1:9", **options}).below("x")

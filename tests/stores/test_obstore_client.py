"""Stores of obstore are made once for the same place, options and environment."""

from __future__ import annotations

from typing import Any

import pytest

from gpuzarr.stores.remote.obstore_client import MAX_MADE, of_url

PLACE: dict[str, Any] = {"region": "us-east-1", "skip_signature": True}


def test_the_same_place_is_one_store(monkeypatch: pytest.MonkeyPatch) -> None:
    first = of_url("s3://bucket/a", PLACE).store
    assert of_url("s3://bucket/a/", dict(reversed(PLACE.items()))).store is first
    others = [of_url("s3://bucket/b", PLACE), of_url("s3://bucket/a", PLACE | {"region": "eu-west-1"})]
    monkeypatch.setenv("AWS_ENDPOINT", "https://example.org")
    others.append(of_url("s3://bucket/a", PLACE))
    assert all(other.store is not first for other in others)
    monkeypatch.delenv("AWS_ENDPOINT")
    assert of_url("s3://bucket/a", PLACE | {"concurrency": 3}).store is first


def test_few_are_kept() -> None:
    first = of_url("s3://bucket/first", PLACE).store
    for i in range(MAX_MADE):
        of_url(f"s3://bucket/{i}", PLACE)
    assert of_url("s3://bucket/first", PLACE).store is not first

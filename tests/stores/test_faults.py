"""What servers and networks do wrong, one thing at a time: it is tried again, or is an error that names the key.

The answers of a real web server are broken by a proxy. Chunks without a codec show every wrong byte as a wrong value.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.errors import GpuZarrError
from gpuzarr.stores.remote import retry
from tests.servers import faults
from tests.servers.faults import Fault, Proxy, status
from tests.servers.real import Web

VALUES = np.arange(96 * 40, dtype="<u4").reshape(96, 40)
KEY = "c/1/0"  # of the chunk, or the shard, whose answers are broken
QUICK = {"init_backoff": timedelta(milliseconds=10), "max_backoff": timedelta(milliseconds=50), "base": 2}
OPTIONS = {
    "retry_config": {"max_retries": 3, "backoff": QUICK, "retry_timeout": timedelta(seconds=20)},
    "client_options": {"timeout": "1s"},
}
LAYOUTS: dict[str, dict[str, Any]] = {
    "chunks": {"chunks": (16, 40)},
    "shards": {"chunks": (4, 20), "shards": (16, 40)},
}

PASSING: dict[str, Fault] = {  # what must have been tried again
    "500": status(500),
    "503": status(503),
    "503, with the seconds to wait": status(503, Retry_After="0"),
    "a reset before the head": lambda said: [faults.RESET],
    "a reset in the body": faults.reset_in_body,
    "a body that ends too early": faults.truncated,
    "a stalled body": faults.stalled,
}
WRONG: dict[str, Fault] = {  # what may be tried again, or is an error
    "a body without its last bytes": faults.too_short,
    "no HTTP": faults.garbage,
    "403": status(403),
    "a redirect to nowhere": status(302, Location="http://127.0.0.1:9/nothing"),
}
WRONG_RANGES: dict[str, tuple[Fault, str]] = {  # with the header that the server does not see
    "another range": (faults.shifted, ""),
    "all instead of a range": (faults.of_all, "Range"),
    "200 for a range": (faults.of_all, ""),
}


def by_obstore(url: str) -> Any:
    pytest.importorskip("obstore")
    return gpuzarr.open_array(url, storage_options=OPTIONS, device="cpu")


def by_fsspec(url: str) -> Any:
    fsspec = pytest.importorskip("fsspec")
    pytest.importorskip("aiohttp")
    return gpuzarr.open_array(fsspec.get_mapper(url), device="cpu")


CLIENTS: dict[str, Callable[[str], Any]] = {"obstore": by_obstore, "fsspec": by_fsspec}


def test_why_a_server_cannot_be_reached_is_told() -> None:
    pytest.importorskip("obstore")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"retry_config": {"max_retries": 0}}
    with pytest.raises(gpuzarr.StoreError, match=r"'zarr.json' of 'http://127.*/c/403': .*Connection refused$"):
        gpuzarr.open(f"http://127.0.0.1:{port}/c/403", storage_options=options)


@pytest.fixture(params=CLIENTS)
def opened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Open an array by one of the clients."""
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.01)
    return CLIENTS[request.param]


@pytest.fixture
def proxy(nginx: Web, faulty: Callable[[int], Proxy]) -> Proxy:
    return faulty(nginx.port)


@pytest.fixture(params=[("obstore", "chunks"), ("obstore", "shards"), ("fsspec", "shards")], ids=", ".join)
def opening(
    request: pytest.FixtureRequest, nginx: Web, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Any]:
    """Open an array behind the proxy."""
    monkeypatch.setattr(retry, "FIRST_PAUSE_SECONDS", 0.01)
    client, layout = request.param
    return partial(CLIENTS[client], made(nginx, proxy, layout))


def made(nginx: Web, proxy: Proxy, layout: str) -> str:
    place, folder = nginx.place()
    gpuzarr.save_array(folder / "a", VALUES, compressors=None, **LAYOUTS[layout])
    return f"{proxy.url}/{place.rpartition('/')[2]}/a"


def is_right(array: Any) -> bool:
    """Whether all reads are right: of all of it, of a part of one chunk, and of many. False: an error names the key."""
    reads = [
        lambda: [array[...]],
        lambda: [array[20:24, 3:9]],
        lambda: array.get_many([np.s_[17:30, 5], np.s_[::5, 2]]),
    ]
    wanted = [[VALUES], [VALUES[20:24, 3:9]], [VALUES[17:30, 5], VALUES[::5, 2]]]
    for read, values in zip(reads, wanted, strict=True):
        try:
            found = read()
        except GpuZarrError as error:
            assert KEY in str(error), error
            return False
        for one, other in zip(found, values, strict=True):
            np.testing.assert_array_equal(one, other)
    return True


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_tried_again(fault: str, proxy: Proxy, opening: Callable[[], Any]) -> None:
    array = opening()
    for after in (0, 1):
        proxy.heal()
        proxy.inject(PASSING[fault], KEY, after=after, times=1)
        assert is_right(array)
        assert proxy.rules[0].times == 0


@pytest.mark.parametrize("fault", [name for name in PASSING if name != "a stalled body"])
def test_what_does_not_pass_is_an_error(fault: str, proxy: Proxy, opening: Callable[[], Any]) -> None:
    array = opening()
    proxy.inject(PASSING[fault], KEY)
    assert not is_right(array)
    proxy.heal()
    assert is_right(array)


@pytest.mark.parametrize("times", [1, 100])
@pytest.mark.parametrize("fault", WRONG)
def test_no_value_is_wrong(fault: str, times: int, proxy: Proxy, opening: Callable[[], Any]) -> None:
    array = opening()
    proxy.inject(WRONG[fault], KEY, times=times)
    assert not is_right(array) or times == 1
    proxy.heal()
    assert is_right(array)


@pytest.mark.parametrize("times", [1, 100])
@pytest.mark.parametrize("fault", WRONG_RANGES)
def test_wrong_ranges_give_no_wrong_value(
    fault: str, times: int, nginx: Web, proxy: Proxy, opened: Callable[[str], Any]
) -> None:
    array = opened(made(nginx, proxy, "shards"))
    broken, dropped = WRONG_RANGES[fault]
    proxy.inject(broken, KEY, times=times, drop=dropped)
    is_right(array)
    assert proxy.rules[0].times < times
    proxy.heal()
    assert is_right(array)


@pytest.mark.parametrize("times", [1, 100])
@pytest.mark.parametrize("after", range(3))
def test_versions_of_an_object_are_not_mixed(after: int, times: int, nginx: Web, proxy: Proxy) -> None:
    """By obstore: file systems of fsspec tell no versions with the bytes."""
    array = by_obstore(made(nginx, proxy, "shards"))
    proxy.inject(faults.of_other_version, KEY, after=after, times=times)
    assert is_right(array) or times == 100 or after < 2
    proxy.heal()
    assert is_right(array)


def test_a_kept_index_is_of_the_object_that_is_read(nginx: Web, tmp_path: Path, opened: Callable[[str], Any]) -> None:
    """The shard is replaced by one whose chunks lie elsewhere."""
    place, folder = nginx.place()
    for name, values in (("a", VALUES), ("b", VALUES % 11)):
        gpuzarr.save_array(folder / name, values, chunks=(4, 20), shards=(16, 40))
    array = opened(f"{place}/a")
    np.testing.assert_array_equal(array[16:32], VALUES[16:32])
    (folder / "b" / KEY).replace(folder / "a" / KEY)
    for _ in range(2):
        np.testing.assert_array_equal(array[18:19, 30:], VALUES[18:19, 30:] % 11)


def test_a_silent_server_is_asked_again(nginx: Web, proxy: Proxy) -> None:
    array = by_obstore(made(nginx, proxy, "chunks"))
    proxy.inject(faults.silent, KEY, times=1)
    assert is_right(array) and proxy.rules[0].times == 0


def test_a_missing_chunk_is_the_fill_value(proxy: Proxy, opening: Callable[[], Any]) -> None:
    array = opening()
    proxy.inject(status(404), KEY)
    found = array[...]
    assert (found[16:32] == 0).all() and (found[:16] == VALUES[:16]).all() and (found[32:] == VALUES[32:]).all()


def test_metadata_that_cannot_be_read_is_no_missing_array(proxy: Proxy, opening: Callable[[], Any]) -> None:
    proxy.inject(status(503), "zarr.json")
    with pytest.raises(GpuZarrError, match=r"zarr\.json") as caught:
        opening()
    assert not isinstance(caught.value, FileNotFoundError)

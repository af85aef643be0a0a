"""The benchmarks' server does what HTTP and S3 say, never earlier than its latency, never faster than its bandwidth."""

from __future__ import annotations

import http.client
import shutil
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.latency_server import LatencyServer, Stats, serving

if shutil.which("cc") is None:
    pytest.skip("no C compiler", allow_module_level=True)

DATA = np.random.default_rng(3).bytes(100_000)
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in {"b/one": DATA, "b/a&b/ü x": b"two", "b/a&b/c/d": b"", "b/empty/": None}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).mkdir() if data is None else (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[LatencyServer]:
    with serving(folder, writable=True) as server:
        yield server


Answer = tuple[int, dict[str, str], bytes]


def ask(server: LatencyServer, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def rest(client: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    return b"".join(iter(lambda: client.recv(4096), b""))


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("0-0", 0, 0), ("17-4016", 17, 4016), ("99999-", 99_999, 99_999), ("5-999999", 5, 99_999), ("-7", 99_993, 99_999)],
)
def test_ranges_are_slices(server: LatencyServer, wanted: str, first: int, last: int) -> None:
    status, headers, body = ask(server, "GET", "/b/one", Range=f"bytes={wanted}")
    assert status == 206 and body == DATA[first : last + 1]
    assert headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"


@pytest.mark.parametrize(
    "odd", ["bytes=5-3", "bytes=x", "bytes=", "bytes=1-2,4-5", "lines=0-1", "bytes=--5", "bytes=-"]
)
def test_what_is_no_range_is_all_of_it(server: LatencyServer, odd: str) -> None:
    status, headers, body = ask(server, "GET", "/b/one", Range=odd)
    assert status == 200 and body == DATA and int(headers["content-length"]) == len(DATA)


@pytest.mark.parametrize("beyond", ["100000-", "100000-100001", "-0", "999999999999999999-"])
def test_a_range_beyond_the_end_is_416(server: LatencyServer, beyond: str) -> None:
    status, headers, body = ask(server, "GET", "/b/one", Range=f"bytes={beyond}")
    assert (status, headers["content-range"], body) == (416, f"bytes */{len(DATA)}", b"")


def test_heads_missing_objects_and_odd_paths(server: LatencyServer) -> None:
    status, headers, body = ask(server, "HEAD", "/b/one")
    assert (status, body, int(headers["content-length"])) == (200, b"", len(DATA))
    assert ask(server, "GET", "/b/a%26b/%C3%BC%20x?x=1")[2] == b"two"
    assert ask(server, "GET", "/b/none")[0] == ask(server, "GET", "/b/a%26b")[0] == ask(server, "GET", "/")[0] == 404
    assert (
        ask(server, "GET", "/b/../b/one")[0]
        == ask(server, "GET", "/%2e%2E/x")[0]
        == ask(server, "GET", "/%zz")[0]
        == 400
    )


def test_conditions(server: LatencyServer) -> None:
    etag = ask(server, "GET", "/b/one")[1]["etag"]
    assert ask(server, "GET", "/b/one", If_Match=etag)[0] == 200
    assert ask(server, "GET", "/b/one", If_Match='"other"')[0] == 412
    assert ask(server, "GET", "/b/one", If_None_Match=etag)[::2] == (304, b"")
    assert ask(server, "PUT", "/b/one", b"new", If_None_Match="*")[0] == 412
    assert ask(server, "PUT", "/b/one", b"new", If_Match='"other"')[0] == 412
    status, headers, _ = ask(server, "PUT", "/b/one", b"new", If_Match=etag)
    assert status == 200 and headers["etag"] != etag and ask(server, "GET", "/b/one")[1]["etag"] == headers["etag"]
    assert ask(server, "PUT", "/b/one", b"newer", If_Match=etag)[0] == 412
    assert ask(server, "GET", "/b/one")[2] == b"new"


def test_objects_are_put_and_deleted(server: LatencyServer, folder: Path) -> None:
    assert ask(server, "PUT", "/b/new/deep/er", DATA * 5)[0] == 200
    assert (folder / "b/new/deep/er").read_bytes() == DATA * 5
    assert ask(server, "PUT", "/b/new/deep", b"")[0] == 409
    assert [ask(server, "DELETE", "/b/new/deep/er")[0] for _ in range(2)] == [204, 204]
    assert ask(server, "PUT", "/b/new", b"")[0] == 200
    with serving(folder) as read_only:
        assert ask(read_only, "PUT", "/b/x", b"1")[0] == ask(read_only, "DELETE", "/b/one")[0] == 405
    assert sorted(path.name for path in folder.iterdir()) == ["b"] and (folder / "b/one").exists()


def listed(server: LatencyServer, query: str) -> list[str]:
    """Keys and common prefixes, of all pages."""
    found, token = [], ""
    while True:
        page = ElementTree.fromstring(ask(server, "GET", f"/b?list-type=2&max-keys=1&{query}{token}")[2])
        found += [each.text or "" for name in ("Key", "Prefix") for each in page.iterfind(f"*/{NAMESPACE}{name}")]
        if (following := page.findtext(f"{NAMESPACE}NextContinuationToken")) is None:
            return found
        token = f"&continuation-token={following.replace('&', '%26').replace('ü', '%C3%BC').replace(' ', '+')}"


def test_listing(server: LatencyServer) -> None:
    assert listed(server, "") == ["a&b/c/d", "a&b/ü x", "one"]
    assert listed(server, "delimiter=/") == ["a&b/", "one"]
    assert listed(server, "delimiter=%2F&prefix=a%26b/") == ["a&b/c/", "a&b/ü x"]
    assert listed(server, "prefix=a%26b/c") == ["a&b/c/d"] and listed(server, "prefix=x") == []


def test_requests_may_come_together_and_in_pieces(server: LatencyServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        request = b"GET /b/a%26b/%C3%BC%20x HTTP/1.1\r\nHost: x\r\n\r\n"
        client.sendall(request * 2 + request[:9])
        time.sleep(0.01)
        client.sendall(request[9:-1])
        client.sendall(request[-1:] + b"nonsense\r\n\r\n")
        said = rest(client)
    assert said.count(b"\r\n\r\ntwo") == 3 and said.count(b"HTTP/1.1 400") == 1
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /" + b"x" * 20_000)
        assert client.recv(100).startswith(b"HTTP/1.1 431")


def test_what_was_asked_is_counted(server: LatencyServer) -> None:
    server.stats()
    ask(server, "GET", "/b/one", Range="bytes=0-9")
    ask(server, "HEAD", "/b/one")
    ask(server, "GET", "/b/a%26b/%C3%BC%20x")
    assert server.stats() == Stats(3, 13, 4)
    assert server.stats() == Stats(0, 0, 1)


def test_latency_is_of_each_answer_and_holds_up_no_other(folder: Path) -> None:
    with serving(folder, latency_ms=200) as server, ExitStack() as stack:
        before = time.monotonic()
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(16)]
        for client in clients:
            client.sendall(b"GET /b/a%26b/%C3%BC%20x HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert server.stats().requests == 16
        for client in clients:
            assert rest(client).endswith(b"\r\n\r\ntwo")
            assert time.monotonic() - before >= 0.2


def test_bandwidth_is_of_all_answers_together(folder: Path) -> None:
    with serving(folder, bandwidth=4e6) as server, ThreadPoolExecutor(4) as pool:
        before = time.monotonic()
        assert all(body == DATA for _, _, body in pool.map(lambda _: ask(server, "GET", "/b/one"), range(8)))
        assert time.monotonic() - before >= 0.9 * 8 * len(DATA) / 4e6 - 0.02  # the last part does not wait

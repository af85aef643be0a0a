"""A proxy between a client and a server, which breaks the answers that a test names.

    proxy = faulty(server.port)
    proxy.inject(status(503), key="c/0", times=2)

The first two requests for the object at "c/0" are answered by 503, without the server; the others go through.
A fault makes of the right answer what is said instead, step by step: bytes, seconds of silence, RESET, or CLOSE.
"""

from __future__ import annotations

import http.client
import math
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from socketserver import StreamRequestHandler, ThreadingTCPServer
from urllib.parse import unquote

RESET, CLOSE = object(), object()
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
SILENCE_SECONDS = 0.1
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Said:
    """An answer, as the server gave it."""

    status: int
    headers: Headers
    body: bytes
    length: int | None = None  # what it says of its body's bytes, where that is something else (HEAD)

    @property
    def wire(self) -> bytes:
        return self.head + self.body

    @property
    def head(self) -> bytes:
        length = len(self.body) if self.length is None else self.length
        lines = [f"HTTP/1.1 {self.status} {http.client.responses.get(self.status, '')}"]
        lines += [f"{name}: {value}" for name, value in (*self.headers, ("Content-Length", str(length)))]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def with_header(self, name: str, value: str) -> Said:
        others = [pair for pair in self.headers if pair[0].lower() != name.lower()]
        return replace(self, headers=[*others, (name, value)])

    def header(self, name: str) -> str:
        return next((value for each, value in self.headers if each.lower() == name.lower()), "")


Steps = Sequence[object]
Fault = Callable[[Said], Steps]


def status(number: int, **headers: str) -> Fault:
    """Another status, without a body; `Retry_After="1"` is a header."""
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return lambda said: [Said(number, named, b"").wire]


def reset_in_body(said: Said) -> Steps:
    """The connection is reset when half of the body was sent."""
    return [said.head + said.body[: len(said.body) // 2], SILENCE_SECONDS / 10, RESET]


def truncated(said: Said) -> Steps:
    """The body ends too early, as if it were complete."""
    return [said.head + said.body[: len(said.body) // 2], CLOSE]


def too_short(said: Said) -> Steps:
    """Head and body have 7 bytes less than the object."""
    return [replace(said, body=said.body[:-7]).wire]


def shifted(said: Said) -> Steps:
    """The bytes one further than what was asked for, as the head tells."""
    first, _, rest = said.header("Content-Range").removeprefix("bytes ").partition("-")
    last, _, length = rest.partition("/")
    moved = f"bytes {int(first) + 1}-{int(last) + 1}/{length}"
    return [replace(said, body=said.body[1:] + b"\0").with_header("Content-Range", moved).wire]


def stalled(said: Said) -> Steps:
    """Silence in the middle of the body, and then the rest."""
    half = len(said.body) // 2
    return [said.head + said.body[:half], SILENCE_SECONDS, said.body[half:]]


def silent(said: Said) -> Steps:
    """Half of the body, and then nothing, for long."""
    return [said.head + said.body[: len(said.body) // 2], 30.0, CLOSE]


def garbage(said: Said) -> Steps:
    """What is no HTTP."""
    return [b"\x16\x03\x01\x02\x00" * 40 + b"\r\n\r\n", CLOSE]


def of_other_version(said: Said) -> Steps:
    """Other bytes, as many, with the ETag of another version of the object."""
    return [replace(said, body=bytes(byte ^ 0x55 for byte in said.body)).with_header("ETag", '"another"').wire]


def of_all(said: Said) -> Steps:
    """200 where a range was asked for. With `drop="Range"` of `inject` it is the whole object, as it should be."""
    others = [pair for pair in said.headers if pair[0].lower() != "content-range"]
    return [replace(said, status=200, headers=others).wire]


@dataclass
class Rule:
    """Which requests get a fault: those for objects whose key ends so, after the first `after`, `times` of them."""

    fault: Fault
    key: str
    method: str
    after: int
    times: float
    drop: str  # a header of the request that the server does not see

    def takes(self, method: str, path: str) -> bool:
        if not path.endswith(self.key) or (self.method and method != self.method):
            return False
        self.after -= 1
        if self.after >= 0 or self.times <= 0:
            return False
        self.times -= 1
        return True


@dataclass
class Proxy:
    """A proxy at a port; `requests` are the methods and paths that came."""

    port: int
    upstream: int
    rules: list[Rule] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def inject(
        self, fault: Fault, key: str = "", method: str = "", after: int = 0, times: float = math.inf, drop: str = ""
    ) -> None:
        """Break requests from now on: see `Rule`. The first rule that takes a request decides."""
        self.rules.append(Rule(fault, key, method, after, times, drop))

    def heal(self) -> None:
        """Break nothing any more, and forget what came."""
        self.rules.clear()
        self.requests.clear()

    def rule_for(self, method: str, path: str) -> Rule | None:
        with self.lock:
            path = unquote(path.partition("?")[0])
            self.requests.append((method, path))
            return next((rule for rule in self.rules if rule.takes(method, path)), None)

    def wait(self, seconds: float) -> None:
        """Be silent, but not longer than the test runs."""
        until = time.monotonic() + seconds
        while not self.is_over.is_set() and time.monotonic() < until:
            self.is_over.wait(0.02)


class Handler(StreamRequestHandler):
    """One connection of a client."""

    disable_nagle_algorithm = True
    server: Server

    def handle(self) -> None:
        try:
            while self.answer_one():
                continue
        except (OSError, http.client.HTTPException):
            return  # the client has gone

    def answer_one(self) -> bool:
        """Answer one request. False where the connection is over."""
        if not (line := self.rfile.readline()):
            return False
        method, path, _ = line.decode("latin-1").split()
        headers = http.client.parse_headers(self.rfile)
        if headers.get("Expect"):
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self.rfile.read(int(headers.get("Content-Length", 0)))
        proxy = self.server.proxy
        rule = proxy.rule_for(method, path)
        passed = {name: value for name, value in headers.items() if not rule or name.lower() != rule.drop.lower()}
        said = forwarded(proxy.upstream, method, path, passed, body)
        return self.say(rule.fault(said) if rule else [said.wire])

    def say(self, steps: Steps) -> bool:
        for step in steps:
            if isinstance(step, bytes):
                self.wfile.write(step)
            elif isinstance(step, float):
                self.server.proxy.wait(step)
            else:
                if step is RESET:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    os.close(self.connection.detach())  # `close` would wait for the files of the handler
                return False
        return True


class Server(ThreadingTCPServer):
    """Listens for clients."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    proxy: Proxy


def forwarded(port: int, method: str, path: str, headers: dict[str, str], body: bytes) -> Said:
    """What the server says to a request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name.lower() not in ("connection", "expect"):
                connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP]
        length = int(answer.getheader("Content-Length") or 0) if method == "HEAD" else None
        return Said(answer.status, kept, answer.read(), length)
    finally:
        connection.close()


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """Context in which a proxy stands before the server at a port."""
    with Server(("127.0.0.1", 0), Handler) as server:
        server.proxy = Proxy(int(server.server_address[1]), port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server.proxy
        finally:
            server.proxy.is_over.set()
            server.shutdown()
            thread.join()

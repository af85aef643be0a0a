"""A server of a folder over HTTP and S3's REST API, with a latency and a bandwidth, for what reads remote stores.

`main.c` says what it does. It is compiled with `cc` when it is first used:

    with serving(folder, latency_ms=10, bandwidth=200e6) as server:
        read(f"{server.url}/array.zarr")
        print(server.stats())

`python -m benchmarks.latency_server FOLDER --latency-ms 10` does it by hand.
"""

from __future__ import annotations

import atexit
import http.client
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parent
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")


@dataclass(frozen=True)
class Stats:
    """What was asked of a server: requests, bytes of the bodies of its answers, and new connections."""

    requests: int
    body_bytes: int
    connections: int


@dataclass(frozen=True)
class LatencyServer:
    """A server that runs, at a port of the loopback."""

    port: int
    process: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stats(self) -> Stats:
        """What was asked since this was last called."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/__stats__")
            return Stats(**json.load(connection.getresponse()))
        finally:
            connection.close()


@cache
def program() -> Path:
    """The compiled server, which is there as long as this process. CalledProcessError where it cannot be compiled."""
    folder = tempfile.mkdtemp(prefix="latency-server-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Path(folder, "latency_server")
    subprocess.run(["cc", *FLAGS, *sorted(map(str, SOURCES.glob("*.c"))), "-o", str(made)], check=True)
    return made


def command(folder: Path, latency_ms: float = 0, bandwidth: float = 0, writable: bool = False) -> list[str]:
    """The command line of a server. A bandwidth of 0 bytes a second is no limit."""
    options = [f"--latency-ms={latency_ms}", f"--bandwidth={bandwidth}", *(["--writable"] if writable else [])]
    return [str(program()), *options, str(folder)]


@contextmanager
def serving(
    folder: Path, latency_ms: float = 0, bandwidth: float = 0, writable: bool = False
) -> Iterator[LatencyServer]:
    """Context in which the server runs. It ends with this process, too, however that ends: its input closes then."""
    words = command(folder, latency_ms, bandwidth, writable)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield LatencyServer(int(process.stdout.readline()), process.pid)
        finally:
            process.terminate()

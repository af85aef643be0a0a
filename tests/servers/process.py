"""A server in a process of its own, which answers before it is used and is gone afterwards."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

START_SECONDS, END_SECONDS = 30.0, 5.0
PAUSE_SECONDS = 0.02
TRIES = 5  # ports: another process may take a free one first


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as at:
        at.bind(("127.0.0.1", 0))
        return int(at.getsockname()[1])


@contextmanager
def serving(command: Callable[[int], Sequence[str]]) -> Iterator[int]:
    """Context in which the server that `command(port)` starts answers at that port. RuntimeError where it does not."""
    for _ in range(TRIES):
        port = free_port()
        process = subprocess.Popen(
            command(port), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            if answers(port, process):
                yield port
                return
        finally:
            end(process)
    raise RuntimeError(f"{command(0)[0]} does not start: status {process.returncode}")


def answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Wait for the first answer. False where the process ends before, or takes too long."""
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
        try:
            connection.request("GET", "/")
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            time.sleep(PAUSE_SECONDS)
        else:
            return process.poll() is None
        finally:
            connection.close()
    return False


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, kindly at first."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

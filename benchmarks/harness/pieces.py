"""Read or write pieces of files, again and again, when told to: a process of `harness.page_cache`, run as a script.

Each line on stdin is JSON, and so is each answer. A list of pieces to read or write, with `write`: answered when they
have their memory. A number: when to begin, by the monotonic clock, which all processes share; answered by the end.
Nothing but the standard library is imported, so that many processes start at once in no time.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable

Piece = tuple[str, int, int]  # path of a file, first byte, number of bytes
SPIN_SECONDS = 0.001  # before the begin, so that it is not slept through


def rooms_of(pieces: Iterable[Piece], filled: bool) -> list[bytearray]:
    """Memory for each piece that has been touched: zeros, or what the file holds."""
    rooms = [bytearray(nbytes) for _, _, nbytes in pieces]
    if filled:
        read(pieces, rooms)
    return rooms


def read(pieces: Iterable[Piece], rooms: Iterable[bytearray]) -> None:
    _move(os.preadv, os.O_RDONLY, pieces, rooms)


def write(pieces: Iterable[Piece], rooms: Iterable[bytearray]) -> None:
    _move(os.pwritev, os.O_WRONLY, pieces, rooms)


def _move(
    call: Callable[[int, list[bytearray], int], int], flags: int, pieces: Iterable[Piece], rooms: Iterable[bytearray]
) -> None:
    for (path, first, nbytes), room in zip(pieces, rooms, strict=True):
        file = os.open(path, flags)
        if call(file, [room], first) != nbytes:
            raise OSError(f"{path} was not moved whole")
        os.close(file)


def wait(begin: float) -> None:
    time.sleep(max(0.0, begin - SPIN_SECONDS - time.monotonic()))
    while time.monotonic() < begin:
        pass


def main() -> None:
    pieces: list[Piece] = []
    rooms: list[bytearray] = []
    work = read
    for line in sys.stdin:
        told = json.loads(line)
        if isinstance(told, float):
            wait(told)
            work(pieces, rooms)
        else:
            work = write if told["write"] else read
            rooms.clear()
            pieces, rooms = told["pieces"], rooms_of(told["pieces"], told["write"])
        print(json.dumps(time.monotonic()), flush=True)


if __name__ == "__main__":
    main()

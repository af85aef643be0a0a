"""The ceiling of storage: how fast files are read from the page cache, or written to it, by threads and by processes.

Threads of one process share Python's lock, which processes do not: where these are faster, the lock is the limit, and
not the page cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness import pieces
from benchmarks.harness.pieces import Piece

MAX_PIECE_BYTES = 4 << 20  # a larger file is shared by several threads or processes
LEAD_SECONDS = 0.005  # between telling processes when to begin, and that
MAX_ROUNDS = 3


@dataclass(frozen=True)
class Rates:
    """Seconds of each round, by the number of threads of one process, and by the number of processes."""

    nbytes: int
    threads: dict[int, list[float]]
    processes: dict[int, list[float]]

    @property
    def seconds(self) -> float:
        """Median of the fastest way: what nobody is faster than."""
        return min(median(rounds) for way in (self.threads, self.processes) for rounds in way.values())

    def rate(self, way: str, count: int) -> float:
        """GB/s of so many `threads` or `processes`."""
        return self.nbytes / median(getattr(self, way)[count]) / 1e9

    def asdict(self) -> dict[str, Any]:
        best = {way: max(self.rate(way, count) for count in getattr(self, way)) for way in ("threads", "processes")}
        return {"GB/s": best, **asdict(self)}


def measured(folder: Path, repeats: int, counts: Sequence[int] = (), write: bool = False) -> Rates:
    """Read all files below `folder` into memory that is there already, or write them over from memory.

    `counts`: of threads and of processes (default: 1, 2, 4 and so on, and as many as there are cores).
    """
    counts, all_pieces = counts or up_to(len(os.sched_getaffinity(0))), pieces_of(folder)
    rooms, rounds = pieces.rooms_of(all_pieces, write), min(repeats, MAX_ROUNDS)
    threads = {count: by_threads(all_pieces, rooms, count, rounds, write) for count in counts}
    rooms.clear()
    with processes(max(counts)) as started:
        found = {count: by_processes(all_pieces, started[:count], rounds, write) for count in counts}
    return Rates(sum(nbytes for _, _, nbytes in all_pieces), threads, found)


def up_to(cores: int) -> list[int]:
    return [*(1 << i for i in range((cores - 1).bit_length())), cores]


def pieces_of(folder: Path) -> list[Piece]:
    """All files, the large ones in pieces; the largest pieces first, so that equal shares of them are equal."""
    files = [(str(path), path.stat().st_size) for path in sorted(folder.rglob("*")) if path.is_file()]
    found = [
        (path, first, min(MAX_PIECE_BYTES, size - first))
        for path, size in files
        for first in range(0, size, MAX_PIECE_BYTES)
    ]
    return sorted(found, key=lambda piece: -piece[2])


def by_threads(all_pieces: list[Piece], rooms: list[bytearray], count: int, repeats: int, write: bool) -> list[float]:
    """Seconds of each round, after one that does not count."""
    found, work = [], pieces.write if write else pieces.read
    shares = [all_pieces[i::count] for i in range(count)], [rooms[i::count] for i in range(count)]
    with ThreadPoolExecutor(count) as pool:
        for _ in range(repeats + 1):
            begin = time.monotonic()
            list(pool.map(work, *shares))
            found.append(time.monotonic() - begin)
    return found[1:]


def by_processes(
    all_pieces: list[Piece], started: Sequence[subprocess.Popen[str]], repeats: int, write: bool
) -> list[float]:
    """Seconds from the common begin to the last end of each round, after one that does not count."""
    found = []
    for i, process in enumerate(started):
        _tell(process, {"pieces": all_pieces[i :: len(started)], "write": write})
    for process in started:
        _answer(process)
    for _ in range(repeats + 1):
        begin = time.monotonic() + LEAD_SECONDS
        for process in started:
            _tell(process, begin)
        found.append(max(map(_answer, started)) - begin)
    return found[1:]


@contextmanager
def processes(count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that know nothing of CUDA: new ones, for it does not survive a fork; they end with the context."""
    command, pipe = [sys.executable, "-I", "-S", pieces.__file__], subprocess.PIPE
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def _tell(process: subprocess.Popen[str], what: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(what) + "\n")
    process.stdin.flush()


def _answer(process: subprocess.Popen[str]) -> float:
    assert process.stdout is not None
    if not (line := process.stdout.readline()):
        raise RuntimeError(f"a process that reads and writes files ended with status {process.wait()}")
    return float(json.loads(line))

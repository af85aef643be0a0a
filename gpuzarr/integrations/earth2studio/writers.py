"""The writers of the arrays of a forecast, which share a limit of memory."""

from __future__ import annotations

import atexit
import threading
import weakref
from contextlib import ExitStack, suppress
from typing import Any

from gpuzarr.errors import GpuZarrWarning, warn
from gpuzarr.nodes.array import Array
from gpuzarr.per_process import PROCESS
from gpuzarr.write.writer import Writer

_ALL: weakref.WeakSet[Writers] = weakref.WeakSet()


class Writers:
    """Writes to arrays, by a writer for each, so that as many are compressed at once as there are cores.

    `blocking`: `settle` waits for arrays without shards. `max_inflight`: bytes of copies that may be held for all
    arrays together.
    """

    def __init__(self, max_inflight: int, blocking: bool) -> None:
        self._max_inflight, self._blocking = max_inflight, blocking
        self._open: dict[str, Writer] = {}
        self._process = PROCESS.value
        _ALL.add(self)
        weakref.finalize(self, _dropped, self._open, PROCESS.value).atexit = False  # `_at_exit` is earlier

    def put(self, array: Array, box: tuple[slice, ...], values: Any, sharers: int) -> None:
        """Write a box of an array; `sharers` arrays share the limit of memory. An error may be of an earlier write."""
        if (writer := self._open.get(array.path)) is None:
            writer = self._open[array.path] = array.writer(max(self._max_inflight // sharers, 1))
        try:
            writer[box] = values
        except BaseException:  # it may have stopped: the next write has a new one
            del self._open[array.path]
            with suppress(Exception):
                writer.close()
            raise

    def settle(self, arrays: list[Array]) -> None:
        """At the end of a call that wrote to these arrays: wait until it is stored, if that is wanted."""
        if self._blocking:
            paths = {array.path for array in arrays if array.shards is None} & self._open.keys()
            _close({path: self._open.pop(path) for path in paths})

    def flush(self) -> None:
        """Wait until everything is in the store. Raises the first error, when all writers have ended."""
        _close(self._open)

    @property
    def are_open(self) -> bool:
        """Whether something may not be in the store yet that this process has written."""
        return bool(self._open) and self._process is PROCESS.value


def _close(writers: dict[str, Writer]) -> None:
    first: Exception | None = None
    while writers:
        _, writer = writers.popitem()
        try:
            writer.close()
        except Exception as error:
            first = first or error
    if first is not None:
        raise first


def _dropped(writers: dict[str, Writer], process: object) -> None:
    """Store what was given to a backend that nobody has closed. It does not wait: it may be called in any thread."""
    if writers and process is PROCESS.value:
        _warn()
        threading.Thread(target=_close, args=(writers,)).start()


def _at_exit() -> None:
    """Store what was given to backends that are open at the end of the process."""
    with ExitStack() as stack:  # each is flushed, whatever the others raise
        for writers in list(_ALL):
            if writers.are_open:
                _warn()
                stack.callback(writers.flush)


def _warn() -> None:
    warn("a ZarrBackend was not closed; call its close(), which raises what could not be stored", GpuZarrWarning)


atexit.register(_at_exit)  # after that of `gpuzarr.line`, so it is called before

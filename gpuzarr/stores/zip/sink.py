"""A member that is written in pieces, such as a shard: to a file without a name, then copied to the archive."""

from __future__ import annotations

import os
import tempfile
import threading
import zlib
from dataclasses import dataclass, field
from typing import IO, Any

from gpuzarr.errors import as_store_error
from gpuzarr.stores.zip.writing import Writing

PIECE_BYTES = 1 << 22  # of which the checksum is computed at once


@dataclass
class ZipSink:
    """See `Sink`."""

    writing: Writing
    key: str
    file: IO[bytes] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, data: Any, offset: int) -> None:
        try:
            number, view = self._opened(), memoryview(data).cast("B")
            while len(view):
                done = os.pwrite(number, view, offset)
                view, offset = view[done:], offset + done
        except OSError as error:
            raise as_store_error(error, "write", self.key, self.writing) from error

    def commit(self) -> None:
        try:
            number = self._opened()
            size = os.fstat(number).st_size
            if self.writing.is_deflating:
                return self.writing.add([self.key], [os.pread(number, size, 0)])
            self.writing.add_file(self.key, number, size, _checksum(number, size))
        except OSError as error:
            raise as_store_error(error, "write", self.key, self.writing) from error
        finally:
            self.abort()

    def abort(self) -> None:
        if self.file is not None:
            self.file.close()

    def _opened(self) -> int:
        with self.lock:
            if self.file is None:
                self.file = tempfile.TemporaryFile(dir=os.path.dirname(self.writing.file.path))  # noqa: SIM115
            return self.file.fileno()


def _checksum(number: int, size: int) -> int:
    from isal import isal_zlib

    found = zlib.crc32(b"")
    for at in range(0, size, PIECE_BYTES):
        found = isal_zlib.crc32(os.pread(number, min(PIECE_BYTES, size - at), at), found)
    return found

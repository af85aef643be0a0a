"""Zip archives for tests, as other programs write them."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import gpuzarr
from gpuzarr.stores.zip import ZipStore
from tests.laws.stores import read_by

Contents = Mapping[str, bytes]
VALUES = np.arange(60 * 60, dtype="<i4").reshape(60, 60)


def array_in(**options: Any) -> dict[str, bytes]:
    made: dict[str, bytes] = {}
    gpuzarr.create_array(made, data=VALUES, **{"chunks": (16, 16), "compressors": None, **options})
    return {key: bytes(value) for key, value in made.items()}


def zipped(contents: Contents, compression: int = zipfile.ZIP_STORED, comment: bytes = b"", **options: Any) -> bytes:
    """By Python. `options`: of `ZipFile.open`."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        archive.comment = comment
        for key, value in contents.items():
            with archive.open(key, "w", **options) as member:
                member.write(value)
    return made.getvalue()


class Pipe(io.RawIOBase):
    """A file that cannot seek: sizes are behind the members then."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)


def streamed(contents: Contents, compression: int = zipfile.ZIP_STORED) -> bytes:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", compression) as archive:
        for key, value in contents.items():
            archive.writestr(key, value)
    return bytes(pipe.data)


def by_info_zip(contents: Contents, folder: Path, *options: str) -> bytes:
    """By the program `zip`, which writes other fields to the local headers than to the directory."""
    source = folder / "source"
    for key, value in contents.items():
        (source / key).parent.mkdir(parents=True, exist_ok=True)
        (source / key).write_bytes(value)
    subprocess.run(["zip", "-q", "-r", *options, "../made.zip", "."], cwd=source, check=True)
    data = (folder / "made.zip").read_bytes()
    (folder / "made.zip").unlink()
    shutil.rmtree(source)
    return data


def with_gaps(contents: Contents) -> bytes:
    """Members that were replaced, and of which bytes are left between others."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for key, value in contents.items():
            archive.writestr(key, b"of an older one" * 500)
            archive.writestr(key, value)
        archive.filelist = list({info.filename: info for info in archive.filelist}.values())
    return made.getvalue()


def twice(contents: Contents) -> bytes:
    """Each name is there twice; the last counts."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for value in (lambda _: b"of an older one", lambda key: contents[key]):
            for key in contents:
                archive.writestr(key, value(key))
    return made.getvalue()


def with_folders(contents: Contents) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for key, value in contents.items():
            if "/" in key:
                archive.writestr(key.rpartition("/")[0] + "/", b"")
            archive.writestr(key, value)
    return made.getvalue()


KINDS: dict[str, Callable[[Contents, Path], bytes]] = {
    "stored": lambda contents, _: zipped(contents),
    "deflated": lambda contents, _: zipped(contents, zipfile.ZIP_DEFLATED),
    "zip64": lambda contents, _: zipped(contents, force_zip64=True),
    "zip64 ends": lambda contents, _: with_zip64_end(zipped(contents)),
    "streamed": lambda contents, _: streamed(contents),
    "streamed and deflated": lambda contents, _: streamed(contents, zipfile.ZIP_DEFLATED),
    "with a comment": lambda contents, _: zipped(contents, comment=b"PK\5\6 in a comment " * 3000),
    "behind a program": lambda contents, _: b"#!/bin/sh\n" * 999 + zipped(contents),
    "before other bytes": lambda contents, _: zipped(contents) + b"\0" * 500,
    "with gaps": lambda contents, _: with_gaps(contents),
    "twice": lambda contents, _: twice(contents),
    "with folders": lambda contents, _: with_folders(contents),
}
if shutil.which("zip"):
    KINDS["by zip"] = lambda contents, folder: by_info_zip(contents, folder, "-0")
    KINDS["by zip, deflated"] = lambda contents, folder: by_info_zip(contents, folder, "-6")


def with_zip64_end(data: bytes) -> bytes:
    """An archive whose end is told in zip64 records, though it is small, as other writers do it."""
    *_, entries, size, begin, _ = struct.unpack("<4s4H2IH", data[-22:])
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, size, begin)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, begin + size, 1)
    last = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:-22] + end64 + locator + last


def entry_of(data: bytes, key: str) -> int:
    """Where the entry of a member begins in the directory."""
    at = data.rfind(b"PK\1\2", 0, data.rfind(key.encode()))
    assert data[at + 46 :].startswith(key.encode())
    return at


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def all_of(store: ZipStore) -> dict[str, bytes]:
    keys = [key for key, _ in store.objects("")]
    with store.open(keys) as objects:
        return {key: value for key, value in zip(keys, read_by(objects, keys), strict=True) if value is not None}

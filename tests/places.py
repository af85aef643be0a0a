"""Where tests put their files: in memory, where there is room; what a disk has to note takes a sixth of the time.

Tests that are about files (tests/stores, tests/native) keep to the disk. So do all where TMPDIR is given, or where
memory is scarce. What was there when a test failed is kept until the next run.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

SHARED = Path("/dev/shm")
NAME = "gpuzarr-tests-"  # and the number of the process
NEEDED_BYTES = 8 << 30  # a run of all tests leaves about 3 GiB
DISK = "GPUZARR_TESTS_DISK"  # in the environment: where files would be else


def begin() -> None:
    """Have this process, and all that it starts, make temporary files in memory."""
    if sys.platform != "linux" or {DISK, "TMPDIR"} & os.environ.keys() or _room() < NEEDED_BYTES:
        return
    for old in SHARED.glob(f"{NAME}*"):
        if not Path("/proc", old.name.removeprefix(NAME)).exists():
            shutil.rmtree(old, ignore_errors=True)
    os.environ[DISK] = tempfile.gettempdir()
    os.environ["TMPDIR"] = tempfile.tempdir = str(SHARED / f"{NAME}{os.getpid()}")
    os.mkdir(tempfile.tempdir, 0o711)  # tests become another user, who has to come through it


def end(is_good: bool) -> None:
    """Forget what was made, if nothing failed; but not what multiprocessing removes when the process ends."""
    here = SHARED / f"{NAME}{os.getpid()}"
    if is_good and here.exists():
        for each in here.iterdir():
            if not each.name.startswith("pymp-"):
                shutil.rmtree(each, ignore_errors=True)
        with suppress(OSError):  # the next run removes it
            here.rmdir()


def _room() -> int:
    """Bytes that files in memory may take, as far as is known."""
    try:
        found = os.statvfs(SHARED)
        rooms = [found.f_bavail * found.f_frsize if os.access(SHARED, os.W_OK | os.X_OK) else 0]
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        rooms.append(int(lines["MemAvailable"].split()[0]) << 10)
        limit = Path("/sys/fs/cgroup/memory.max")
        if limit.exists() and (text := limit.read_text().strip()).isdecimal():
            rooms.append(int(text))
    except (OSError, KeyError, ValueError):
        return 0
    return min(rooms)


@pytest.fixture(scope="session")
def disk() -> Iterator[Path]:
    """A folder on the disk."""
    with tempfile.TemporaryDirectory(dir=os.environ.get(DISK), ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def tmp_path(disk: Path) -> Path:
    """As pytest's, on the disk: for tests that are about files."""
    return Path(tempfile.mkdtemp(dir=disk))

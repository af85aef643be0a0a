"""A process that is forked at any moment gives up at once what its parent has in hand, and reads and writes itself."""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.devices.cpu import CPU
from gpuzarr.stores.local.locks import fcntl
from gpuzarr.stores.local.store import LocalStore
from tests.attack.rounds import FACTOR, rounds
from tests.data import partial_files

SECONDS = 30  # in which a child must be done
VALUES = np.arange(256 * 256, dtype="i4").reshape(256, 256)
FULL: dict[str, Any] = {"shape": VALUES.shape, "dtype": "i4", "chunks": (32, 32), "device": "cpu"}

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def in_child(work: Callable[[], object]) -> int:
    """The exit status of a forked child that does this: 0 if it ends without an error."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def arrays(path: Path) -> list[gpuzarr.Array]:
    made = [gpuzarr.create_array(path / "chunks", **FULL)]
    made.append(gpuzarr.create_array(path / "shards", shards=(128, 128), **FULL))
    for a in made:
        a[...] = VALUES
    use(made)  # a module that a thread imports just when another one forks would never be there in the child
    return made


def use(made: list[gpuzarr.Array]) -> None:
    """Read and write all kinds of regions; all writes leave VALUES."""
    for a in made:
        np.testing.assert_array_equal(a[...], VALUES)
        a[5:50, 3:9] = VALUES[5:50, 3:9]
        a[...] = VALUES
        with a.writer() as w:
            w[0:16] = VALUES[0:16]
        for i, values in enumerate(a.reader(range(9))):
            np.testing.assert_array_equal(values, VALUES[i])


def test_beside_threads_at_work(tmp_path: Path) -> None:
    """Threads read and write, a writer is open: the child uses the same arrays, and has no lock of its parent's."""
    made, stop, errors = arrays(tmp_path), threading.Event(), list[Exception]()

    def work() -> None:
        try:
            while not stop.is_set():
                use(made)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    w, moments = made[1].writer(), random.Random(1)
    w[0:32] = VALUES[0:32]

    def child() -> None:
        paths = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        opened = [os.readlink(path) for path in paths if os.path.islink(path)]
        assert not [path for path in opened if path.endswith(".lock")], "a lock of the parent"
        use(made)
        with pytest.raises(gpuzarr.ClosedError):
            w[32:64] = VALUES[32:64]
        with pytest.raises(gpuzarr.ClosedError):
            w.close()

    try:
        for _ in rounds("forks", range(8 * FACTOR)):
            time.sleep(moments.uniform(0, 0.01))
            assert in_child(child) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    w.close()
    assert not errors and not partial_files(tmp_path)
    for a in made:
        np.testing.assert_array_equal(a[...], VALUES)


@pytest.mark.parametrize("name", ["chunks", "shards"])
@pytest.mark.parametrize("call", ["read", "part", "whole"])
def test_in_the_middle_of_a_call(call: str, name: str, tmp_path: Path) -> None:
    """A signal handler forks: the child's call ends with the right values or with a clear error, and at once.

    Not in the calls of a writer: `ThreadPoolExecutor.submit` holds a lock that Python takes before it forks.
    """
    made = arrays(tmp_path)
    a = next(each for each in made if each.path == "" and each.store.folder.endswith(name))
    parent, moments, children = os.getpid(), random.Random(f"{call} {name}"), list[int]()

    def fork(*_: Any) -> None:
        children.append(os.fork())
        if not children[-1]:
            faulthandler.dump_traceback_later(SECONDS, exit=True)

    def write() -> None:
        if call == "read":
            np.testing.assert_array_equal(a[...], VALUES)
        elif call == "part":
            a[5:250, 3:99] = VALUES[5:250, 3:99]
        else:
            a[...] = VALUES

    old = signal.signal(signal.SIGALRM, fork)
    try:
        for _ in rounds("forks", range(5 * FACTOR)):
            before = len(children)
            signal.setitimer(signal.ITIMER_REAL, moments.uniform(0.0005, 0.01))
            try:
                while len(children) == before:
                    write()
            except BaseException as error:
                if os.getpid() == parent:
                    raise
                if not isinstance(error, gpuzarr.GpuZarrError):
                    traceback.print_exc()
                    os._exit(3)
            if os.getpid() != parent:
                os._exit(status_of(made))
    finally:
        signal.signal(signal.SIGALRM, old)
    assert children and [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)
    for each in made:
        np.testing.assert_array_equal(each[...], VALUES)
    assert not partial_files(tmp_path)


def status_of(made: list[gpuzarr.Array]) -> int:
    """Status for the end of a child: 0 if it can read and write."""
    try:
        use(made)
    except BaseException:
        traceback.print_exc()
        return 2
    return 0


def test_the_child_does_not_free_the_parents_lock(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    with store.locked(["a"]) as _:
        held = store.locked(["b"])
        held.__enter__()
        assert in_child(lambda: held.__exit__()) == 0
        with open(tmp_path / ".b.lock", "ab") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held.__exit__()
        assert not (tmp_path / ".b.lock").exists() and (tmp_path / ".a.lock").exists()


def test_a_child_that_lives_on_holds_no_lock(tmp_path: Path) -> None:
    """Its parent is killed with a lock; the child, which has all its files open, lives on."""
    store = LocalStore(str(tmp_path))
    ready, go = os.pipe()
    if not (parent := os.fork()):
        store.locked(["a"]).__enter__()
        if not os.fork():
            os.write(go, b"x")
            time.sleep(SECONDS)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(parent, 0)
    os.read(ready, 1)
    with open(tmp_path / ".a.lock", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_child_commits_and_removes_nothing_of_its_parent(tmp_path: Path) -> None:
    """Partial files that the parent writes: a shard that is open, a chunk."""
    made = arrays(tmp_path)
    w = made[1].writer(max_inflight=1)
    w[0:32] = VALUES[0:32] + 1
    w._wait()
    sink = LocalStore(str(tmp_path)).create("x")
    sink.write(b"parent", 0)
    files = partial_files(tmp_path)

    def child() -> None:
        for refused in (lambda: sink.write(b"child!", 0), sink.commit):
            with pytest.raises(gpuzarr.StoreError, match="forked"):
                refused()
        sink.abort()
        with pytest.raises(gpuzarr.ClosedError):
            w.flush()
        use(made)

    assert len(files) == 3 and in_child(child) == 0 and partial_files(tmp_path) == files
    sink.commit()
    assert (tmp_path / "x").read_bytes() == b"parent"
    w.close()
    np.testing.assert_array_equal(made[1][0:32], VALUES[0:32] + 1)


def test_what_threads_had_is_refused_at_once(tmp_path: Path) -> None:
    """The caller forks, while its other threads work for it: in the child nobody does."""
    if CPU.threads < 2:
        pytest.skip("one core has no other threads")
    statuses, caller = list[int](), threading.get_ident()
    begun = threading.Barrier(2)

    def work(item: int) -> None:
        if item > 1:
            return
        begun.wait(SECONDS)
        if threading.get_ident() == caller:
            statuses.append(in_child_here())
        else:
            time.sleep(0.2)

    def in_child_here() -> int:
        child = os.fork()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else -1

    try:
        CPU.each(work, range(8))
    except BaseException as error:
        if statuses != [-1]:
            raise
        os._exit(7 if isinstance(error, gpuzarr.DeviceError) else 8)
    if statuses == [-1]:
        os._exit(9)
    assert statuses == [7]

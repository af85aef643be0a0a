"""Files of other kinds in the place of chunks, shards, documents and locks: an error at once, and never a hang."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.data import environ

CODE = """
import faulthandler, os, shutil, socket, stat, sys
import numpy as np
import gpuzarr
from tests import hardware

faulthandler.dump_traceback_later(120, exit=True)
root, device = sys.argv[1], hardware.DEVICES[sys.argv[2]]()
VALUES = np.arange(1, 65, dtype="i4").reshape(8, 8)

def sparse(path):
    with open(path, "wb") as file:
        file.truncate(1 << 40)

def bound(path):
    with socket.socket(socket.AF_UNIX) as there:
        os.chdir(os.path.dirname(path))
        there.bind(os.path.basename(path))

KINDS = {
    "pipe": os.mkfifo,
    "socket": bound,
    "zeros": lambda path: os.symlink("/dev/zero", path),
    "nothing": lambda path: os.symlink("/dev/null", path),
    "terminal": lambda path: os.symlink("/dev/tty", path),
    "folder": os.mkdir,
    "full folder": lambda path: os.makedirs(path + "/x"),
    "sparse": sparse,
    "empty": lambda path: open(path, "wb").close(),
    "unreadable": lambda path: os.close(os.open(path, os.O_CREAT, 0)),
    "loop": lambda path: os.symlink(path, path),
}
PLACES = (
    "a/c/0/0", "a/zarr.json", "a/c/0/.0.lock", ".a.lock", "s/c/0/0", "s/zarr.json", "s/c/0/.0.lock", "a/c", "zarr.json"
)
CALLS = {
    "read": lambda a: a[...],
    "explain": lambda a: a.explain(),
    "info": lambda a: a.nbytes_stored(),
    "part": lambda a: a.set((slice(1, 7), slice(2, 5)), 7),
    "whole": lambda a: a.set(..., VALUES),
    "writer": lambda a: by_writer(a),
    "resize": lambda a: a.resize((3, 3)),
    "append": lambda a: a.append(VALUES),
    "attributes": lambda a: a.attrs.update(k=1),
}
UNTOUCHED = ("explain", "info")  # the store is as it was before, after calls that only read

def by_writer(a):
    with a.writer() as w:
        w[0:3] = 5

def restored():  # as copying all again, which takes ten times as long
    now = state(root)
    for name in [name for name, found in now.items() if made.get(name) != found]:
        path = f"{root}/{name}"
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)
    for name in sorted(made):
        path = f"{root}/{name}"
        if not os.path.lexists(path):
            shutil.copy2(f"{good}/{name}", path) if os.path.isfile(f"{good}/{name}") else os.mkdir(path)
            made[name] = of(path)

def of(path):  # which file it is, as it was written last; of a folder only that it is one
    found = os.lstat(path)
    if stat.S_ISDIR(found.st_mode):
        return "folder"
    return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns

def state(folder):
    found = {}
    for at, folders, files in os.walk(folder):
        found |= {os.path.relpath(f"{at}/{name}", folder): of(f"{at}/{name}") for name in (*folders, *files)}
    return found

good = root + " as it was"
gpuzarr.save_group(good, b=VALUES)
gpuzarr.create_array(good, name="a", data=VALUES, chunks=(4, 4))
gpuzarr.create_array(good, name="s", data=VALUES, chunks=(2, 2), shards=(8, 8))

shutil.copytree(good, root)
made = state(root)

def tried(call):
    try:
        call()
    except (gpuzarr.GpuZarrError) as error:
        assert str(error), error

done = 0
for kind, put in KINDS.items():
    for place in PLACES:
        for name, call in CALLS.items():
            if name not in UNTOUCHED:
                restored()
                path = f"{root}/{place}"
                os.makedirs(os.path.dirname(path), exist_ok=True)
                shutil.rmtree(path) if os.path.isdir(path) else os.path.lexists(path) and os.unlink(path)
                put(path)
            node = "s" if place.startswith("s") else "a"
            tried(lambda: call(gpuzarr.open_array(root, node, mode="r+", device=device)))
            left = [file for _, _, files in os.walk(root) for file in files if file.endswith(".partial")]
            assert not left, (kind, place, name, left)
            done += 1
        tried(lambda: (gpuzarr.open(root).tree(), dict(gpuzarr.open(root).members())))
        if place not in (".a.lock", "zarr.json"):
            gpuzarr.create_array(root, name=node, data=VALUES, chunks=(4, 4), overwrite=True)
            assert (gpuzarr.open(root, node)[...] == VALUES).all(), (kind, place)
print("done", done)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of other systems devices have other names")
@pytest.mark.parametrize("device", ["cpu", "emulated"])
def test_nothing_hangs(device: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """In memory, for thousands of files are made; what they are does not depend on the file system."""
    command = [sys.executable, "-c", CODE, str(tmp_path_factory.mktemp("special") / "store"), device]
    done = subprocess.run(command, env=environ(), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0 and done.stdout.startswith("done"), done.stderr[-4000:]

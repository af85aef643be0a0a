"""Compile the C files of this folder to one library, if there is a C compiler: `python gpuzarr/native/build.py`.

Building a wheel of gpuzarr runs this (pyproject.toml), so that an installed gpuzarr has the library. It needs nothing
but a C compiler, no headers of Python, and is the same for all versions of Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LIBRARY = HERE / "gpuzarr_native.so"
FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=off", "-fPIC", "-fvisibility=hidden", "-pthread")


def build(target: Path = LIBRARY, *flags: str) -> bool:
    """Compile the library to `target`. False, with a line on stderr, where that is not possible."""
    compiler = [*os.environ.get("CC", "cc").split(), *FLAGS, *flags]
    made = target.with_name(f"{target.name}.{os.getpid()}")
    largest_first = sorted(HERE.glob("*.c"), key=lambda file: -file.stat().st_size)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = {file: str(Path(folder, f"{file.stem}.o")) for file in largest_first}
        try:
            list(pool.map(lambda file: _run([*compiler, "-c", str(file), "-o", objects[file]]), objects))
            _run([*compiler, "-shared", "-o", str(made), *sorted(objects.values())])
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"gpuzarr is built without its C library: {error}", file=sys.stderr)
            print(getattr(error, "stderr", ""), file=sys.stderr)
            return False
    os.replace(made, target)
    return True


def _run(command: list[str]) -> None:
    subprocess.run(command, capture_output=True, text=True, check=True)


def get_build_hook() -> Any:
    """The class that hatchling calls before it makes a wheel (hatchling's build hook `custom`)."""
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class Native(BuildHookInterface):  # type: ignore[misc]
        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            if self.target_name != "wheel":
                return
            LIBRARY.unlink(missing_ok=True)
            if build():
                platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
                build_data["pure_python"], build_data["tag"] = False, f"py3-none-{platform}"
                build_data["artifacts"].append("/gpuzarr/native/*.so")

    return Native


if __name__ == "__main__":
    sys.exit(0 if build() else 1)

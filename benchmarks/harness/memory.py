"""Peak memory of one read beyond its result: the kernel's high-water mark of a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.harness.peers import readers


def extra(reader: str, path: Path) -> int:
    """Bytes beyond the result while `reader` (a name of peers.readers) reads the whole array at `path`."""
    command = [sys.executable, "-m", "benchmarks.harness.memory", reader, str(path.resolve())]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    return int(done.stdout)


def status(field: str) -> int:
    """VmRSS or VmHWM of this process, in bytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) * 1024


def main() -> None:
    [reader] = readers(sys.argv[1])
    with reader.around():
        array = reader.open(Path(sys.argv[2]))
        reader.read(array, slice(0, 1))  # what is loaded once is not the read's
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again
        before = status("VmRSS")
        values = reader.read(array, ...)
    print(max(0, status("VmHWM") - before - values.nbytes))


if __name__ == "__main__":
    main()

"""The demo runs, at a small size, checks every value itself, and draws its picture."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from benchmarks.questions import demo


def test_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo.main(["--volumes", "3", "--repeats", "1", "--output", str(tmp_path / "out")])
    captured = capsys.readouterr()
    for layout in demo.LAYOUTS:
        assert captured.out.count(layout.name) == 2
    assert "all right" in captured.out and captured.out.count("not written: filters are not supported") == 1
    assert "\033" not in captured.out + captured.err  # no terminal, no escapes
    assert (tmp_path / "out" / "slice.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_png_holds_the_picture(tmp_path: Path) -> None:
    gray = np.arange(12, dtype="u1").reshape(3, 4)
    demo.write_png(tmp_path / "a.png", gray)
    data = (tmp_path / "a.png").read_bytes()
    start = data.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompress(data[start : data.index(b"IEND") - 8]), "u1").reshape(3, 5)
    assert not rows[:, 0].any() and np.array_equal(rows[:, 1:], gray)


def test_wrong_values_end_the_demo(tmp_path: Path) -> None:
    values = np.arange(24, dtype="<i2").reshape(1, 2, 3, 4)
    path = tmp_path / "a"
    demo.write_zarr_python(path, demo.LAYOUTS[2], values)
    with pytest.raises(SystemExit, match="wrong values"):
        demo.measure(path, values + 1, demo.readers("gpuzarr cpu"), 1)

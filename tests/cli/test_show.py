"""`gpuzarr show`: values, pictures and histograms as they are printed, and how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpuzarr
from gpuzarr.cli import main
from gpuzarr.tools import picture
from gpuzarr.tools.picture_colours import label_colours
from gpuzarr.tools.picture_output import characters
from tests.cli.places import unreadable
from tests.tools.images import commonest, halved, written


@pytest.fixture
def path(tmp_path: Path) -> str:
    """An array of (3, 8, 10), uint16."""
    root = gpuzarr.create_group(str(tmp_path / "s.zarr"))
    root.create_array("v", data=np.arange(240, dtype="u2").reshape(3, 8, 10), chunks=(1, 4, 5))
    return str(tmp_path / "s.zarr" / "v")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["show", *arguments]) == 0
    return capsys.readouterr().out


def test_values(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, path, "0, :2, ::4") == (
        "[[ 0  4  8]\n [10 14 18]]\n"
        "array     /\nof shape  (3, 8, 10)\nshape     (2, 3)\n"
        "dtype     uint16\nmin       0\nmax       18\nmean      9\n"
    )
    assert shown(capsys, path, "[-1, 0, 0]").startswith("160\n")


def test_a_histogram(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = shown(capsys, path, "--histogram").splitlines()
    assert rows[4:6] == ["min       0", "max       239"]
    assert sum(int(row.split()[-1]) for row in rows if ".." in row) == 240
    assert rows[-2].split()[3] == "#" * 40


def test_json(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(shown(capsys, path, "0, 0", "--json"))
    assert (found["mean"], found["shape"], found["values"]) == (4.5, [10], list(range(10)))
    found = json.loads(shown(capsys, path, "--json", "--histogram"))
    assert sum(found["histogram"]["counts"]) == 240 and found["values"] is None


def test_json_is_one_object_whatever_is_asked_for(
    path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "a.png")
    found = json.loads(shown(capsys, path, "--json", "--picture", "--png", file, "--histogram"))
    assert found["file"] == file and found["plane"] and found["histogram"]
    assert "file" not in json.loads(shown(capsys, path, "--json", "--picture"))


def test_what_is_large_is_not_read(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gpuzarr.cli.show.MAX_UNASKED_BYTES", 100)
    assert "mean" not in shown(capsys, path) and "mean" in shown(capsys, path, "0, 0")
    assert "mean" in shown(capsys, path, "--histogram")


def test_strings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = gpuzarr.create_array(str(tmp_path / "w"), shape=2, dtype=str)
    words[:] = np.array(["a", "\x1b[2J"], object)
    text = shown(capsys, str(tmp_path / "w"))
    assert text.startswith("['a' '\\x1b[2J']\n") and "min" not in text


def test_a_png(path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = pytest.importorskip("PIL.Image")
    text = shown(capsys, path, "--png", str(tmp_path / "p.png"), "--size", "5", "--window", "0", "200")
    assert "plane   [1, 0:8:2, 0:10:2]\npixels  (4, 5)\nblack   0.0\nwhite   200.0\n" in text
    values = gpuzarr.open_array(path)[1, ::2, ::2]
    expected = np.floor(255 * np.clip(values / 200, 0, 1) + 0.5)
    found = np.asarray(image.open(tmp_path / "p.png"))
    assert (found == expected[..., None]).all()


def test_a_png_without_pillow(path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert main(["show", path, "--png", "p.png"]) == 1
    assert capsys.readouterr().err == "gpuzarr: a PNG needs Pillow: pip install 'gpuzarr[tools]'\n"
    assert not os.path.exists("p.png")


def test_a_picture_of_characters(
    path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = shown(capsys, path, "--picture", "--window", "80", "159").splitlines()
    pixels = picture(gpuzarr.open_array(path), window=(80, 159)).pixels
    assert rows[:4] == list(characters(pixels)) and rows[3] == "%%%%%%%@@@"
    assert rows[4] == "/ [1, 0:8, 0:10], black 80, white 159"


def test_a_picture_in_colours(path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("gpuzarr.cli.show.has_colours", lambda: True)
    monkeypatch.setenv("COLORTERM", "truecolor")
    rows = shown(capsys, path, "--picture").splitlines()
    pixels = picture(gpuzarr.open_array(path)).pixels
    assert rows[0].startswith("\x1b[38;2;{};{};{};48;2;{};{};{}m▀".format(*pixels[0, 0], *pixels[1, 0]))
    assert [row.count("▀") for row in rows] == [10, 10, 10, 10, 0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{path}/none"], "none"),
        (["{path}", "a"], "a selection is ints and slices"),
        (["{path}", "9"], "out of range"),
        (["{path}", "0, 0", "--picture"], "a picture needs two axes"),
        (["{path}", "--level", "1"], "there is no level 1"),
        (["{path}", "--resolution", "1"], "--resolution is for OME-Zarr images"),
        (["{path}/.."], "give the path of an array or an image: this group has v"),
        (["{path}", "--png", "{path}/none/p.png"], "No such file"),
    ],
)
def test_errors_are_one_line(arguments: list[str], told: str, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "--png" in arguments:
        pytest.importorskip("PIL")
    assert main(["show", *(each.format(path=path) for each in arguments)]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and told in captured.err


def test_a_half_written_chunk(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    (Path(path) / "c/0/0/0").write_bytes(b"half")
    assert main(["show", path]) == 1
    assert "chunk (0, 0, 0)" in capsys.readouterr().err
    assert shown(capsys, path, "2, 0, 0").startswith("160\n")


def test_without_permission(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    with unreadable(Path(path) / "c/0/0/0"):
        assert main(["show", path]) == 1
    assert "Permission denied" in capsys.readouterr().err


def test_a_closed_pipe_is_no_error(path: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-m", "gpuzarr", "show", path], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_interrupt(path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gpuzarr.stats", interrupted, raising=False)
    assert main(["show", path]) == 130
    assert capsys.readouterr().err == "gpuzarr: interrupted\n"


# images of OME-Zarr


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
def test_the_picture_of_a_pyramid(version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pixel by pixel: the middle plane of the first channel, of the finest level that fits."""
    image = pytest.importorskip("PIL.Image")
    values = np.random.default_rng(0).integers(0, 60_000, (2, 5, 64, 96)).astype("u2")
    levels = written(str(tmp_path / "i.zarr"), values, "czyx", version)
    for size, number in (("96", 0), ("95", 1), ("48", 1), ("40", 2)):
        text = shown(capsys, str(tmp_path / "i.zarr"), "--png", str(tmp_path / "p.png"), "--size", size)
        plane = levels[number][0, 2].astype("f8")
        first, second = np.percentile(plane, 0.1), np.percentile(plane, 99.9)
        expected = np.floor(255 * np.clip((plane - first) / (second - first), 0, 1) + 0.5)
        assert (np.asarray(image.open(tmp_path / "p.png")) == expected[..., None]).all()
        assert f"of      /{number}\nplane   [0, 2, 0:{plane.shape[0]}, 0:{plane.shape[1]}]\n" in text


def test_a_level_and_a_selection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    levels = written(str(tmp_path / "i"), np.arange(64 * 64, dtype="u4").reshape(1, 64, 64), "zyx")
    path = str(tmp_path / "i")
    assert shown(capsys, path, "0, 5:7, 3").startswith(f"{levels[0][0, 5:7, 3]}\narray     /0\n")
    assert shown(capsys, path, "0, 5:7, 3", "--level", "2").startswith(f"{levels[2][0, 5:7, 3]}\narray     /2\n")
    assert "/0 [0, 0:40:" in shown(capsys, path, "0, :40", "--picture", "--size", "9")
    assert "/1 [0, 0:32:" in shown(capsys, path, "--level", "1", "--picture", "--size", "9")
    for size, level in (("0.1", 0), ("1.5", 1), ("99", 2)):  # micrometers, of 0.5, 1 and 2
        assert f"array     /{level}\n" in shown(capsys, path, "0, 0, 0", "--resolution", size)
    assert main(["show", path, "--level", "3"]) == 1
    assert "there is no level 3: there are 3" in capsys.readouterr().err


def test_labels_have_their_colours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = pytest.importorskip("PIL.Image")
    values = np.random.default_rng(0).integers(0, 5, (8, 8)).astype("u8") * 10**18
    written(str(tmp_path / "l"), values, "yx", levels=1, **{"image-label": {}})
    shown(capsys, str(tmp_path / "l"), "--png", str(tmp_path / "p.png"))
    assert (np.asarray(image.open(tmp_path / "p.png")) == label_colours(values)).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda root: (root / "1" / "zarr.json").unlink(), "1"),
        (lambda root: (root / "zarr.json").write_text((root / "zarr.json").read_text()[:-9]), "zarr.json"),
        (
            lambda root: (root / "zarr.json").write_text((root / "zarr.json").read_text().replace("0.5,", '"x",')),
            "scale",
        ),
    ],
)
def test_a_half_written_image(change: Any, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(str(tmp_path / "i"), np.zeros((64, 64), "u1"), "yx")
    change(tmp_path / "i")
    assert main(["show", str(tmp_path / "i")]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and told in captured.err


@pytest.mark.parametrize("version", ["0.4", "0.5", "0.6"])
@pytest.mark.parametrize("method", ["mean", "mode"])
def test_the_picture_of_a_pyramid_that_this_library_wrote(
    version: Any, method: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = pytest.importorskip("PIL.Image")
    values = np.random.default_rng(0).integers(0, 1000, (4, 64, 64)).astype("u2")
    factors = [(1, 2, 2)] * 2
    options: dict[str, Any] = {"axes": "zyx", "factors": factors, "method": method, "version": version}
    made = gpuzarr.ome.create_image(str(tmp_path / "i"), values.shape, values.dtype, chunks=(1, 16, 16), **options)
    with made.writer() as writer:
        writer[...] = values
    reduce = halved if method == "mean" else commonest
    plane = reduce(reduce(values))[2]
    shown(capsys, str(tmp_path / "i"), "--png", str(tmp_path / "p.png"), "--size", "16", "--window", "100", "900")
    expected = np.floor(255 * np.clip((plane - 100.0) / 800, 0, 1) + 0.5)
    assert (np.asarray(image.open(tmp_path / "p.png")) == expected[..., None]).all()

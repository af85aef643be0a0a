"""`gpuzarr codecs`: what it prints."""

from __future__ import annotations

import json

import pytest

from gpuzarr.cli import main
from gpuzarr.tools import codec_table


def test_text_has_a_line_for_each_codec(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["codecs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [row.name for row in codec_table()]
    (zstd,) = [line for line in lines if line.startswith("zstd ")]
    assert zstd.split()[:7] == ["zstd", "numcodecs.zstd", "zstd", "yes", "yes", "yes", "yes"]


def test_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["codecs", "--why"]) == 0
    assert "bz2 has no GPU decoder" in capsys.readouterr().out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["codecs", "--json"]) == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)["codecs"]}
    assert len(found) == len(codec_table()) and found["zstd"]["decode_cuda"] == "yes"
    assert found["numcodecs.bz2"]["why_not_decode"] == "bz2 has no GPU decoder"

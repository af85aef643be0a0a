"""The training script runs at a small size: what it makes can be learned, and is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.questions import train
from tests.loader.packages import package


def test_a_network_learns(capsys: pytest.CaptureFixture[str]) -> None:
    torch = package("torch")
    threads = torch.get_num_threads()
    train.main(["--tiny", "--epochs", "4"])
    torch.set_num_threads(threads)
    said = capsys.readouterr().out
    found = re.findall(r"^epoch (\d): loss ([\d.]+) -> ([\d.]+), 64 samples, \d+ samples/s$", said, re.M)
    assert [int(epoch) for epoch, _, _ in found] == [0, 1, 2, 3]
    assert float(found[3][2]) < 0.85 * float(found[0][1])


def test_the_volume_shows_what_the_labels_say(tmp_path: Path) -> None:
    image, labels = train.scan((16, 40, 40), 3)
    assert image.dtype == "u2" and 0.1 < labels.mean() < 0.6 and set(np.unique(labels)) == {0, 1}
    assert abs(image[labels == 1].mean() - image[labels == 0].mean() - train.SHOWS) < train.SHOWS / 4
    arrays = train.store(tmp_path, train.TINY, 3)
    assert arrays["image"].shards == train.TINY.shards and arrays["labels"].shape == train.TINY.shape


def test_finer_grids_are_linear() -> None:
    coarse = np.array([[0, 1], [2, 3]], "f4")
    assert np.allclose(
        train.finer(coarse, (3, 5)), [[0, 0.25, 0.5, 0.75, 1], [1, 1.25, 1.5, 1.75, 2], [2, 2.25, 2.5, 2.75, 3]]
    )

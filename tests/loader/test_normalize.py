"""Batches that are normalised by a mean and a deviation for each channel, or for each element of a sample."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import gpuzarr
from gpuzarr.errors import ArgumentError

SHAPE = (3, 20, 24)
MEAN, STD = np.array([1.0, -20, 300]).reshape(3, 1, 1), np.array([2.0, 0.3, 50]).reshape(3, 1, 1)


def stored(device: Any, values: np.ndarray, chunks: Any, **options: Any) -> Any:
    return gpuzarr.create_array({}, data=values, chunks=chunks, device=device, **options)


def on_host(values: Any) -> np.ndarray:
    return values.view(np.ndarray) if isinstance(values, np.ndarray) else values.get()


def expected(values: np.ndarray, mean: Any, std: Any, work: Any, dtype: Any) -> np.ndarray:
    """The formula, as NumPy has it, each operation rounded to `work`."""
    mean, std = np.float64(mean), np.float64(std)
    with np.errstate(all="ignore"):
        found = values.astype(work) * (1 / std).astype(work) + (-mean / std).astype(work)
    assert found.dtype == work
    return found.astype("f4").astype(dtype) if dtype == ml_dtypes.bfloat16 else found.astype(dtype)


@pytest.mark.parametrize("loops", ["compiled", "interpreted"], indirect=True)
@pytest.mark.parametrize(
    ("source", "dtype", "work"),
    [
        ("u2", None, "f4"),
        ("f4", None, "f4"),
        ("i4", "f4", "f8"),
        ("f8", None, "f8"),
        ("f4", "f2", "f4"),
        ("u1", "f8", "f8"),
    ],
)
def test_channels_of_patches(device: Any, loops: str, source: str, dtype: Any, work: str) -> None:
    values = np.random.default_rng(0).integers(0, 200, SHAPE).astype(source)
    loader = gpuzarr.Loader(
        {"x": stored(device, values, (2, 8, 8))},
        batch_size=4,
        sample=gpuzarr.Patch((None, 9, 7), stride="random", samples=30),
        normalize={"x": (MEAN, STD)},
        dtype=dtype,
        shuffle=True,
        origins=True,
    )
    seen = 0
    for batch in loader:
        for x, (_, *origin) in zip(on_host(batch["x"]), batch["origins"], strict=True):
            row, column = origin[-2:]
            part = values[:, row : row + 9, column : column + 7]
            of = expected(part, MEAN, STD, np.dtype(work), x.dtype)
            assert x.tobytes() == of.tobytes()
            seen += 1
    assert seen == 30


def test_a_mean_for_each_element_of_rows_and_missing_ones(device: Any) -> None:
    values = np.random.default_rng(0).normal(0, 10, (50, 3, 5)).astype("f4")
    values[7, 1] = values[9, 0, 2] = -99
    a = stored(device, values, (7, 2, 5), fill_value=-99)
    mean, std = values.mean(axis=0, dtype="f8"), values.std(axis=0, dtype="f8")
    loader = gpuzarr.Loader({"x": a}, batch_size=8, normalize={"x": (mean, std)}, fill_to_nan=True, origins=True)
    for batch in loader:
        for x, (_, row) in zip(on_host(batch["x"]), batch["origins"], strict=True):
            of = expected(
                np.where(values[row] == -99, np.float32(np.nan), values[row]), mean, std, np.dtype("f4"), "f4"
            )
            np.testing.assert_array_equal(x, of)


def test_windows_of_rows_as_stats_tell_them(device: Any) -> None:
    values = np.random.default_rng(0).normal(3, 10, (40, 6, 5)).astype("f4")
    a = stored(device, values, (7, 4, 5))
    mean, std = gpuzarr.stats(a, axis=(0, 2)).normalize
    assert mean.shape == (1, 6, 1)
    loader = gpuzarr.Loader({"x": a}, batch_size=8, window=[-1, 0], normalize={"x": (mean, std)}, origins=True)
    for batch in loader:
        for x, (_, row) in zip(on_host(batch["x"]), batch["origins"], strict=True):
            of = expected(values[row - 1 : row + 1], mean, std, np.dtype("f4"), "f4")
            assert x.tobytes() == of.tobytes()


def test_padding_is_normalised_for_each_channel(device: Any) -> None:
    values = np.random.default_rng(0).integers(0, 200, SHAPE).astype("u1")
    loader = gpuzarr.Loader(
        {"x": stored(device, values, (2, 8, 8), fill_value=5)},
        sample=gpuzarr.Patch((None, 16, 16), edge="pad"),
        normalize={"x": (MEAN, STD)},
        origins=True,
    )
    padded = np.pad(values, ((0, 0), (0, 16), (0, 16)), constant_values=5)
    for batch in loader:
        row, column = batch["origins"][0][-2:]
        of = expected(padded[:, row : row + 16, column : column + 16], MEAN, STD, np.dtype("f4"), "f4")
        assert on_host(batch["x"])[0].tobytes() == of.tobytes()


def test_bfloat16_and_several_stores() -> None:
    rng = np.random.default_rng(0)
    many = [rng.integers(0, 200, SHAPE).astype(kind) for kind in ("u1", "u2", "u1")]
    arrays = [stored("cpu", values, (2, 8, 8)) for values in many]
    loader = gpuzarr.Loader(
        {"x": arrays},
        batch_size=5,
        sample=gpuzarr.Patch((None, 9, 7), stride="random", samples=30),
        normalize={"x": (MEAN, STD)},
        dtype="bfloat16",
        shuffle=True,
        origins=True,
    )
    for batch in loader:
        for x, (store, *origin) in zip(batch["x"], batch["origins"], strict=True):
            row, column = origin[-2:]
            part = many[store][:, row : row + 9, column : column + 7]
            assert x.tobytes() == expected(part, MEAN, STD, np.dtype("f4"), ml_dtypes.bfloat16).tobytes()


@pytest.mark.parametrize(
    ("normalize", "told"),
    [
        ((np.ones((3, 20, 1)), 1), "origin"),
        ((np.ones((2, 1, 1)), 1), "length 2 along axis 0"),
        ((np.ones((1, 3, 1, 1)), 1), "more axes"),
        ((np.ones((3, 1, 1)), np.zeros((3, 1, 1))), "above 0"),
        ((np.full((3, 1, 1), np.nan), 1), "finite"),
        ((["a"], 1), "numbers"),
    ],
)
def test_wrong_shapes_are_refused(normalize: Any, told: str) -> None:
    a = stored("cpu", np.zeros(SHAPE, "f4"), (2, 8, 8))
    with pytest.raises(ArgumentError, match=told):
        gpuzarr.Loader({"x": a}, sample=gpuzarr.Patch((None, 4, 4)), normalize={"x": normalize})


@pytest.mark.parametrize(("dtype", "stores", "scratch"), [("f4", 1, 0), ("f4", 2, 4), ("f2", 1, 4), ("f8", 1, 0)])
def test_what_is_taken_while_a_batch_is_cut_is_planned(device: Any, dtype: str, stores: int, scratch: int) -> None:
    """On a GPU: of samples that are not computed where they belong, in bytes of an element."""
    arrays = [stored(device, np.ones(SHAPE, "u2"), (2, 8, 8)) for _ in range(stores)]
    options: Any = {"batch_size": 4, "dtype": dtype, "prefetch": 1, "sample": gpuzarr.Patch((None, 9, 7))}
    plan = gpuzarr.Loader({"x": arrays}, normalize={"x": (MEAN, STD)}, **options).plan()
    in_flight = 3 * plan.batch_bytes
    assert plan.batches_bytes == in_flight + (4 * 3 * 9 * 7 * scratch if device.gpu else 0)

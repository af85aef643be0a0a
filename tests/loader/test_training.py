"""Networks learn through the loader: stopped and resumed to the bit, in two processes as in one."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.loader import rows
from tests.loader.packages import package

torch = package("torch")
NORMALIZE = {"x": (3.0, 2.0)}


@pytest.fixture(autouse=True)
def exactly() -> Iterator[None]:
    """The same bits each time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


def network() -> tuple[Any, Any]:
    """A network with weights of seed 0, and what trains it."""
    torch.manual_seed(0)
    flat = torch.nn.Flatten(0)
    model = torch.nn.Sequential(
        torch.nn.Unflatten(1, (1, -1)), torch.nn.Conv2d(1, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 1, 4), flat
    )
    return model, torch.optim.Adam(model.parameters(), 0.01)


def step(model: Any, optimizer: Any, batch: dict[str, Any], world_size: int = 1) -> float:
    """Train on a batch; with others on theirs, if there are several processes."""
    loss = ((model(batch["x"]) - batch["y"]) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    for weights in model.parameters() if world_size > 1 else ():
        torch.distributed.all_reduce(weights.grad)
        weights.grad /= world_size
    optimizer.step()
    return float(loss.detach())


def weights_of(model: Any) -> bytes:
    return b"".join(weights.detach().numpy().tobytes() for weights in model.parameters())


def test_a_network_learns_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    rows.store(tmp_path)
    model, optimizer = network()
    loader = rows.loader(tmp_path, normalize=NORMALIZE, to="torch")
    losses = [step(model, optimizer, batch) for _ in range(4) for batch in loader]
    assert len(losses) == 48 and np.mean(losses[-6:]) < np.mean(losses[:6]) / 4

    other, its_optimizer = network()
    loader = rows.loader(tmp_path, normalize=NORMALIZE, to="torch")
    before = [step(other, its_optimizer, batch) for _ in range(2) for batch in loader]
    for batch in loader:
        before.append(step(other, its_optimizer, batch))
        if len(before) == 29:
            break
    kept = io.BytesIO()
    torch.save({"model": other.state_dict(), "optimizer": its_optimizer.state_dict()}, kept)
    state = json.dumps(loader.state_dict())

    resumed, its_optimizer = network()
    found = torch.load(io.BytesIO(kept.getvalue()), weights_only=True)
    resumed.load_state_dict(found["model"])
    its_optimizer.load_state_dict(found["optimizer"])
    loader = rows.loader(tmp_path, normalize=NORMALIZE, to="torch")
    loader.load_state_dict(json.loads(state))
    assert loader.epoch == 2
    after = [step(resumed, its_optimizer, batch) for _ in range(2) for batch in loader]
    assert before + after == losses and weights_of(resumed) == weights_of(model) != weights_of(other)


def work(rank: int, world_size: int, folder: Path) -> None:
    """What one of several processes does: two epochs, whose samples and weights it leaves in a file."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=world_size)
    model, optimizer = network()
    loader = rows.loader(folder, normalize=NORMALIZE, to="torch", rank=rank, world_size=world_size, origins=True)
    seen = []
    for _ in range(2):
        for batch in loader:
            step(model, optimizer, batch, world_size)
            seen.append(batch["origins"][:, 1].tolist())
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    (folder / f"{rank}.json").write_text(json.dumps({"seen": seen, "weights": weights_of(model).hex()}))


def test_two_processes_see_each_sample_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their weights are those of one process with batches twice as large."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    rows.store(tmp_path)
    torch.multiprocessing.spawn(work, (2, tmp_path), nprocs=2)
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert [len(one["seen"]) for one in found] == [12, 12] and found[0]["weights"] == found[1]["weights"]
    for epoch in range(2):
        batches = [batch for one in found for batch in one["seen"][6 * epoch : 6 * epoch + 6]]
        assert sorted(row for batch in batches for row in batch) == list(range(rows.SAMPLES))

    model, optimizer = network()
    loader = rows.loader(tmp_path, normalize=NORMALIZE, to="torch", batch_size=16)
    for _ in range(2):
        for batch in loader:
            step(model, optimizer, batch)
    of_two = np.frombuffer(bytes.fromhex(found[0]["weights"]), "f4")
    np.testing.assert_allclose(np.frombuffer(weights_of(model), "f4"), of_two, rtol=1e-3, atol=1e-5)


def test_jax_learns(tmp_path: Path) -> None:
    jax = package("jax")
    rows.store(tmp_path)

    @jax.jit
    def step(weights: Any, x: Any, y: Any) -> Any:
        def loss(weights: Any) -> Any:
            return ((x.reshape(len(x), -1) @ weights - y) ** 2).mean()

        value, gradient = jax.value_and_grad(loss)(weights)
        return weights - 0.02 * gradient, value

    weights, losses = jax.numpy.zeros(rows.SIDE**2), []
    loader = rows.loader(tmp_path, normalize=NORMALIZE, to="jax")
    for _ in range(4):
        for batch in loader:
            weights, loss = step(weights, batch["x"], batch["y"])
            losses.append(float(loss))
    assert np.mean(losses[-6:]) < np.mean(losses[:6]) / 4

"""What the cost model would decide before anything is read: for `explain`."""

from __future__ import annotations

from gpuzarr.chain import Chain, Step
from gpuzarr.devices import Device
from gpuzarr.devices.cost import Decision
from gpuzarr.gpu import blosc, streams


def expected(chain: Chain, count: int, device: Device) -> list[Decision]:
    """One decision for each step that nvCOMP would decode, for a wave of `count` chunks; they have a `text`."""
    decisions = [_of(step, count, device) for step in chain.steps[: chain.host_steps[0]]] if device.gpu else []
    return [decision for decision in decisions if decision is not None]


def _of(step: Step, count: int, device: Device) -> Decision | None:
    name, nbytes = step.name.removeprefix("numcodecs."), step.spec.nbytes
    if nbytes is None:
        return None
    if name == "blosc":
        return blosc.expected(step.codec, nbytes, count, device)
    return streams.expected(name, nbytes, count, device) if name in streams.ALGORITHMS else None

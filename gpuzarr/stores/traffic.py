"""What came from a store for a read: `Array.last_read` tells it. A store counts what it asked for, where it asks."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from gpuzarr.stores.contract import Objects


class Traffic(NamedTuple):
    """Requests that were made, and bytes that came in the answers.

    A request is what costs a round trip, or a system call that reads; looking for versions and lengths counts where it
    is one. Bytes are those of ranges, of what lies between ranges that are joined, of whole objects where a store has
    no ranges, and of answers that were thrown away or came again after a failure, as far as the store knows of these.
    """

    requests: int = 0
    nbytes: int = 0


class CountsTraffic(Protocol):
    """Addition to `Objects` of a store that counts what it asks for. Each counts its own: reads that run at the same
    time, of the same objects, too, do not mix."""

    def traffic(self) -> Traffic | None:
        """All requests for these objects since they were made; None where that is not counted. It may be asked at any
        time, by any thread, and after `__exit__`, too."""
        ...


def traffic(objects: Objects) -> Traffic | None:
    """What objects have asked for so far; None where nobody counts. See `CountsTraffic`."""
    counted = getattr(objects, "traffic", None)
    found: Traffic | None = None if counted is None else counted()
    return found


def added(*some: Traffic | None) -> Traffic | None:
    """All of it together; None where some of it was not counted."""
    known = [each for each in some if each is not None]
    if len(known) < len(some):
        return None
    return Traffic(sum([each.requests for each in known]), sum([each.nbytes for each in known]))

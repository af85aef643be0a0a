"""Shards that a writer fills region by region: inner chunks go to the store as they come, and nothing is read back.

As long as a shard is open nobody sees what is in it. It is closed when all its inner chunks have come. When it must be
closed before, what is still missing is taken over, under its lock, from the shard that is in the store then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from gpuzarr.devices.trace import Trace
from gpuzarr.write.assignment import Assignment
from gpuzarr.write.plan import Group, Plan
from gpuzarr.write.shards import Shard, complete, new_shards
from gpuzarr.write.thresholds import MAX_LOCKED_SHARDS, MAX_OPEN_SHARDS

ShardsByCoords = Mapping[tuple[int, ...], Shard]


class OpenShards:
    """The open shards of one writer, by their key; the one that was opened first comes first."""

    def __init__(self) -> None:
        self._open: dict[str, Shard] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, key: str) -> bool:
        return key in self._open

    def make_way(self, plan: Plan) -> None:
        """Close the shards that the plan writes in another way, or of which an inner chunk comes again."""
        in_the_way: list[str] = []
        for group in plan.groups if self._open else ():
            keys = [key for key in group.keys(plan.target.layout) if key in self._open]
            if group.coverage == "open":
                shards = new_shards(plan.target, group, Trace()).values()
                again = {s.key for s in shards if s.key in keys and (self._open[s.key].touched & s.touched).any()}
                keys = [key for key in keys if key in again]
            in_the_way += keys
        self._close(in_the_way)

    def fill(self, assignment: Assignment, group: Group, write: Callable[[ShardsByCoords], None]) -> None:
        """Call write(the shards of a group, open); close those that are too many then.

        None of the chunks to come is in an open shard: see `make_way`. After an error nothing is left of any.
        """
        shards = new_shards(assignment.target, group, assignment.trace, is_open=True)
        try:
            write({at: self._opened(shard) for at, shard in shards.items()})
        except BaseException:
            self.abort()
            raise
        self._open = {key: shard for key, shard in self._open.items() if shard.left}
        self._close(list(self._open)[: max(len(self._open) - MAX_OPEN_SHARDS, 0)])

    def close(self) -> None:
        """Close all of them."""
        self._close(list(self._open))

    def abort(self) -> None:
        """Leave nothing of them."""
        for shard in self._open.values():
            shard.abort()
        self._open.clear()

    def _opened(self, shard: Shard) -> Shard:
        """The open shard that is the same one, with what comes to it now; else this one."""
        found = self._open.setdefault(shard.key, shard)
        found.touched |= shard.touched
        return found

    def _close(self, keys: Sequence[str]) -> None:
        for first in range(0, len(keys), MAX_LOCKED_SHARDS):
            some = keys[first : first + MAX_LOCKED_SHARDS]
            try:
                complete([self._open[key] for key in some])
            finally:
                for key in some:
                    self._open.pop(key, None)

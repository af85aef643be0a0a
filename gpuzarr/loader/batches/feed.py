"""What the threads of a loader do: one walks the steps and loads chunks ahead, others cut batches.

They do not know the iterator, which may be dropped meanwhile. Who learns last of the two that a batch can be cut, that
its chunks are held and that there is memory for it, has it cut.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gpuzarr.line import Line
from gpuzarr.loader.batches.copies import MAX_CUTTERS
from gpuzarr.loader.batches.held import Held, Loaded
from gpuzarr.loader.batches.live_blocks import MAX_TOGETHER, LiveBlocks, Samples
from gpuzarr.loader.batches.making import Batch, Maker, OnError, Room
from gpuzarr.loader.batches.needs import Block, Needs, Planner, added, both, union, without
from gpuzarr.loader.batches.report import Account
from gpuzarr.loader.batches.sources import Source
from gpuzarr.loader.contract import Step
from gpuzarr.read.requests import together
from gpuzarr.stores.contract import concurrency
from gpuzarr.stores.spread import each
from gpuzarr.tasks import Task

NEAR_BYTES = 32 << 20  # of chunks of several steps that are read together from local files,
NEAR_PART_BYTES = 256 << 20  # and of one read, if one step wants more
FAR_PART_BYTES = 64 << 20  # of one read of a store whose requests take long
MAX_HURRIED_STEPS = 16  # first ones, for which chunks are loaded at once, in the order in which they are wanted
MAX_STEPS_AHEAD = 4096  # that are walked, whether there is room for their chunks or not,
MAX_SAMPLES_AHEAD = 1 << 20  # and of samples
MAX_PREPARED = 64  # blocks whose needs are found together, of fewer samples than MAX_TOGETHER


@dataclass(frozen=True)
class Terms:
    """How batches are made. `prefetch`: batches that are cut ahead. `held_limit`: bytes of chunks that are held.
    `options`: of reads, as for `Array.get`."""

    prefetch: int = 2
    held_limit: int = 1 << 30
    on_error: OnError = "raise"
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Item:
    """A step on its way. `samples`: what it wants, once its blocks are live."""

    number: int
    step: Step
    task: Task
    samples: Samples | None = None
    room: Room | None = None
    is_loaded: bool = False


class Feed:
    """Loads and cuts. `published`: items for which there is no memory yet; the iterator takes them, counts them in
    `taken`, and offers memory. `error`: ends everything.

    The load thread alone changes `_steps`, `_waiting` and `_prepared`, cut threads alone, one at a time, `_cut_count`
    (so many items at the head are cut); each change of `items` is one call of C.
    """

    def __init__(self, steps: Iterator[Step], planner: Planner, terms: Terms) -> None:
        self._steps, self.planner, self._terms = steps, planner, terms
        self.held = Held(planner.sources, terms.held_limit, terms.options)
        self.held.wanted_again |= planner.shared()
        self.account = Account()
        self._sizes = _Sizes.of(planner.sources.all)
        self.loading, self.cutting = Line(), Line(self._sizes.cutters)
        self._lock, self._cut_steps = threading.Lock(), dict[int, Step]()  # by number, of those behind `_cut_count`
        self.published: deque[Item] = deque()
        self.items: dict[int, Item] = {}
        self._waiting: deque[Item] = deque()
        self._prepared: dict[int, Block] = {}
        self.live = LiveBlocks(planner)
        self._maker = Maker(planner.views, self.held, self.account, terms.on_error)
        self.walked = self.taken = self._cut_count = self._walked_samples = self.taken_samples = 0
        self._ahead = terms.prefetch + 2
        self.is_ended = self.is_walked = self._is_waiting = False
        self.error: Exception | None = None

    # ---- Any thread ----

    def end(self) -> None:
        """Begin nothing more. It does not wait, and may be called again."""
        self.is_ended = True
        self.items.clear()
        self.published.clear()

    def poke(self) -> None:
        """Have the load thread look what there is to do."""
        self.loading.add(Task(self._advance))

    def offer(self, room: Room) -> Item:
        """Give memory for the batch of the next item that is published."""
        item = self.published.popleft()
        self.taken, self.taken_samples = self.taken + 1, self.taken_samples + len(item.step.blocks)
        item.room = room
        if item.is_loaded:
            self.cutting.add(item.task)
        return item

    def wants_steps(self) -> bool:
        """Whether so few steps are walked, of those after the first, that more should be."""
        return self.walked > 0 and not self.is_walked and self.walked - self.taken <= self._ahead // 2

    # ---- The load thread ----

    def walk(self) -> None:
        """Walk the next steps, and publish them."""
        try:
            while self._walks():
                if (step := next(self._steps, None)) is None:
                    self.is_walked = True
                    return
                item = Item(self.walked, step, Task(partial(self._cut, self.walked)))
                self.items[self.walked] = item
                self._waiting.append(item)
                self.walked, self._walked_samples = self.walked + 1, self._walked_samples + len(step.blocks)
                self.published.append(item)
        except Exception as error:
            self._fail(error)

    def _walks(self) -> bool:
        """Whether there is room for one more step."""
        is_far = self.walked >= self.taken + self._ahead
        is_large = self._walked_samples - self.taken_samples >= MAX_SAMPLES_AHEAD and self.walked > self.taken
        return not (self.is_walked or self.is_ended or self.error or is_far or is_large)

    def _advance(self) -> None:
        """Load what is wanted next, and come again while that is anything."""
        if self.is_ended or self.error is not None:
            return
        try:
            self.walk()
            items, entering = self._wanted()
            if entering:
                self._load(items, entering)
            for item, _ in self._found(items):
                self._loaded(item)
        except Exception as error:
            self._fail(error)
            return
        if items:
            self._ahead = min(2 * self._ahead, max(MAX_STEPS_AHEAD, self._terms.prefetch + 2))
            self.poke()

    def _wanted(self) -> tuple[list[Item], dict[int, Needs]]:
        """The next items that can be loaded together, with what the blocks that they enter need. The one that the
        consumer comes to next is always among them."""
        self._is_waiting = True  # before the cut thread's count is looked at
        items, entering, sizes = list[Item](), dict[int, Needs](), dict[int, int]()
        while self._waiting and not self.is_ended:
            item = self._waiting[0]
            self._prepare(item)
            more = {block: self._prepared[block][2] for block in item.step.enters.tolist()}
            if more:
                is_next = not items and self._cut_count == item.number  # so all is freed that will be
                wanted = added(sizes, self.held.unused(more.values()))
                if entering and self.held.nbytes_of(wanted) > self._sizes.whole:
                    break
                needs = [*entering.values(), *more.values()]
                if not self.held.has_room(wanted, needs):
                    if not is_next:
                        break
                    self.held.compact(needs)
                entering, sizes = {**entering, **more}, wanted
            items.append(self._waiting.popleft())
        if items or not self._waiting:
            self._is_waiting = False
        return items, entering

    def _prepare(self, item: Item) -> None:
        """Find what the blocks that enter with an item need; and those of some items behind it, as these are next."""
        new, samples = list[int](), 0
        if self._prepared.keys() >= set(item.step.enters.tolist()):
            return
        for one in self._waiting:
            new += [block for block in one.step.enters.tolist() if block not in self._prepared]
            samples += int(self.planner.counts[one.step.enters].sum())
            if samples > MAX_TOGETHER or len(new) > MAX_PREPARED:
                break
        self._prepared.update(zip(new, self.planner.blocks(new), strict=True))

    def _load(self, items: Sequence[Item], entering: dict[int, Needs]) -> None:
        """Enter blocks and load what is missing; at the beginning, what the first items want comes first."""
        missing = self.held.enter(list(entering.values()))
        self.live.enter({block: self._prepared.pop(block) for block in entering})
        if items[0].number == 0:
            missing = self._load_in_order(deque(items), missing)
        self._read(missing)

    def _load_in_order(self, items: deque[Item], missing: Needs) -> Needs:
        """Load what the next item wants, then what the next two do, and so on. Returns what is still missing."""
        count = 1
        while missing and count <= MAX_HURRIED_STEPS and not self.is_ended:
            while len(items) < count and (item := self._entering_nothing()) is not None:
                items.append(item)
            some = [items.popleft() for _ in range(min(count, len(items)))]
            wanted = [both(missing, samples.needs(self.planner)) for _, samples in self._found(some)]
            now = union(wanted)
            self._read(now)
            missing, count = without(missing, now), 2 * count
            for item in some:
                self._loaded(item)
        return missing

    def _found(self, items: Sequence[Item]) -> Iterator[tuple[Item, Samples]]:
        """The items with their samples, which are found now unless they were before."""
        for some in together(items, lambda item: len(item.step.blocks), MAX_TOGETHER):
            if new := [item for item in some if item.samples is None]:
                for item, samples in zip(new, self.live.samples([item.step for item in new]), strict=True):
                    item.samples = samples
            yield from ((item, item.samples) for item in some if item.samples is not None)

    def _entering_nothing(self) -> Item | None:
        """The next item, if it enters no block."""
        if not self._waiting:
            self._ahead = min(2 * self._ahead, MAX_STEPS_AHEAD)
            self.walk()
        return self._waiting.popleft() if self._waiting and not len(self._waiting[0].step.enters) else None

    def _read(self, missing: Needs) -> None:
        """Load chunks, a part at a time, unless nobody wants them any more."""
        begin, done = time.perf_counter(), list[Loaded]()

        def read(part: Needs) -> None:
            if not self.is_ended:
                done.extend(self.held.load(part))

        if missing:
            each(read, self.held.parts(missing, self._sizes.part), self._sizes.threads)
        for device, trace in done:
            self.account.add_load(device, trace)
        self.account.loading += time.perf_counter() - begin
        self.account.add_held(self.held)

    def _loaded(self, item: Item) -> None:
        if item.is_loaded:
            return
        item.is_loaded = True
        if item.room is not None:
            self.cutting.add(item.task)

    def _fail(self, error: Exception) -> None:
        """End with an error, of which the cut thread tells for every item that somebody waits for."""
        self.error = error
        for item in list(self.items.values()):
            self._loaded(item)

    # ---- The cut threads ----

    def _cut(self, number: int) -> tuple[Batch | None, Exception | None]:
        """Cut a batch: it, or the error in its place."""
        item = self.items.pop(number, None)
        if item is None or item.room is None or item.samples is None or self.is_ended or self.error is not None:
            return None, self.error
        begin = time.perf_counter()
        try:
            return self._maker.batch(item.samples, item.room), None
        except Exception as error:
            return None, error
        finally:
            self._done(number, item.step, time.perf_counter() - begin)

    def _done(self, number: int, step: Step, seconds: float) -> None:
        """Let go of the blocks that a step was the last of, once those before it are done, too."""
        with self._lock:
            self.account.stages["cut"] += seconds
            self._cut_steps[number] = step
            while (done := self._cut_steps.pop(self._cut_count, None)) is not None:
                for block in done.leaves.tolist():
                    self.held.leave(self.live.leave(block))
                self._cut_count += 1
        if self._is_waiting:
            self.poke()


@dataclass(frozen=True)
class _Sizes:
    """Bytes of chunks of several steps that are best loaded together, `whole`, in parts on so many threads; and how
    many threads cut."""

    whole: int
    part: int
    threads: int
    cutters: int

    @classmethod
    def of(cls, sources: Sequence[Source]) -> _Sizes:
        """On a GPU, or of a store whose requests take long, one part comes from the store while another is decoded."""
        on_gpu = max((source.device.batch_bytes for source in sources if source.device.gpu), default=0)
        cutters = 1 if on_gpu else min([MAX_CUTTERS, *(source.device.threads for source in sources)])
        if on_gpu or any(concurrency(source.array.store) > 1 for source in sources):
            part = max(on_gpu, FAR_PART_BYTES)
            return cls(4 * part, part, 2, cutters)
        return cls(NEAR_BYTES, NEAR_PART_BYTES, 1, cutters)

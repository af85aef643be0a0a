"""Contract of a store: where keys and bytes are. To add a store, implement `Store`, `Objects` and `Sink` in one file.

`gpuzarr.open(store)` takes any object with the members of `Store`; `stores/finding/` makes stores of paths and URLs.
Begin with `tests/stores/own_store.py`, a complete store over a dict, and add a row for yours to the laws in
`tests/stores/test_laws.py`.

How a read uses a store
-----------------------
1. `with store.open(keys) as objects`: opens all objects that the read needs.
2. `objects.versions(known)`, if there are shards or a cache of decoded chunks: a shard index, or a chunk, that is kept
   from an earlier read is used again if its object has the same version. Other indexes are read like chunks, by steps 3
   and 4. (Where nothing else of an object may be read, its version is looked for: `stores/versions.py`.)
3. `requests = objects.requests(ranges)`: plans the reads. Their sizes say how much memory the caller must allocate.
4. `objects.read(requests, into)`: makes them all. A few large chunks are read by `objects.reader` instead, one by one,
   so that each is decoded while its bytes are in a core's cache.
5. `objects.changed()`: if an object was replaced meanwhile, the caller drops what it read and begins again at step 1.

Local and remote stores
-----------------------
A local store opens files in step 1, learns their lengths there and holds them open, so it sees one version of each.

A remote store (`stores/remote/`: `RemoteStore`, over a `Client` that makes the requests) makes none in step 1. It
learns lengths and versions (HTTP: ETags) from the answers to reads:
- Ranges are fetched in `read`. `reader` begins to fetch all of its reads at once, and `fill` waits for its answer. A
  range that counts from the end of its object needs no length: the request can keep the negative offset. A range beyond
  its object, or of a missing object, is noticed in the answer.
- Whole objects of unknown length are fetched in `lengths` or `requests`, which must know their sizes, and the bytes are
  kept for the reads that follow. `expect_at_most` says from which length on they are not wanted. `assume_length` says
  the length beforehand, so that they are not fetched whole where a part is enough. `fetch_whole` fetches objects of
  which everything will be read, where an index and its chunks would be two requests.
- Every answer must have the version of the first answer for its object, and the one that `versions` returned, or
  `changed` is True. Objects for which `versions` returned what the caller knew, and of which nothing was read then, are
  looked at by `changed`: it asks for their headers alone (`Looks`, in `stores/versions.py`).
- As many requests are in flight as the `concurrency` of the store says (`Waits`), whatever `threads` is.

How a write uses a store
------------------------
Whole objects are written by `set` and `write`, or in pieces by `create`. An object that is changed in part is read,
changed and written: inside of `locked`, and, where the locks do not hold between processes, by conditional puts, if the
store has these. `stores/guards.py` says which of them a store has.

What else a store may offer
---------------------------
Stores and their objects may have more members than `Store` and `Objects`. Each is a Protocol, an "addition", with a
function of a similar name that does without it where it is missing: some in this file; others in `stores/keys.py` (keys
without lengths), `versions.py` (what versions mean, and when they are known), `guards.py` (conditional puts),
`traffic.py` (what a read took), `in_files.py` (objects that are files, for the C library), `overwriting.py`.

Errors
------
A missing object is no error: it has the length MISSING. Anything else that goes wrong is a StoreError that names the
key and the store, with its cause chained. A range beyond its object is a RangeError (`ranges.beyond` makes it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from gpuzarr.batch import EncodedBatch
from gpuzarr.stores.ranges import Ranges, Read, Requests

Fill = Callable[[int, memoryview], "bool | None"]  # see `Objects.reader`


class Sink(Protocol):
    """A new object that is written in pieces, and that no reader sees before `commit`.

    Pieces do not overlap, and leave no gap when the object is committed. StoreError, naming the key, where writing
    fails.
    """

    def write(self, data: Any, offset: int) -> None:
        """Write bytes, or a 1-d uint8 array of the host, at `offset`. Several threads may write different pieces."""
        ...

    def commit(self) -> None:
        """Put the object in the place of the old one, in one step. Called once, after all writes."""
        ...

    def abort(self) -> None:
        """Discard the object. The old one stays, and nothing of the new one. After `commit` it does nothing."""
        ...


class Objects(Protocol):
    """Some objects of a store, opened to be read together: `with store.open(keys) as objects`.

    Object i is the one at `keys[i]`; a key may occur more than once. Inside one `with` block everything that is read of
    an object is of one version, or `changed` says so. Methods may be called by several threads at once.
    """

    keys: Sequence[str]

    def __enter__(self) -> Objects:
        """Open the objects. A remote store makes no request here."""
        ...

    def __exit__(self, *exception: object) -> None:
        """Close them, and free everything that is held for later reads. It may be called twice."""
        ...

    def lengths(self) -> Sequence[int]:
        """Bytes of each object, MISSING where there is none.

        A store that cannot ask for lengths fetches the objects here, and keeps them for the reads that follow.
        """
        ...

    def versions(self, known: Sequence[Any]) -> Sequence[Any]:
        """Version of each object: any value that differs (`!=`) from that of every other content of the object.

        None where the store cannot tell versions; then indexes of shards are not kept from read to read. A missing
        object has a version too, unlike None.

        `known[i]` is the version that the caller knows from an earlier read, or None. A remote store that has no answer
        about object i yet returns `known[i]`, without a request, and `changed` later compares it with the answers. It
        is called again after reads, when a remote store knows more.
        """
        ...

    def changed(self) -> bool:
        """Return True if an object is not of the version that `versions` returned, or was replaced between reads.

        A remote store may have to look at some of them. If it is True, the bytes that were read mean nothing, and the
        caller opens the objects again. The store must know the new versions in that second `open`, and not return the
        outdated `known` ones again.
        """
        ...

    def requests(self, ranges: Ranges) -> Requests:
        """Plan the reads for ranges, whose `objects` count in `keys`: resolve offsets and sizes, and join neighbours.

        RangeError, with the number of the range, for a range beyond its object; a remote store may raise it in `read`.
        """
        ...

    def read(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        """Make all requests, as many at once as pays: request j into chunk j of `into`.

        The bytes are written to host memory: `into.host`, or `into.data` where that is None. Returns the ranges in that
        memory (`requests.ranges(into)`); the range of a missing object has the size MISSING.
        """
        ...

    def reader(self, reads: Sequence[Read]) -> Fill:
        """Prepare reads that any thread may make, in any order.

        The function that is returned, `fill(i, into)`, makes read i into memory of as many bytes. A remote store begins
        to send all requests here, and `fill` waits for the answer. It returns None or True; False as `Assumes` says.
        RangeError, with the number of the read, for a range beyond its object.
        """
        ...


class Store(Protocol):
    """A store of objects (bytes) at keys ("a/b/c", with no slash at either end).

    It is picklable, has a `repr` that names it in messages, and may be used by many threads at once and after a fork
    (or it raises a StoreError in the child, as one of obstore does that was used before).

    A prefix is "" for everything, or a key, and covers what is below it: "a/b" covers "a/b/c", and not "a/bc".
    What is no key, such as "../x", is a StoreError in every method (`stores/keys.py`), and never listed.

    Writing an object replaces it in one step: readers see the old one or the new one, also if the process is killed. A
    store that cannot be written raises StoreError where it is asked to, or ReadOnlyError (see `RefusesWrites`).
    """

    @property
    def has_cheap_lengths(self) -> bool:
        """True if `Objects.lengths` fetches no object: then lengths are used to estimate the memory of a read."""
        ...

    def get(self, key: str) -> bytes | None:
        """Read one small object, such as a metadata document; None if it is missing."""
        ...

    def open(self, keys: Sequence[str], threads: int = 1) -> Objects:
        """Open objects to read them together, with at most `threads` reads at once; see `Waits` for remote stores."""
        ...

    def why_not_to_device(self) -> str | None:
        """Say why objects cannot be read straight into the memory of a GPU; None if they can (`ReadsToDevice`)."""
        ...

    def names(self, prefix: str) -> list[str]:
        """Names of the objects and folders directly below a prefix, sorted, each once."""
        ...

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Key and bytes of every object below a prefix, in any order."""
        ...

    def set(self, key: str, data: Any) -> None:
        """Write one object: bytes, or a 1-d uint8 array or memoryview of the host."""
        ...

    def write(self, keys: Sequence[str], encoded: EncodedBatch) -> None:
        """Write objects: key i gets chunk i, `encoded.on_host(i)`. A remote store writes several at once."""
        ...

    def create(self, key: str) -> Sink:
        """Begin an object that is written in pieces, such as a shard."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects. A missing one is no error."""
        ...

    def delete_prefix(self, prefix: str) -> None:
        """Delete the object at a prefix, if there is one, and all objects below it."""
        ...

    def locked(self, keys: Sequence[str]) -> AbstractContextManager[None]:
        """Context that holds locks for these keys: meanwhile no other caller is in one for any of them.

        They guard reading, changing and replacing an object. Callers that ask for the same keys in another order must
        not block each other for ever. A store without locks between processes must still lock between threads. The
        `__exit__` of the context may be called twice.
        """
        ...


class Waits(Protocol):
    """Addition to `Store` of one where every request takes long, whatever its size."""

    @property
    def concurrency(self) -> int:
        """Requests that pay to be in flight at once."""
        ...


def concurrency(store: Store) -> int:
    """Requests that pay to be in flight at once; 1 for a store where they take no longer than their bytes."""
    found: int = getattr(store, "concurrency", 1)
    return found


class Lists(Protocol):
    """Addition to `Store` of one whose `names` looks at every key, for those who ask for the names of many folders."""

    def listing(self, prefix: str) -> Callable[[str], list[str]]:
        """Look at every key once: a function that does as `names`, for the prefix and all below it, as it is now."""
        ...


class Moves(Protocol):
    """Addition to `Store` of one that moves objects without a copy of their bytes. See `stores/moving.py`."""

    def holds(self, prefix: str) -> bool:
        """Return True if anything is at a prefix or below it, also what is no object; what is hidden does not count."""
        ...

    def move(self, source: str, target: str, order: Callable[[Iterable[str]], list[str]]) -> None:
        """Move what is at a prefix and below it, but for hidden names in the root "", to another, where nothing is.

        In one step, or key by key (name by name) in the order of `order(keys)`. Where it fails, or is interrupted,
        each object is at one of its two keys, or at both.
        """
        ...


class Recovers(Protocol):
    """Addition to `Store` of one that several processes use, and that finds what a killed one has left."""

    def recover(self, path: str) -> None:
        """Put back what was moved to a hidden name beside `path` by a process that was killed then."""
        ...


class RefusesWrites(Protocol):
    """Addition to `Store` of one that may know beforehand that it cannot be written."""

    def why_read_only(self, keys: Sequence[str]) -> str | None:
        """Say why objects at these keys cannot be made or replaced; None if nothing is known that forbids it.

        It is asked before a node is opened for writing or made, and makes no request.
        """
        ...


def why_read_only(store: Store, keys: Sequence[str]) -> str | None:
    """Say why a store refuses to write at these keys; None if it does not. See `RefusesWrites`."""
    if (why := getattr(store, "why_read_only", None)) is not None:
        reason: str | None = why(keys)
        return reason
    return "its read_only is True" if getattr(store, "read_only", False) is True else None


class RefusesKeys(Protocol):
    """Addition to `Store` of one that cannot have an object at every key."""

    def why_no_key(self, key: str) -> str | None:
        """Say why no object can be made at a key; None if one can."""
        ...


def why_no_key(store: Store, key: str) -> str | None:
    """Say why a store can make no object at a key; None if it can. See `RefusesKeys`."""
    why = getattr(store, "why_no_key", None)
    reason: str | None = None if why is None else why(key)
    return reason


class Bounded(Protocol):
    """Addition to `Objects` of a store that cannot ask for lengths, and so would fetch objects of any size."""

    def expect_at_most(self, nbytes: int) -> None:
        """Fetch no object of more bytes: its length is told, and its bytes are not wanted."""
        ...


def expect_at_most(objects: Objects, nbytes: int | None) -> None:
    """Fetch no object of more bytes, where fetching is how lengths are told. None: any. See `Bounded`."""
    if nbytes is not None and (bound := getattr(objects, "expect_at_most", None)) is not None:
        bound(nbytes)


class Assumes(Protocol):
    """Addition to `Objects` of a store that cannot ask for lengths, where metadata tell them."""

    def assume_length(self, nbytes: int) -> None:
        """Take all objects to have so many bytes, or to be missing, so that `lengths` fetches none.

        Then only `reader` reads them: `fill` returns False where an object is missing, and raises LengthError where it
        has another length.
        """
        ...


def assume_length(objects: Objects, nbytes: int) -> None:
    """Take all objects to have so many bytes, or to be missing, where lengths cannot be asked for. See `Assumes`."""
    if (assume := getattr(objects, "assume_length", None)) is not None:
        assume(nbytes)


class FetchesWhole(Protocol):
    """Addition to `Objects` of a store whose requests take long: whole objects in advance."""

    def fetch_whole(self, numbers: Sequence[int]) -> None:
        """Fetch the objects with these numbers, all at once, and keep them for the reads that follow."""
        ...


def fetch_whole(objects: Objects, numbers: Sequence[int]) -> None:
    """Fetch whole objects of which everything will be read, where that saves requests. See `FetchesWhole`."""
    if (fetch := getattr(objects, "fetch_whole", None)) is not None:
        fetch(numbers)


class ReadsToDevice(Protocol):
    """Addition to `Objects` of a store whose `why_not_to_device` is None."""

    def read_to_device(self, requests: Requests, into: EncodedBatch) -> EncodedBatch:
        """Do as `Objects.read` into `into.data`, memory of a GPU that no stream uses any more."""
        ...

"""Contract of a client: how objects are fetched from a place where each request takes long, such as an object store.

A client knows requests, and nothing of chunks: `gpuzarr.stores.remote.store.RemoteStore` makes a store of any client.
There is a client for obstore (S3, GCS, Azure, HTTP), for file systems of fsspec, and for stores of zarr-python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from gpuzarr.errors import StoreError


class Asked(NamedTuple):
    """A request for a range of an object.

    A negative offset counts from the end of the object, and the range goes to its end, whatever the size. A size of -1
    means up to the end; a size of 0 asks for no bytes, only for `length` and `version` of the object. `most`: the
    largest object that is wanted, where a whole one is asked for; None: any.
    """

    key: str
    offset: int = 0
    size: int = -1
    most: int | None = None


class Answer(NamedTuple):
    """The bytes of a range, with the buffer protocol. A range that reaches beyond its object has fewer bytes.

    None instead of bytes: the object is larger than `Asked.most`, or none were asked for. `length`: bytes of the whole
    object; `version`: a value (an ETag) that differs from that of every other content of the object. None where the
    client is not told.
    """

    data: Any
    length: int | None = None
    version: Any = None


Deliver = Callable[[int, Answer | None], None]


class Client(Protocol):
    """Makes requests. It is picklable and hashable, has a `repr` that names the place (a URL without secrets), and may
    be used by many threads at once and after a fork; or it raises a StoreError in the child, and never waits for ever.

    `gpuzarr.stores.identity.reached` must know what a new kind of client reaches, so that two names of a place are one.

    Errors are StoreError, naming the key and the client, after the client has tried again whatever may pass.
    """

    @property
    def concurrency(self) -> int:
        """Requests of one call that pay to be in flight at once."""
        ...

    @property
    def has_conditional_put(self) -> bool:
        """True if `put` obeys `if_version`."""
        ...

    def fetch(self, asked: Sequence[Asked], deliver: Deliver) -> None:
        """Make requests, as many at once as pays, and call `deliver(i, answer)` for each, from any thread, as it comes.

        A missing object has the answer None. Returns when all are delivered. After an error, also one of `deliver`, the
        other requests are given up.
        """
        ...

    def put(self, key: str, data: Any, if_version: Any = None) -> None:
        """Write an object in one step: a bytes-like object, or a 1-d uint8 array of the host.

        `if_version`: write it only if the object has this version now, or, if it is MISSING, only if there is none;
        else ChangedError.
        """
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects. A missing one is no error."""
        ...

    def names(self, prefix: str) -> list[str]:
        """Names of the objects and folders directly below a prefix ("": all), without slashes, in any order.

        StoreError where the place tells no names (HTTP): see `no_names`.
        """
        ...

    def objects(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Key and bytes of every object below a prefix, in any order. StoreError as for `names`."""
        ...

    def why_read_only(self) -> str | None:
        """Say why nothing can be written; None if nothing is known that forbids it. Makes no request."""
        ...

    def below(self, path: str) -> Client:
        """The part of the place below a path, as a client of its own."""
        ...


class PutsAll(Protocol):
    """Addition to `Client` of one that writes many objects at once better than by a thread for each."""

    def put_all(self, keys: Sequence[str], data: Callable[[int], Any]) -> None:
        """Write objects: key i gets `data(i)`, as `put` does."""
        ...


class TellsLengths(Protocol):
    """Addition to `Client` of one whose answers to ranges tell the length of the whole object, too."""

    @property
    def tells_lengths(self) -> bool:
        """True if they do: then an object whose length is known from metadata need not be fetched whole."""
        ...


class IsOfThisProcess(Protocol):
    """Addition to `Client` of one whose objects may be in the memory of this process."""

    @property
    def is_of_this_process(self) -> bool:
        """True if no other process has the objects: then locks between threads guard them."""
        ...


class ListsKeys(Protocol):
    """Addition to `Client` of one to which the lengths of objects cost more than their keys."""

    def keys(self, prefix: str) -> Iterable[str]:
        """Key of every object below a prefix, in any order."""
        ...


def no_names(client: Client, prefix: str, what: str) -> StoreError:
    """The error for a listing of a place that lists nothing, which is `what`."""
    still = "nodes are found by their paths, and all of a group by its consolidated metadata"
    return StoreError(f"cannot list {prefix!r} of {client!r}: {what} tells no names; {still}")

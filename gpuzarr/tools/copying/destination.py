"""The place of a copy: what is there before, and the note of a copy that is not complete.

While a copy is made, its chunks come to their places, and a hidden object `.copy.journal` at its root says of what it
is a copy. Beside the chunks of each array a journal says which are done (`gpuzarr.write.journal`). In the end all
metadata documents are written, by which there are nodes, and the journals are deleted. So what was interrupted is no
array yet that could be read; and it can be continued.

    {"copy_journal_format": 1, "copy": a hash of the metadata of the source and of what becomes of it}

Where something is overwritten, the note first says "copy": "making room", so that what is left after an interruption is
known to be deleted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gpuzarr.errors import ArgumentError, ExistsError
from gpuzarr.interrupts import within
from gpuzarr.metadata import files
from gpuzarr.stores import kept
from gpuzarr.stores.contract import Store
from gpuzarr.stores.handles import complete
from gpuzarr.stores.hidden import COPY_JOURNAL, JOURNAL
from gpuzarr.stores.keys import joined
from gpuzarr.stores.moving import holds

FORMAT = 1
MAKING_ROOM = "making room"
_DOCUMENTS = ("zarr.json", ".zarray", ".zgroup")


@dataclass(frozen=True)
class Destination:
    """A place in a store where a copy comes to lie."""

    store: Store
    path: str
    is_ours: bool = False  # the store was opened for the copy alone

    def __str__(self) -> str:
        return f"{self.path or '/'!r} of {self.store!r}"

    @property
    def has_journals(self) -> bool:
        """False for an archive, which is there only when it is complete: so it is always begun again."""
        return not hasattr(self.store, "flush")

    @property
    def _note(self) -> str:
        return files.key(self.path, COPY_JOURNAL)

    def begin(self, fingerprint: str, arrays: list[str], overwrite: bool, resume: bool) -> bool:
        """Note a copy of arrays, before anything is written. True if it goes on where one of the same was interrupted.

        ExistsError for anything else that is there, unless it is a node, or the rest of a copy, that is overwritten.
        """
        files.check_writable(self.store, self.path)
        if not self.has_journals and self.store.names(""):
            complete(self.store)  # what was written to the archive before stays
        found = self.store.get(self._note) if self.has_journals else None
        if resume and self._is_resumed(found, fingerprint):
            return True
        if found is None:
            self._make_room(overwrite)
        elif overwrite or (resume and _said(found) == MAKING_ROOM):
            self._clear()
        else:
            raise ExistsError(
                f"at {self} is a copy that was interrupted: it is continued by resume (--resume), or begun again by "
                "overwrite (--overwrite)"
            )
        if self.has_journals:
            self.store.delete(self._journals(arrays))  # of an older copy, if they were not deleted with it
            self._say(fingerprint)
        return False

    def _say(self, copied: str) -> None:
        """Write the note."""
        self.store.set(self._note, json.dumps({"copy_journal_format": FORMAT, "copy": copied}).encode())

    def check(self, overwrite: bool, resume: bool) -> None:
        """ExistsError as by `begin`. Nothing is changed."""
        is_noted = self.has_journals and self.store.get(self._note) is not None
        if not overwrite and not resume and (is_noted or holds(self.store, self.path)):
            raise ExistsError(f"there is something at {self} already: overwrite (--overwrite) replaces it")

    def discard(self) -> None:
        """Leave nothing of a copy that failed in an archive, which would be taken for complete."""
        if self.is_ours and (discard := getattr(self.store, "discard", None)) is not None:
            discard()

    def end(self, arrays: list[str]) -> None:
        """Delete the journals."""
        if self.has_journals:
            self.store.delete([*self._journals(arrays), self._note])

    def _journals(self, arrays: list[str]) -> list[str]:
        return [joined(joined(self.path, path), JOURNAL) for path in arrays]

    def _is_resumed(self, found: bytes | None, fingerprint: str) -> bool:
        if not self.has_journals:
            raise ArgumentError(f"{self.store!r} is an archive, and a copy to one is not continued: begin it again")
        if found is None:
            if holds(self.store, self.path):
                text = f"at {self} is something, but no copy that was interrupted, which could be continued"
                raise ExistsError(f"{text}; a copy that is complete is compared by `gpuzarr diff`")
            return False
        if (said := _said(found)) == MAKING_ROOM:
            return False
        if said != fingerprint:
            raise ExistsError(
                f"the copy at {self} cannot be continued: the metadata of the source, or the options, are others than "
                "when it was begun; overwrite (--overwrite) begins it again"
            )
        return True

    def _make_room(self, overwrite: bool) -> None:
        if not holds(self.store, self.path):
            return
        is_node = any(self.store.get(files.key(self.path, name)) is not None for name in _DOCUMENTS)
        if not overwrite:
            what = "a node" if is_node else "something"
            advice = "; overwrite (--overwrite) replaces it" if is_node else ""
            raise ExistsError(f"there is {what} at {self} already{advice}")
        if not is_node:
            raise ExistsError(f"what is at {self} is no node of Zarr, and is not overwritten: delete it yourself")
        self._clear()

    def _clear(self) -> None:
        """Delete what is there, the documents first, so that nothing of it can be read half."""
        within(self.store.locked([files.lock(self.path)]), self._cleared)

    def _cleared(self, _: object) -> None:
        if self.has_journals:
            self._say(MAKING_ROOM)
        for name in (*files.FILES, *(self.store.names(self.path) if self.has_journals else ())):
            self.store.delete_prefix(files.key(self.path, name))
        self.store.delete_prefix(self.path)  # the note, too, when nothing else is there
        kept.changed(self.store, self.path)


def _said(data: bytes) -> Any:
    """What a note says is copied; None for one that is damaged."""
    try:
        said = json.loads(data)
        return said["copy"] if said["copy_journal_format"] == FORMAT else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None

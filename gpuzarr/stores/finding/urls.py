"""URLs, and pipelines of them, as text: `s3://bucket/a.zip|zip:path/|zarr3:`. No store is made here.

The grammar of pipelines is that of github.com/jbms/url-pipeline: parts with a `|` between them. The first names a
place. Each of the others, `scheme:body`, says what the bytes are that the parts before it name, and where in them to
go. The colon may be left out where the body is empty; a `|` in a name is written as `%7C`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from gpuzarr.errors import StoreKindError

FORMATS = {"zarr": None, "zarr2": 2, "zarr3": 3, "n5": None}  # parts that say what a node is: its version of Zarr
OBJECT_SCHEMES = {
    **dict.fromkeys(("s3", "s3a"), "s3"),
    **dict.fromkeys(("gs", "gcs"), "gs"),
    **dict.fromkeys(("az", "azure", "abfs", "abfss", "adl"), "az"),
    **dict.fromkeys(("http", "https"), "http"),
}  # that obstore reaches, and what is there
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+._-]+)://")
_SNAPSHOT = re.compile(r"[0-9A-HJKMNP-TV-Z]{20}")  # 12 bytes in Crockford's base 32
# what is no user: github://organisation:name@branch, abfs://container@account
_USER = re.compile(r"(?<!git)(?<!gist)(?<!github)(?<!abfs)(?<!abfss)://[^/?#|\s]*@", re.IGNORECASE)
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2}).{0,2}")


@dataclass(frozen=True)
class Part:
    """One part of a pipeline, with the names of `zarr.abc.url_pipeline.PipelineSegment`.

    `scheme` is in lower case, and "" for a path of this machine; `raw` is the whole text of the part.
    """

    scheme: str
    body: str
    query: str | None
    raw: str


@dataclass(frozen=True)
class Pipeline:
    """A pipeline, parsed."""

    text: str
    root: str
    parts: tuple[Part, ...]

    def wrong(self, part: Part | None, problem: str) -> NoReturn:
        """Raise StoreKindError, which names a part (None: the first) and its number."""
        if part is None:
            raise StoreKindError(f"part 1, {shown(self.root)!r}, of {shown(self.text)!r} {problem}")
        number = self.parts.index(part) + 2
        raise StoreKindError(f"part {number}, {'|' + part.raw!r}, of {shown(self.text)!r} {problem}")

    def path(self, part: Part, body: str | None = None) -> str:
        """The path that the body of a part is, without escapes and without slashes at its ends."""
        if part.query is not None:
            self.wrong(part, "takes no query: write a '?' in a name as '%3F'")
        path = self.unescaped(part, part.body if body is None else body)
        names = [name for name in path.split("/") if name]
        if any(name in (".", "..") for name in names):
            self.wrong(part, f"has the path {path!r}, which leads out of the store")
        return "/".join(names)

    def unescaped(self, part: Part, text: str) -> str:
        from urllib.parse import unquote  # slow to import

        if (found := _BAD_ESCAPE.search(text)) is not None:
            self.wrong(part, f"has {found[0]!r}, which is no escape: write a '%' in a name as '%25'")
        try:
            return unquote(text, errors="strict")
        except UnicodeDecodeError:
            self.wrong(part, "has escapes that are no UTF-8")

    @property
    def format(self) -> int | None:
        """The version of Zarr that the last part asks for."""
        return FORMATS.get(self.parts[-1].scheme) if self.parts else None


def parsed(text: str) -> Pipeline:
    """The parts of a pipeline. StoreKindError, which names the part that is wrong."""
    root, *others = text.split("|")
    made = [_part(each) for each in others]
    found = Pipeline(text, root, tuple(made))
    if len(made) > MAX_PARTS:
        raise StoreKindError(
            f"{shown(text)!r} has {len(made)} parts behind the first; at most {MAX_PARTS} are followed"
        )
    if not root.strip():
        found.wrong(None, "is empty: it is the URL or the path of the place")
    for part in made:
        if not part.raw:
            found.wrong(part, "is empty")
        if not _SCHEME.fullmatch(part.scheme):
            found.wrong(part, f"is no 'scheme:path'. {NO_PIPELINE}")
        if "#" in part.raw:
            found.wrong(part, "has a fragment: write a '#' in a name as '%23'")
        if part.scheme in FORMATS and part is not made[-1]:
            found.wrong(part, "names the format of the node, and so must be the last one")
    return found


MAX_PARTS = 8  # of a pipeline: of archives in archives each costs twice as much as the one around it
NO_PIPELINE = (
    "(Text with '|' is a pipeline of URLs. Give a path that has a '|' as pathlib.Path, or as file:///... with %7C)"
)


def _part(raw: str) -> Part:
    before, found, query = raw.partition("?")
    name, _, body = before.partition(":")
    return Part(name.lower(), body, query if found else None, raw)


def format_of(thing: object) -> int | None:
    """The version of Zarr that a pipeline asks for (`|zarr2:`, `|zarr3:`); None for anything else."""
    return parsed(thing).format if isinstance(thing, str) and "|" in thing else None


def scheme(text: str) -> str | None:
    """The scheme of a URL, in lower case; None for what is none."""
    found = _URL.match(text)
    return None if found is None else found[1].lower()


def path_of(text: str) -> str | None:
    """The path that a file URL names; None for what is none. StoreKindError for one that names another host."""
    if scheme(text) is None and is_file(text):
        rest = text[len("file:") :]
        host, slash, path = ("", "/", rest[1:]) if not rest.startswith("//") else rest[2:].partition("/")
    elif scheme(text) in ("file", "local"):
        host, slash, path = text.partition("://")[2].partition("/")
    else:
        return None
    from urllib.parse import unquote  # slow to import

    if host.lower() not in ("", "localhost") or not slash:
        raise StoreKindError(f"{text!r} names another host or no absolute path; write file:///path")
    return "/" + unquote(path)


def is_file(text: str) -> bool:
    """True for `file:/path`, a URL without a host."""
    return text[:6].lower() == "file:/"


def icechunk_version(pipeline: Pipeline, part: Part) -> tuple[dict[str, str], str]:
    """What an `icechunk:` part names, as keywords of `stores.icechunk.of_location`; and the path in it.

    `@branch.NAME/path`, `@tag.NAME/path`, `@SNAPSHOT/path`, or the same after `//` in the place of `@`; or a path
    alone, in the branch "main".
    """
    mark = next((mark for mark in ("//", "@") if part.body.startswith(mark)), "")
    if not mark:
        return {}, pipeline.path(part)
    reference, _, rest = part.body[len(mark) :].partition("/")
    path, name = pipeline.path(part, rest), pipeline.unescaped(part, reference)
    kind, found, value = name.partition(".")
    if found and kind in ("branch", "tag") and value:
        return {kind: value}, path
    if not found and _SNAPSHOT.fullmatch(name):
        return {"snapshot": name}, path
    pipeline.wrong(part, f"has the version {name!r}, which is not @branch.NAME, @tag.NAME, or the id of a snapshot")


def shown(url: str) -> str:
    """A URL, or a pipeline or chain of them, for messages: without passwords and queries, which may be secrets."""
    first, *others = url.split("|")
    return "|".join([_shown(first), *[part.partition("?")[0] + "?..." * ("?" in part) for part in others]])


def _shown(part: str) -> str:
    without = _USER.sub("://", part)
    return re.sub(r"\?[^#|:]*", "?...", without) if "://" in without else without


def name_of(url: str) -> str:
    """The last name in the path of a URL or of a path, without a query: `a.zip` of "https://host/b/a.zip?sig=1"."""
    path = url.partition("?")[0] if scheme(url) else url
    return path.rstrip("/").rpartition("/")[2]

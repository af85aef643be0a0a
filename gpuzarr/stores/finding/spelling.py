"""Hints for text that is meant as a place, and says another one: "did you mean ...?"."""

from __future__ import annotations

import os
import re

from gpuzarr.stores.finding import urls

SCHEMES = ("file", "memory", "s3", "gs", "az", "abfs", "http", "https")
OTHERS = {
    "s3n": "s3",
    "aws": "s3",
    "gcp": "gs",
    "google": "gs",
    "wasb": "abfs",
    "wasbs": "abfs",
    "blob": "az",
    "htp": "http",
    "htps": "https",
    "mem": "memory",
}
_ONE_SLASH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/*(?!//)(.*)", re.DOTALL)
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\[^\\]")
_HOST = re.compile(r"([A-Za-z0-9][A-Za-z0-9.-]*\.(?:amazonaws\.com|googleapis\.com|blob\.core\.windows\.net))(/.*)?")
_BUCKET_HOST = re.compile(r"(.+?)\.s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com")


def hint(text: str, is_path: bool = False) -> str | None:
    """Say what a text for which there is no file or folder was probably meant to be; None if it may be what it says.

    `is_path`: it was given as a pathlib.Path, which makes one "/" of two.
    """
    if text != text.strip() or (text[:1] in "\"'" and text[:1] == text[-1:] and len(text) > 1):
        return f"there are blanks or quotes around it; did you mean {text.strip().strip(chr(34) + chr(39))!r}?"
    if text.startswith("~"):
        return f"'~' stands for nothing here; did you mean {os.path.expanduser(text)!r} (os.path.expanduser)?"
    if "$" in text and os.path.expandvars(text) != text:
        return f"variables are not replaced here; did you mean {os.path.expandvars(text)!r} (os.path.expandvars)?"
    if os.name == "posix" and _WINDOWS.match(text):
        return "it is a path of Windows, and this is another system; give the path where its drive is mounted"
    if (found := _ONE_SLASH.fullmatch(text)) is not None and not urls.is_file(text):
        scheme, rest = found[1].lower(), found[2]
        if (right := _scheme(scheme)) is not None and rest:
            meant = f"{right}://{'/' if right == 'file' else ''}{rest.lstrip('/')}"
            why = "pathlib.Path makes one '/' of two, so give URLs as text; " if is_path else ""
            return f"{why}did you mean {urls.shown(meant)!r}?"
    if "::" in text and "://" in text:
        return f"no protocol of fsspec is called {text.partition('::')[0].partition('://')[0]!r}"
    if (found := _HOST.fullmatch(text)) is not None:
        bucket = _BUCKET_HOST.fullmatch(found[1])
        other = f", or {'s3://' + bucket[1] + (found[2] or '')!r}" if bucket else ""
        return f"it is no URL without a scheme; did you mean {'https://' + text!r}{other}?"
    return None


def _scheme(scheme: str) -> str | None:
    return scheme if scheme in SCHEMES else OTHERS.get(scheme)


def of_scheme(scheme: str) -> str | None:
    """The scheme that one that nobody knows was probably meant to be."""
    from difflib import get_close_matches  # slow to import

    return OTHERS.get(scheme) or next(iter(get_close_matches(scheme, SCHEMES, 1, 0.7)), None)

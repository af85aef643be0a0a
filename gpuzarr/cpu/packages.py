"""What to say where a package is missing that a codec needs."""

from __future__ import annotations

from gpuzarr.errors import UnsupportedError

EXTRA = "pip install 'gpuzarr[codecs]'"  # it has all that codecs need


def missing(codec: str, package: str) -> UnsupportedError:
    """The error to raise where a package cannot be imported that a codec needs."""
    return UnsupportedError(f"codec {codec!r} needs the package {package}: {EXTRA}")

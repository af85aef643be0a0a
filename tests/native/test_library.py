"""The C library as a whole."""

from __future__ import annotations

import pytest

from gpuzarr import native
from gpuzarr.errors import GpuZarrWarning


@pytest.mark.usefixtures("compiled")
def test_a_library_of_other_sources_is_not_used_and_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "VERSION", native.VERSION + 1)
    with pytest.warns(GpuZarrWarning, match="of other sources"):
        assert native.library.__wrapped__() is None

"""Files of these tests lie on a disk, also where those of others lie in memory."""

from tests.places import disk, tmp_path  # noqa: F401 (fixtures)

"""Stores in folders, as other kinds of stores."""


def objects(folder):
    """A dict with the objects of a store."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}

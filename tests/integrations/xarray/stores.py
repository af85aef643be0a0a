"""What is in a store, to compare what two libraries wrote."""

import json
from pathlib import Path

DOCUMENTS = ("zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata")


def contents(place):
    """The keys of a folder: documents parsed, of chunks the bytes."""
    files = (file for file in Path(place).rglob("*") if file.is_file())
    return {
        file.relative_to(place).as_posix(): json.loads(file.read_text())
        if file.name in DOCUMENTS
        else file.read_bytes()
        for file in files
    }


def without_defaults(found):
    """Contents without what the two libraries write otherwise: compressors, and members that say nothing.

    Chunks are represented by their keys alone, as they are compressed.
    """
    return {key: _plain(value) if isinstance(value, dict) else None for key, value in found.items()}


def spelled_alike(found):
    """Contents in which members of documents that say nothing are left out; chunks are compared to the byte."""
    return {key: _said(value) if isinstance(value, dict) else value for key, value in found.items()}


def _plain(document):
    if isinstance(document, list):
        return [_plain(each) for each in document if not (isinstance(each, dict) and each.get("name") in ("zstd",))]
    if not isinstance(document, dict):
        return document
    return _said({key: _plain(value) for key, value in document.items() if key != "compressor"})


def _said(document):
    if isinstance(document, list):
        return [_said(each) for each in document]
    if isinstance(document, float) and document != document:
        return "NaN"  # which is not equal to itself
    if not isinstance(document, dict):
        return document
    empty = {("storage_transformers", "[]"), ("configuration", "{}")}
    return {key: _said(value) for key, value in document.items() if (key, str(value)) not in empty}

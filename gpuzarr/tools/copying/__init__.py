"""Copy a node, with all below it, to any store: in another version of Zarr, layout or dtype, in part, with resuming.

plan.py          which nodes are copied, and what each becomes: `documents.py`, with its codecs from `translate.py`
changes.py       what is asked for, as one array sees it
destination.py   what lies at the destination; the note of a copy that is not complete
work.py          chunks are copied as they are stored, or block by block (`blocks.py`) as values (`values.py`)
copying.py       the story
"""

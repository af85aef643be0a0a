"""The loader: samples of arrays in random order, in batches, each chunk decoded once while it is needed.

Loader -> Space (which samples there are) -> Order (which are a batch) -> Batches (chunks are read, samples are cut)

`contract.py` has what these tell each other: `Space` and `View`, `Order` and `Step`. The way of a batch, in order:

1. `loader.py`: `Loader` checks its arguments (`settings.py`), and has a space and a view of each array made of them.
2. `space/`: a sample is an origin, its first element in the first array. `samples.py` has what users say (`Patch`,
   `Rows`, `Part`), and `inputs.py` makes sense of it. Axes along which samples have an origin are columns
   (`columns.py`), along which arrays of other voxel sizes are aligned (`alignment.py`); boxes in which samples lie are
   domains (`domains.py`), cut into blocks along chunks (`blocks.py`). `grids.py` has the origins of each block,
   `patch_views.py` and `row_views.py` which elements of an array these mean, `casts.py` what becomes of them. A split
   is a loader with fewer boxes (`split_boxes.py`, by the arithmetic of `splits.py`).
3. `balance/`: the space of patches whose centres are drawn by labels or weights. What each block has of each class is
   counted once (`masses.py`), each epoch is shared out among blocks and classes (`draws.py`).
4. `plan.py`: what an epoch will take. A window of blocks that does not fit the memory limit is refused here.
5. `order/`: `arrangement.py` has the order of all samples, in lanes of blocks (`lanes.py`) that take turns
   (`turns.py`); `share.py` which positions of it are a batch of this rank; `brackets.py` where this rank has the first
   and the last sample of a block. `epoch_order.py` makes steps of that. All random numbers are of `randomness.py`.
6. `batches/`: `feed.py` walks the steps ahead on a thread. Chunks (`sources.py`) that blocks need (`needs.py`) are read
   into slots (`held.py`, `table.py`, `slots.py`), in which they stay at least until all blocks have left them. The
   samples of many steps are found together (`live_blocks.py`). Other threads cut them out of the slots (`making.py`,
   `cut.py`): on a CPU the C library does, with one call for an array of a batch (`copies.py`), on a GPU one launch
   (`pieces.py`). `batches.py` allocates the memory, and hands batches over in order.
7. `epoch.py`: the iterator that a `for` loop has. It makes the batch what `to=` says (`output.py`), and keeps the place
   that `state_dict` tells (`state.py`). `batches/report.py` tells what happened.

`adapters/` has the loader as PyTorch, grain and DALI take data.
"""

"""dask arrays of stored arrays, and stored arrays of dask arrays.

`reading` and `writing` have the public functions, `blocks` the arithmetic of blocks, `layouts` chunks of new arrays.
`stored` and `target` are what tasks hold: an array by its metadata, without values. `turns` bounds what the tasks of a
process hold in memory at once; `processes` keeps writes away from stores that other processes do not share.
"""

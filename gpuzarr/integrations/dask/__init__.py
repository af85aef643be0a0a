"""dask arrays that read stored arrays, and dask arrays that are written to stored arrays.

`reading` and `writing` have the public functions, `blocks` the arithmetic of blocks, `layouts` chunks of new arrays.
`sources` finds the stored arrays that a dask array is read from, which must not be overwritten.
`stored` and `target` are what tasks hold: an array by its metadata, without values. `turns` bounds what the tasks of a
process hold in memory at once; `processes` keeps writes away from stores that other processes do not share.
"""

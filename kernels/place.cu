// Copy boxes of decoded chunks to their places in results: any strides on both sides, byte order, clipping, fill of
// missing chunks.
//
// blockIdx.x: the box; the blocks of threads of its row (gridDim.y) share its work, see place.cuh.
//   table      rows of `count`: address in a result, address in the chunk (0: the chunk is missing), number of the form
//   forms      forms, 29 words each; boxes of the same form share one
//   low, high  16 bytes of fill values
//   swap       bytes of the units whose byte order is reversed: 2, 4, 8, at most `width`; 1 for none
#include "place.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, 3)
place(const u64* table, const u64* forms, u64 low, u64 high, u32 swap, u32 count)
{
    __shared__ Form f;
    __shared__ uint4 tile[SIDE * (SIDE + 1)];
    if (blockIdx.x >= count) return;
    u64 source;
    u8* target = load_form(f, table, forms, count, source);
    copy_or_fill(f, target, source, low, high, swap, tile);
}

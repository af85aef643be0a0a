// Do as place.cu where lists say which elements are wanted along an axis, and where they go; and for single elements,
// which are boxes of one axis with a list.
//
//   table, forms, low, high, swap   as in place.cu; but `source` of an axis with a list is the first of its entries, in
//                                   bytes from `lists`
//   lists      entries, one for each element of an axis: bytes from the start of the box in the chunk, and in the result
#define LISTED
#include "place.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, 3)
place_listed(const u64* table, const u64* forms, const u64* lists, u64 low, u64 high, u32 swap, u32 count)
{
    __shared__ Form f;
    __shared__ uint4 tile[SIDE * (SIDE + 1)];
    if (blockIdx.x >= count) return;
    u64 source;
    u8* target = load_form(f, table, forms, count, source);
    if (threadIdx.x < AXES && (f.listed >> threadIdx.x & 1)) f.source[threadIdx.x] += (i64)lists;
    __syncthreads();
    copy_or_fill(f, target, source, low, high, swap, tile);
}

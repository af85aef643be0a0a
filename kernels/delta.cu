// Undo delta of integers and bools: the running sums of each chunk, modulo 2^64, of which each element gets the lowest
// bits. That is what NumPy's cumsum makes of integers of any size, in any order of adding.
//
// A block of 256 threads takes a segment of a chunk: blockIdx.x the chunk, blockIdx.y the segment. delta_sums_... sums
// each segment, which is needed where there is more than one; delta_... adds up those before its own, then goes through
// its segment in rounds of 4096 bytes, 16 of each thread. One kernel for each size (bytes) of a difference.
//   from       the differences, one chunk after another, each aligned to its size
//   elements   of a chunk
//   segment    elements of a segment, a multiple of 4096
//   kind       of the differences: BOOL, UNSIGNED or SIGNED; where the result is BOOL, too, a sum is that of bits: xor
//   sums       of each segment, gridDim.y in a row for each chunk
//   to         `bytes` (1, 2, 4 or 8) for each element
//   mask       1 where the result is BOOL, else all bits
#include "numbers.cuh"

#define THREADS 256
#define WARPS (THREADS / 32)
#define ALL 0xffffffffu

// The differences of 16 bytes from element `i`, extended to 64 bits; zeros from element `end` on.
template <class T> __device__ __forceinline__ void load(const T* from, u64 i, u64 end, u32 kind, u64* values)
{
    const u32 COUNT = PIECE / sizeof(T);
    union { uint4 piece; T elements[COUNT]; } u;
    u.piece.x = 0, u.piece.y = 0, u.piece.z = 0, u.piece.w = 0;
    if (i + COUNT <= end) u.piece = load16((const u8*)(from + i));
    else for (u32 k = 0; k < COUNT; ++k) if (i + k < end) u.elements[k] = from[i + k];
    for (u32 k = 0; k < COUNT; ++k) values[k] = extended<sizeof(T)>(u.elements[k], kind);
}

__device__ __forceinline__ void store(u8* to, u64 i, u32 bytes, u64 value)
{
    if (bytes == 1) to[i] = (u8)value;
    else if (bytes == 2) ((u16*)to)[i] = (u16)value;
    else if (bytes == 4) ((u32*)to)[i] = (u32)value;
    else ((u64*)to)[i] = value;
}

// Sum over the lanes up to this one.
__device__ __forceinline__ u64 sum_to(u64 sum)
{
    u32 lane = threadIdx.x & 31;
    for (u32 step = 1; step < 32; step *= 2) {
        u64 before = __shfl_up_sync(ALL, sum, step);
        if (lane >= step) sum += before;
    }
    return sum;
}

// Sum over all threads of the block. `sums`: shared, a number for each warp.
__device__ __forceinline__ u64 block_sum(u64 mine, u64* sums)
{
    u64 sum = sum_to(mine);
    if ((threadIdx.x & 31) == 31) sums[threadIdx.x / 32] = sum;
    __syncthreads();
    u64 all = 0;
    for (u32 w = 0; w < WARPS; ++w) all += sums[w];
    __syncthreads();
    return all;
}

template <class T>
__device__ __forceinline__ void sum_segment(const T* from, u64 elements, u64 segment, u32 kind, u64* sums)
{
    __shared__ u64 of_warps[WARPS];
    const u32 COUNT = PIECE / sizeof(T);
    u64 first = blockIdx.y * segment, end = first + segment < elements ? first + segment : elements, sum = 0;
    from += blockIdx.x * elements;
    for (u64 i = first + threadIdx.x * COUNT; i < end; i += THREADS * COUNT) {
        u64 values[COUNT];
        load(from, i, end, kind, values);
        for (u32 k = 0; k < COUNT; ++k) sum += values[k];
    }
    sum = block_sum(sum, of_warps);
    if (threadIdx.x == 0) sums[(u64)blockIdx.x * gridDim.y + blockIdx.y] = sum;
}

template <class T>
__device__ __forceinline__ void scan_segment(
    const T* from, u64 elements, u64 segment, u32 kind, const u64* sums, u8* to, u32 bytes, u64 mask)
{
    __shared__ u64 of_warps[WARPS];
    const u32 COUNT = PIECE / sizeof(T);
    u32 t = threadIdx.x, warp = t / 32;
    u64 first = blockIdx.y * segment, end = first + segment < elements ? first + segment : elements, carry = 0;
    for (u32 s = t; s < blockIdx.y; s += THREADS) carry += sums[(u64)blockIdx.x * gridDim.y + s];
    if (blockIdx.y) carry = block_sum(carry, of_warps);
    from += blockIdx.x * elements;
    to += blockIdx.x * elements * bytes;
    for (u64 round = first; round < end; round += THREADS * COUNT) {
        u64 i = round + t * COUNT, values[COUNT];
        load(from, i, end, kind, values);
        for (u32 k = 1; k < COUNT; ++k) values[k] += values[k - 1];
        u64 sum = sum_to(values[COUNT - 1]), before = carry + sum - values[COUNT - 1];
        if ((t & 31) == 31) of_warps[warp] = sum;
        __syncthreads();
        for (u32 w = 0; w < WARPS; ++w) {
            u64 of_warp = of_warps[w];
            if (w < warp) before += of_warp;
            carry += of_warp;
        }
        __syncthreads();
        if (bytes == sizeof(T) && i + COUNT <= end) {
            union { uint4 piece; T elements[COUNT]; } u;
            for (u32 k = 0; k < COUNT; ++k) u.elements[k] = (T)((before + values[k]) & mask);
            store16(to + i * bytes, u.piece);
        } else for (u32 k = 0; k < COUNT; ++k) if (i + k < end) store(to, i + k, bytes, (before + values[k]) & mask);
    }
}

#define KERNELS(T, BYTES)                                                                                              \
    extern "C" __global__ void __launch_bounds__(THREADS) delta_sums_##BYTES(                                          \
        const u8* from, u64 elements, u64 segment, u32 kind, u64* sums, u32 count)                                     \
    {                                                                                                                  \
        if (blockIdx.x < count) sum_segment((const T*)from, elements, segment, kind, sums);                            \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS) delta_##BYTES(                                               \
        const u8* from, u64 elements, u64 segment, u32 kind, const u64* sums, u8* to, u32 bytes, u64 mask, u32 count)  \
    {                                                                                                                  \
        if (blockIdx.x < count) scan_segment((const T*)from, elements, segment, kind, sums, to, bytes, mask);          \
    }

KERNELS(u8, 1)
KERNELS(u16, 2)
KERNELS(u32, 4)
KERNELS(u64, 8)

// An exclusive sum over the numbers that the threads of a block have; `sums` is room for one of each.
#pragma once
#include "common.cuh"

// Of the threads before this one. `total`, the same in all, is that of the whole block. The block meets here: all
// threads must come, and `sums` may be used again afterwards.
__device__ __forceinline__ u64 sum_before(u64 mine, u64* sums, u64& total)
{
    u32 t = threadIdx.x;
    u64 sum = mine;
    sums[t] = mine;
    for (u32 step = 1; step < blockDim.x; step *= 2) {
        __syncthreads();
        u64 before = t >= step ? sums[t - step] : 0;
        __syncthreads();
        sums[t] = sum += before;
    }
    __syncthreads();
    total = sums[blockDim.x - 1];
    __syncthreads();
    return sum - mine;
}

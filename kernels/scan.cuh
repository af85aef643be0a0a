// Exclusive sum over one number from each thread of a block.
#pragma once
#include "common.cuh"

// Sum over the threads before this one. `total` is that of the whole block. `sums` is shared memory with space for one
// number of each thread. All threads of the block must call it; `sums` may be reused afterwards.
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

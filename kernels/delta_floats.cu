// Undo delta of floating-point numbers: running sums, each added to the next difference in their order, because any other
// order rounds otherwise.
//
// So the sums of a chunk are the work of one thread; of complex numbers the real and the imaginary parts are summed by two.
// A warp takes one chunk, blockIdx.x: its lanes load and store tiles of 8 numbers each, and load the next one while
// lane 0 (and 1) sums the last.
//   from      the differences, one chunk after another, each aligned to its size
//   numbers   of a chunk; a complex element has two
//   parts     1, or 2 for complex elements
//   to        as many numbers
// delta_floats_F_T sums differences of F bytes as numbers of the larger size, and rounds the sums to T bytes.
#include "floats.cuh"

#define LANES 32
#define EACH 8  // numbers of a lane
#define TILE (EACH * LANES)
#define ALL 0xffffffffu

// NumPy adds the sum to a float16, and a float32 or float64 to the sum: of two NaNs the first one stays. (Of complex
// numbers it depends on how many there are which one stays.)
__device__ __forceinline__ u16 next_sum(u16 sum, u16 number) { return sum_of(number, sum); }
__device__ __forceinline__ u32 next_sum(u32 sum, u32 number) { return sum_of(sum, number); }
__device__ __forceinline__ u64 next_sum(u64 sum, u64 number) { return sum_of(sum, number); }

template <class F, class A, class T>
__device__ __forceinline__ void sum_chunk(const F* from, u64 numbers, u32 parts, T* to)
{
    __shared__ A given[TILE];
    __shared__ A made[TILE];
    u32 lane = threadIdx.x;
    F next[EACH];
    A sum = 0;
    from += blockIdx.x * numbers, to += blockIdx.x * numbers;
    for (u32 k = 0; k < EACH; ++k) next[k] = k * LANES + lane < numbers ? from[k * LANES + lane] : 0;
    for (u64 first = 0; first < numbers; first += TILE) {
        u32 here = numbers - first < TILE ? (u32)(numbers - first) : TILE;
        for (u32 k = 0; k < EACH; ++k) given[k * LANES + lane] = converted<A>(next[k]);
        __syncwarp(ALL);
        for (u32 k = 0; k < EACH; ++k) {
            u64 at = first + TILE + k * LANES + lane;
            next[k] = at < numbers ? from[at] : 0;
        }
        if (lane < parts) {
            u32 begin = lane;
            if (first == 0) sum = made[lane] = given[lane], begin += parts;  // as it is: -0.0 is no sum with 0.0
            A before = sum;
            for (u32 i = begin; i < here; i += parts) made[i] = sum = added(sum, given[i]);
            if (is_nan(sum)) {  // from some number on: again, with the right ones
                sum = before;
                for (u32 i = begin; i < here; i += parts) made[i] = sum = next_sum(sum, given[i]);
            }
        }
        __syncwarp(ALL);
        for (u32 k = 0; k < EACH; ++k)
            if (k * LANES + lane < here) to[first + k * LANES + lane] = converted<T>(made[k * LANES + lane]);
        __syncwarp(ALL);
    }
}

#define KERNEL(F, FROM, A, T, TO)                                                                                      \
    extern "C" __global__ void __launch_bounds__(LANES)                                                                \
    delta_floats_##FROM##_##TO(const u8* from, u64 numbers, u32 parts, u8* to, u32 count)                              \
    {                                                                                                                  \
        if (blockIdx.x < count) sum_chunk<F, A, T>((const F*)from, numbers, parts, (T*)to);                            \
    }

KERNEL(u16, 2, u16, u16, 2)
KERNEL(u32, 4, u32, u32, 4)
KERNEL(u32, 4, u64, u64, 8)
KERNEL(u64, 8, u64, u32, 4)
KERNEL(u64, 8, u64, u64, 8)

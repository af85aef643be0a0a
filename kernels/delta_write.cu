// Delta: the difference of each element of a chunk and the one before it; the first one is kept as it is.
//
// blockIdx.x: the chunk; the blocks of threads of its row share its elements. A thread takes every so many-th element, so
// the lanes of a warp read neighbours, and each element a second time from the cache.
//   from       elements of T, one chunk after another
//   elements   of a chunk; floating-point numbers, of which a complex element has two
//   to         as many differences
// delta_write_BYTES, of integers and bools of so many bytes:
//   kind       of the elements: BOOL, whose difference is their exclusive or, UNSIGNED or SIGNED
//   bytes      of a difference: 1, 2, 4 or 8; more than those of an element get its sign
//   is_bool    1 where differences become bools
// delta_write_floats_F_T, of numbers of F bytes, whose differences are stored as T bytes:
//   parts      1, or 2 for complex elements
#include "floats.cuh"

template <class T>
__device__ __forceinline__ void
subtract(const T* from, u64 elements, u32 kind, u8* to, u32 bytes, u32 is_bool)
{
    from += blockIdx.x * elements;
    to += blockIdx.x * elements * bytes;
    u64 step = (u64)gridDim.y * blockDim.x;
    for (u64 i = (u64)blockIdx.y * blockDim.x + threadIdx.x; i < elements; i += step) {
        T value = from[i];
        if (i) value = kind == BOOL ? (T)((value != 0) != (from[i - 1] != 0)) : (T)(value - from[i - 1]);
        u64 word = extended<sizeof(T)>(value, kind);
        if (is_bool) word = word != 0;
        if (bytes == 1) to[i] = (u8)word;
        else if (bytes == 2) ((u16*)to)[i] = (u16)word;
        else if (bytes == 4) ((u32*)to)[i] = (u32)word;
        else ((u64*)to)[i] = word;
    }
}

template <class F, class T> __device__ __forceinline__ void subtract_floats(const F* from, u64 numbers, u32 parts, T* to)
{
    from += blockIdx.x * numbers, to += blockIdx.x * numbers;
    u64 step = (u64)gridDim.y * blockDim.x;
    for (u64 i = (u64)blockIdx.y * blockDim.x + threadIdx.x; i < numbers; i += step)
        to[i] = converted<T>(i < parts ? from[i] : difference_of(from[i], from[i - parts]));
}

#define KERNEL(T, BYTES)                                                                                               \
    extern "C" __global__ void                                                                                         \
    delta_write_##BYTES(const u8* from, u64 elements, u32 kind, u8* to, u32 bytes, u32 is_bool, u32 count)             \
    {                                                                                                                  \
        if (blockIdx.x < count) subtract((const T*)from, elements, kind, to, bytes, is_bool);                          \
    }
#define OF_FLOATS(F, FROM, T, TO)                                                                                      \
    extern "C" __global__ void                                                                                         \
    delta_write_floats_##FROM##_##TO(const u8* from, u64 numbers, u32 parts, u8* to, u32 count)                        \
    {                                                                                                                  \
        if (blockIdx.x < count) subtract_floats<F, T>((const F*)from, numbers, parts, (T*)to);                         \
    }

KERNEL(u8, 1)
KERNEL(u16, 2)
KERNEL(u32, 4)
KERNEL(u64, 8)
OF_FLOATS(u16, 2, u16, 2)
OF_FLOATS(u32, 4, u32, 4)
OF_FLOATS(u32, 4, u64, 8)
OF_FLOATS(u64, 8, u32, 4)
OF_FLOATS(u64, 8, u64, 8)

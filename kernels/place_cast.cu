// Do as place.cu for elements that are changed on their way, by a program: what codecs and casts make of them. Compiled
// for one width of an element of the chunks at a time (-D ELEMENT_BYTES=...).
//
//   table, forms, lists, count   as in place_listed.cu; forms have the modes ELEMENTS and TILES, and elements of the
//                    result as their width; their strides in the chunk are those of the chunk's own elements
//   fill             the element of the result for missing chunks
//   swap             1, or ELEMENT_BYTES for chunks in the other byte order
//   kind             of the elements of the chunks: see program.cuh
//   program, length  its instructions, four words each
#define LISTED
#include "place.cuh"
#include "program.cuh"

#if ELEMENT_BYTES == 1
typedef u8 Stored;
#elif ELEMENT_BYTES == 2
typedef u16 Stored;
#elif ELEMENT_BYTES == 4
typedef u32 Stored;
#elif ELEMENT_BYTES == 8
typedef uint2 Stored;
#else
#error "ELEMENT_BYTES must be 1, 2, 4 or 8"
#endif
#define NAMED(width) place_cast_##width
#define NAME(width) NAMED(width)

__device__ __forceinline__ u64 to_word(u64 v) { return v; }
__device__ __forceinline__ u64 to_word(uint2 v) { return (u64)v.y << 32 | v.x; }

// Sources of words, of which the lowest bytes are elements of the result: a decoded chunk, whose elements are changed when
// several are loaded (`base` is the address of its box); and the fill value of a missing chunk.
struct Changing {
    const u8* base;
    u32 swap, kind;
    Program program;

    __device__ __forceinline__ void element(i64 at, u64& word) const
    {
        Stored stored;
        ::load(base + at, stored);
        word = to_word(in_order(stored, swap));
        if (!is_float(kind)) word = extended<ELEMENT_BYTES>(word, of(kind));
    }
};
template <u32 N> __device__ __forceinline__ void finish(const Changing& source, u64 (&words)[N], u32 active)
{
    run(source.program, words, active);
}
struct Filling {
    u64 value;
    __device__ __forceinline__ void element(i64, u64& word) const { word = value; }
};

extern "C" __global__ void __launch_bounds__(THREADS, 3)
NAME(ELEMENT_BYTES)(const u64* table, const u64* forms, const u64* lists, u64 fill, u32 swap, u32 count, u32 kind,
                    const u64* program, u32 length)
{
    __shared__ Form f;
    __shared__ u64 tile[SIDE * (SIDE + 1)];
    if (blockIdx.x >= count) return;
    u64 source;
    u8* target = load_form(f, table, forms, count, source);
    if (threadIdx.x < AXES && (f.listed >> threadIdx.x & 1)) f.source[threadIdx.x] += (i64)lists;
    __syncthreads();
    if (source) {
        Changing chunk = {global<const u8>(source), swap, kind, {program, length, blockIdx.x}};
        box<u64>(f, target, chunk, 1, tile);
    } else {
        Filling missing = {fill};
        elements<u64>(f, target, missing, 1);
    }
}

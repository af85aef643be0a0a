// Do as place.cu for chunks whose byte or bit shuffle is still to be undone: planes are read from the frame or from
// decoded streams, and their elements are written straight to their place. Compiled for one width of an element at a
// time (-D ELEMENT_BYTES=...), because that takes a second.
//
// A chunk is cut into blocks (the last may be shorter) of whole elements, each shuffled by itself. Byte j of the
// elements of a block is its plane j, at any address: bytes, or 8 planes of bits (bit_planes.cuh), which are possible
// for ROWS only. A chunk may also be unshuffled, or missing, as in place.cu.
//   table      rows of `count`: address in the result; start of the box (in bytes of the decoded chunk; an address if
//              the chunk is unshuffled, 0 if it is missing); number of the form, of the cut, and of the chunk's first
//              plane
//   forms      as in place.cu, for elements of `WIDTH` bytes; the last extent of a chunk of bit planes counts strips
//   cuts       ways in which chunks are cut, 4 words each: bytes of a block; two words to divide by it; bytes of a
//              chunk of bit planes, 0 for others. A block has at least 32 elements, of bit planes a multiple of 8; or 0
//              for chunks that are unshuffled or missing
//   planes     addresses of the planes of a chunk's first block, then of the second ...; those of each chunk begin at a
//              multiple of WIDTH
//   low, high, swap   as in place.cu
#include "bit_planes.cuh"
#include "place.cuh"
#include "planes.cuh"

#if ELEMENT_BYTES == 1
typedef u8 Value;
#elif ELEMENT_BYTES == 2
typedef u16 Value;
#elif ELEMENT_BYTES == 4
typedef u32 Value;
#elif ELEMENT_BYTES == 8
typedef uint2 Value;
#elif ELEMENT_BYTES == 16
typedef uint4 Value;
#else
#error "ELEMENT_BYTES must be 1, 2, 4, 8 or 16"
#endif
#define NAMED(width) place_planes_##width
#define NAME(width) NAMED(width)

struct Cut {
    u32 block, multiplier, shift, bits;
};

__device__ __forceinline__ u64 bits_of(u16 v) { return v; }
__device__ __forceinline__ u64 bits_of(u32 v) { return v; }
__device__ __forceinline__ u64 bits_of(uint2 v) { return (u64)v.y << 32 | v.x; }
__device__ __forceinline__ u64 bits_of(uint4) { return 0; }  // never needed: an element of 16 bytes is in one block

// Source: a chunk of byte planes. For a piece that is in two blocks, `load` loads the first piece of the block instead,
// and `made` gathers its elements one by one.
template <class T>
struct Planes {
    enum { WIDTH = sizeof(T), AT_ONCE = WIDTH == 16 ? 1 : WIDTH == 8 ? 2 : 4 };
    struct Piece { typename Elements<WIDTH>::Part part[WIDTH]; };
    const u64* table;  // the planes of the first block
    u32 begin;         // where the box begins in the chunk
    Cut cut;

    // Block that holds a byte of the box, and the offset of the byte in it.
    __device__ __forceinline__ u32 block_of(i64 at, u32& inside) const
    {
        u32 byte = begin + (u32)at, block = quotient(byte, cut.multiplier, cut.shift);
        inside = byte - block * cut.block;
        return block;
    }
    __device__ __forceinline__ void planes_of(u32 block, const u8** plane) const
    {
        const uint4* pairs = (const uint4*)(table + (u64)block * WIDTH);
#pragma unroll
        for (u32 j = 0; j < WIDTH / 2; ++j) {
            uint4 two = pairs[j];
            plane[2 * j] = global<const u8>((u64)two.y << 32 | two.x);
            plane[2 * j + 1] = global<const u8>((u64)two.w << 32 | two.z);
        }
    }
    __device__ __forceinline__ Piece load(i64 at) const
    {
        u32 inside;
        const u8* plane[WIDTH];
        planes_of(block_of(at, inside), plane);
        u64 e = inside + PIECE <= cut.block ? inside / WIDTH : 0, bits = e;
#pragma unroll
        for (u32 j = 0; j < WIDTH; ++j) bits |= (u64)plane[j];
        Piece v;
        if (bits % (PIECE / WIDTH)) load_parts<WIDTH, false>(plane, e, v.part);
        else load_parts<WIDTH, true>(plane, e, v.part);
        return v;
    }
    __device__ __forceinline__ uint4 made(const Piece& v, i64 at) const
    {
        u32 inside;
        block_of(at, inside);
        return inside + PIECE <= cut.block ? Elements<WIDTH>::made(v.part) : gathered(at);
    }
    __device__ __forceinline__ uint4 gathered(i64 at) const
    {
        u64 half[2] = {0, 0};
#pragma unroll 1
        for (u32 i = 0; i < PIECE; i += WIDTH) {
            T v;
            element(at + i, v);
            u64 bits = (u64)bits_of(v) << (8 * (i & 7));
            half[0] |= i < 8 ? bits : 0, half[1] |= i < 8 ? 0 : bits;
        }
        return words((u32)half[0], (u32)(half[0] >> 32), (u32)half[1], (u32)(half[1] >> 32));
    }
    __device__ __forceinline__ void element(i64 at, T& v) const
    {
        u32 inside;
        const u8* plane[WIDTH];
        planes_of(block_of(at, inside), plane);
        gather(plane, inside / WIDTH, v);
    }
};

template <class T, class Source>
__device__ __forceinline__ void put(const Form& f, u8* target, const Source& source, u32 swap, void* tile)
{
    if (f.mode == ROWS) rows(f, target, source, swap, (u32)sizeof(T));
    else box<T>(f, target, source, swap, tile);
}

extern "C" __global__ void __launch_bounds__(THREADS, 3)
NAME(ELEMENT_BYTES)(const u64* table, const u64* forms, const u64* cuts, const u64* planes, u64 low, u64 high, u32 swap, u32 count)
{
    __shared__ Form f;
    __shared__ Value tile[SIDE * (SIDE + 1)];
    if (blockIdx.x >= count) return;
    u64 row = count, i = blockIdx.x, source;
    u8* target = load_form(f, table, forms, count, source);
    Cut cut = ((const Cut*)cuts)[table[3 * row + i]];
    const u64* first = planes + table[4 * row + i];
    if (cut.bits) {
        BitPlanes<ELEMENT_BYTES> chunk = {first, (u32)source, cut.block, cut.multiplier, cut.shift, cut.bits};
        bit_rows(f, target, chunk, swap);
    } else if (cut.block) {
#if ELEMENT_BYTES > 1  // single bytes are their own planes
        Planes<Value> chunk;
        chunk.table = first, chunk.begin = (u32)source, chunk.cut = cut;
        put<Value>(f, target, chunk, swap, tile);
#endif
    } else if (source) {
        Plain chunk;
        chunk.base = global<const u8>(source);
        put<Value>(f, target, chunk, swap, tile);
    } else {
        Filler fill;
        fill.low = low, fill.high = high;
        put<Value>(f, target, fill, 1, tile);
    }
}

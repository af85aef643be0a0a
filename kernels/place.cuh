// Copying the wanted part of a chunk to its place in the result, as place.cu and place_planes.cu share it.
//
// The wanted part is a box of up to 8 axes, the last one innermost in the result. Its `Form` says how it is copied:
//   ROWS      the last axis is contiguous on both sides. A thread moves pieces of 16 bytes that are aligned in the
//             result (less at the ends of a row), several at once, so that several loads are in flight.
//   ELEMENTS  a thread moves elements of `width` bytes, several at once.
//   TILES     the last axis but one is innermost in the chunk: 32 x 32 elements through shared memory. Needs 256
//             threads in a block.
// Along some axes a list may say where elements are (place_listed.cu, which defines LISTED): not along the last one of
// ROWS, nor the last two of TILES.
// Elements come from a Source: `Plain`, `Filler`, or `Planes` (place_planes.cu). Rows can also come from bit planes, in
// strips instead of pieces (bit_planes.cuh). A Source has
//   AT_ONCE          pieces that a thread should load at once
//   load(at)         the raw material of 16 bytes of a row, `at` bytes into the chunk's box; made(piece, at): these
//                    bytes
//   element(at, v)   the element at `at`; words of place_cast.cu have elements in their lowest bytes
//   finish(v, active)   make the elements of several that are in the mask those of the result; most have nothing to do
// Rows have at least 16 bytes. A row has fewer than 2^31 bytes, and a chunk fewer than 2^31 elements or pieces.
#pragma once
#include "common.cuh"

#define THREADS 256
#define AXES 8
#define SIDE 32
enum { ROWS, ELEMENTS, TILES };

struct Form {
    i64 source[AXES], target[AXES];  // strides in bytes
    u32 extent[AXES];                // for ROWS the last one is the number of pieces of a row
    u32 multiplier[AXES], shift[AXES];  // to divide by the extent
    u32 run;                         // bytes of a row
    u8 axes, mode, width, listed;    // width: bytes of an element; listed: bit i is set if axis i has a list
};

// Load the form of the block's box, number blockIdx.x of `count`, for all threads. Returns its address in the result;
// `source`: that in the chunk.
__device__ __forceinline__ u8* load_form(Form& f, const u64* table, const u64* forms, u32 count, u64& source)
{
    u8* target = global<u8>(table[blockIdx.x]);
    source = table[(u64)count + blockIdx.x];
    const u64* form = forms + table[2ull * count + blockIdx.x] * (sizeof(Form) / 8);
    for (u32 i = threadIdx.x; i < sizeof(Form) / 8; i += blockDim.x) ((u64*)&f)[i] = form[i];
    __syncthreads();
    return target;
}

// n / d, for n < 2^31 and d > 1. Source: Granlund and Montgomery 1994, as in CUTLASS' FastDivmod.
__device__ __forceinline__ u32 quotient(u32 n, u32 multiplier, u32 shift)
{
    return (u32)((u64)n * multiplier >> 32) >> shift;
}

__device__ __forceinline__ u32 divide(const Form& f, u32 axis, u32 n)
{
    return f.extent[axis] == 1 ? n : quotient(n, f.multiplier[axis], f.shift[axis]);
}

// Bytes from the first element of the box to element n, counted along the first `axes` axes.
__device__ __forceinline__ void locate(const Form& f, u32 axes, u32 n, i64& source, i64& target)
{
    source = target = 0;
#pragma unroll 1
    for (u32 axis = axes; axis-- > 0;) {
        u32 rest = axis ? divide(f, axis, n) : 0, i = n - rest * f.extent[axis];
        n = rest;
#ifdef LISTED
        if (f.listed >> axis & 1) {
            const i64* entry = global<const i64>(f.source[axis]) + 2 * i;
            source += entry[0], target += entry[1];
            continue;
        }
#endif
        source += i * f.source[axis], target += i * f.target[axis];
    }
}

// Loading an element of each width from any address, and reversing the byte order of its units.
__device__ __forceinline__ void load(const u8* p, u8& v) { v = *p; }
__device__ __forceinline__ void load(const u8* p, u16& v) { v = (u64)p & 1 ? (u16)load2(p) : *(const u16*)p; }
__device__ __forceinline__ void load(const u8* p, u32& v) { v = (u64)p & 3 ? load4(p) : *(const u32*)p; }
__device__ __forceinline__ void load(const u8* p, uint2& v) { v = (u64)p & 7 ? load8(p) : *(const uint2*)p; }
__device__ __forceinline__ void load(const u8* p, uint4& v) { v = load16(p); }

// Storing an element. Of a word only the lowest `width` bytes are one.
template <class T> __device__ __forceinline__ void store(u8* p, T v, u32) { *(T*)p = v; }
__device__ __forceinline__ void store(u8* p, u64 v, u32 width)
{
    if (width == 4) *(u32*)p = (u32)v;
    else if (width == 2) *(u16*)p = (u16)v;
    else if (width == 8) *(u64*)p = v;
    else *p = (u8)v;
}

__device__ __forceinline__ u64 in_order(u64 v, u32) { return v; }  // it is made in order
__device__ __forceinline__ u8 in_order(u8 v, u32) { return v; }
__device__ __forceinline__ u16 in_order(u16 v, u32 unit) { return unit == 1 ? v : (u16)(v << 8 | v >> 8); }
__device__ __forceinline__ u32 in_order(u32 v, u32 unit)
{
    return unit == 1 ? v : __byte_perm(v, 0, unit == 2 ? 0x2301 : 0x0123);
}
__device__ __forceinline__ uint2 in_order(uint2 v, u32 unit)
{
    uint2 s;
    s.x = in_order(v.x, unit), s.y = in_order(v.y, unit);
    if (unit == 8) {
        u32 x = s.x;
        s.x = s.y, s.y = x;
    }
    return s;
}
__device__ __forceinline__ uint4 in_order(uint4 v, u32 unit)
{
    if (unit == 1) return v;
    u32 selector = unit == 2 ? 0x2301 : 0x0123;
    uint4 s;
    s.x = __byte_perm(v.x, 0, selector), s.y = __byte_perm(v.y, 0, selector);
    s.z = __byte_perm(v.z, 0, selector), s.w = __byte_perm(v.w, 0, selector);
    if (unit == 8) {
        u32 x = s.x, z = s.z;
        s.x = s.y, s.y = x, s.z = s.w, s.w = z;
    }
    return s;
}

// Source: a missing chunk, 16 bytes of fill values repeated.
struct Filler {
    enum { AT_ONCE = 4 };
    typedef uint4 Piece;
    u64 low, high;

    __device__ __forceinline__ Piece load(i64) const
    {
        uint4 v;
        v.x = (u32)low, v.y = (u32)(low >> 32), v.z = (u32)high, v.w = (u32)(high >> 32);
        return v;
    }
    __device__ __forceinline__ uint4 made(const Piece& v, i64) const { return v; }
    __device__ __forceinline__ void element(i64, u8& v) const { v = (u8)low; }
    __device__ __forceinline__ void element(i64, u16& v) const { v = (u16)low; }
    __device__ __forceinline__ void element(i64, u32& v) const { v = (u32)low; }
    __device__ __forceinline__ void element(i64, uint2& v) const { v.x = (u32)low, v.y = (u32)(low >> 32); }
    __device__ __forceinline__ void element(i64, uint4& v) const { v = load(0); }
};

// Source: a decoded chunk. `base` is the address of its box.
struct Plain {
    enum { AT_ONCE = 4 };
    struct Piece { u32 w[5], shift; };  // five words; the bytes begin at bit `shift` of the first
    const u8* base;

    __device__ __forceinline__ Piece load(i64 at) const
    {
        const u8* p = base + at;
        Piece v;
        v.shift = 8 * (u32)((u64)p & 3);
        if (((u64)p & 15) == 0) {
            uint4 q = *(const uint4*)p;
            v.w[0] = q.x, v.w[1] = q.y, v.w[2] = q.z, v.w[3] = q.w, v.w[4] = 0;
            return v;
        }
        const u32* word = (const u32*)(p - ((u64)p & 3));
#pragma unroll
        for (u32 i = 0; i < 4; ++i) v.w[i] = word[i];
        v.w[4] = v.shift ? word[4] : 0;
        return v;
    }
    __device__ __forceinline__ uint4 made(const Piece& v, i64) const
    {
        uint4 q;
        q.x = __funnelshift_r(v.w[0], v.w[1], v.shift), q.y = __funnelshift_r(v.w[1], v.w[2], v.shift);
        q.z = __funnelshift_r(v.w[2], v.w[3], v.shift), q.w = __funnelshift_r(v.w[3], v.w[4], v.shift);
        return q;
    }
    template <class T> __device__ __forceinline__ void element(i64 at, T& v) const { ::load(base + at, v); }
};

// 16 bytes of a row, at `to` in the result and `at` in the box, of which a thread stores [begin, end). They are aligned
// in the result, except the first and the last ones of a row, which are its first or last 16 bytes.
struct Spot {
    u8* to;
    i64 at;
    i32 begin, end;
};

// Find the row of piece n: its start in the result and in the box. Returns the number of the piece in the row.
__device__ __forceinline__ u32 row_of(const Form& f, u8* target, u32 n, u8*& start, i64& from)
{
    u32 last = f.axes - 1, row = divide(f, last, n);
    i64 there;
    locate(f, last, row, from, there);
    start = target + there;
    return n - row * f.extent[last];
}

__device__ __forceinline__ Spot spot_of(const Form& f, u8* target, u32 n)
{
    u8* start;
    i64 from;
    u32 piece = row_of(f, target, n, start, from);
    i32 first = (i32)(piece * PIECE) - (i32)((u64)start & (PIECE - 1)), behind = first + PIECE, run = (i32)f.run;
    i32 offset = first < 0 ? 0 : first < run - PIECE ? first : run - PIECE;
    Spot s;
    s.to = start + offset, s.at = from + offset;
    s.begin = first < 0 ? 0 : first - offset, s.end = (behind < run ? behind : run) - offset;
    return s;
}

// Store bytes [begin, end) of 16, in elements of `width` bytes.
__device__ __forceinline__ void store_part(u8* to, uint4 v, i32 begin, i32 end, u32 width)
{
    u32 word[4] = {v.x, v.y, v.z, v.w};
    if (width >= 4) {
#pragma unroll
        for (i32 i = 0; i < 16; i += 4)
            if (i >= begin && i < end) *(u32*)(to + i) = word[i / 4];
    } else if (width == 2) {
#pragma unroll
        for (i32 i = 0; i < 16; i += 2)
            if (i >= begin && i < end) *(u16*)(to + i) = (u16)(word[i / 4] >> (8 * (i & 2)));
    } else {
#pragma unroll
        for (i32 i = 0; i < 16; ++i)
            if (i >= begin && i < end) to[i] = (u8)(word[i / 4] >> (8 * (i & 3)));
    }
}

template <class Source, class T, u32 N>
__device__ __forceinline__ void finish(const Source&, T (&)[N], u32) {}

// In each round all pieces are loaded first, without branches between the loads; a piece beyond the end loads the last
// one.
template <class Source>
__device__ __forceinline__ void rows(const Form& f, u8* target, const Source& source, u32 swap, u32 width)
{
    enum { AT_ONCE = Source::AT_ONCE };
    u32 units = 1, stride = gridDim.y * blockDim.x;
    for (u32 axis = 0; axis < f.axes; ++axis) units *= f.extent[axis];
#pragma unroll 1
    for (u32 first = blockIdx.y * blockDim.x + threadIdx.x; first < units; first += AT_ONCE * stride) {
        Spot spot[AT_ONCE];
        typename Source::Piece piece[AT_ONCE];
#pragma unroll
        for (u32 k = 0; k < AT_ONCE; ++k) {
            u32 n = first + k * stride;
            spot[k] = spot_of(f, target, n < units ? n : units - 1);
        }
#pragma unroll
        for (u32 k = 0; k < AT_ONCE; ++k) piece[k] = source.load(spot[k].at);
#pragma unroll
        for (u32 k = 0; k < AT_ONCE; ++k) {
            const Spot& s = spot[k];
            if (first + k * stride >= units) break;
            uint4 v = in_order(source.made(piece[k], s.at), swap);
            if (s.begin == 0 && s.end == PIECE) *(uint4*)s.to = v;
            else store_part(s.to, v, s.begin, s.end, width);
        }
    }
}

template <class T, class Source>
__device__ __forceinline__ void elements(const Form& f, u8* target, const Source& source, u32 swap)
{
    enum { AT_ONCE = 4 };
    u32 units = 1, stride = gridDim.y * blockDim.x;
    for (u32 axis = 0; axis < f.axes; ++axis) units *= f.extent[axis];
#pragma unroll 1
    for (u32 first = blockIdx.y * blockDim.x + threadIdx.x; first < units; first += AT_ONCE * stride) {
        T value[AT_ONCE];
        i64 to[AT_ONCE];
#pragma unroll
        for (u32 k = 0; k < AT_ONCE; ++k) {
            u32 n = first + k * stride;
            i64 at;
            locate(f, f.axes, n < units ? n : units - 1, at, to[k]);
            source.element(at, value[k]);
        }
        finish(source, value, ~0u);
#pragma unroll
        for (u32 k = 0; k < AT_ONCE; ++k)
            if (first + k * stride < units) store(target + to[k], in_order(value[k], swap), f.width);
    }
}

template <class T, class Source>
__device__ __forceinline__ void tiles(const Form& f, u8* target, const Source& source, u32 swap, T* tile)
{
    u32 wide = (f.extent[f.axes - 1] + SIDE - 1) / SIDE, high = (f.extent[f.axes - 2] + SIDE - 1) / SIDE;
    u32 count = wide * high, x = threadIdx.x % SIDE, y = threadIdx.x / SIDE;
    for (u32 axis = 0; axis + 2 < f.axes; ++axis) count *= f.extent[axis];
#pragma unroll 1
    for (u32 t = blockIdx.y; t < count; t += gridDim.y) {
        // Innermost in the result, innermost in the chunk. Of each round by itself: there is no register to keep them in.
        u32 across = f.axes - 1, down = f.axes - 2;
        u32 row = t / wide, b = (t - row * wide) * SIDE, box = row / high, a = (row - box * high) * SIDE;
        i64 from, to;
        locate(f, down, box, from, to);
        T value[SIDE / 8];
        u32 active = 0;
#pragma unroll
        for (u32 k = 0; k < SIDE / 8; ++k) {
            u32 i = a + x, j = b + y + 8 * k;
            if (i >= f.extent[down] || j >= f.extent[across]) continue;
            active |= 1u << k;
            source.element(from + i * f.source[down] + j * f.source[across], value[k]);
        }
        finish(source, value, active);
#pragma unroll
        for (u32 k = 0; k < SIDE / 8; ++k)
            if (a + x < f.extent[down] && b + y + 8 * k < f.extent[across])
                tile[(y + 8 * k) * (SIDE + 1) + x] = in_order(value[k], swap);
        __syncthreads();
#pragma unroll
        for (u32 k = 0; k < SIDE / 8; ++k) {
            u32 i = a + y + 8 * k, j = b + x;
            if (i < f.extent[down] && j < f.extent[across])
                store(target + to + i * f.target[down] + j * f.target[across], tile[x * (SIDE + 1) + y + 8 * k], f.width);
        }
        __syncthreads();
    }
}

// Copy a box with elements of type T, by TILES or ELEMENTS.
template <class T, class Source>
__device__ __forceinline__ void box(const Form& f, u8* target, const Source& source, u32 swap, void* tile)
{
    if (f.mode == TILES) tiles<T>(f, target, source, swap, (T*)tile);
    else elements<T>(f, target, source, swap);
}

// A missing chunk has no order of its own, so its elements are stored in the order of the result.
template <class T>
__device__ __forceinline__ void box(const Form& f, u8* target, const Filler& fill, u32, void*)
{
    elements<T>(f, target, fill, 1);
}

// Copy a box as its form says, with elements as wide as it says.
template <class Source>
__device__ __forceinline__ void copy(const Form& f, u8* target, const Source& source, u32 swap, void* tile)
{
    if (f.mode == ROWS) rows(f, target, source, swap, f.width);
    else if (f.width == 4) box<u32>(f, target, source, swap, tile);
    else if (f.width == 8) box<uint2>(f, target, source, swap, tile);
    else if (f.width == 2) box<u16>(f, target, source, swap, tile);
    else if (f.width == 16) box<uint4>(f, target, source, swap, tile);
    else box<u8>(f, target, source, swap, tile);
}

// Copy a box of the chunk at `source`; of a missing one (0) fill values.
__device__ __forceinline__ void copy_or_fill(const Form& f, u8* target, u64 source, u64 low, u64 high, u32 swap, void* tile)
{
    if (source) {
        Plain chunk;
        chunk.base = global<const u8>(source);
        copy(f, target, chunk, swap, tile);
    } else {
        Filler fill;
        fill.low = low, fill.high = high;
        copy(f, target, fill, 1, tile);
    }
}

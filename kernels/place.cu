// Decoded chunks to their place in the result: any strides on both sides, byte order, clipping, fill of missing chunks.
//
// blockIdx.x: the chunk; the blocks of its rows (gridDim.y) share its work. What is wanted of a chunk is a box of
// up to 8 axes, the last one innermost in the result, its `Form`; chunks that are alike share one.
//   ROWS      the last axis lies in one piece on both sides: a thread moves 16 bytes that are aligned in the result
//             (less at the ends of a row); four at once, so that four loads are on their way.
//   ELEMENTS  a thread moves one element of `width` bytes, four at once.
//   TILES     the last axis but one is innermost in the chunk: 32 x 32 elements through shared memory. Needs 256
//             threads a block.
//   table      rows of `count`: address in the result, address in the chunk (0: the chunk is missing), number of the form
//   forms      the forms, 30 words each
//   low, high  16 bytes of fill values
//   swap       bytes of what is stored in the other byte order: 2, 4, 8; 1 for none. At most `width`.
// Bytes of a row, and elements or pieces of a chunk, are fewer than 2^31.
#include "common.cuh"

#define THREADS 256
#define AXES 8
#define AT_ONCE 4
#define SIDE 32
enum { ROWS, ELEMENTS, TILES };

struct Form {
    i64 source[AXES], target[AXES];  // bytes from one to the next, along each axis
    u32 extent[AXES];                // of ROWS the last one is the pieces of a row
    u32 multiplier[AXES], shift[AXES];  // to divide by the extent
    u32 axes, mode, width, run;      // width: bytes of an element; run: bytes of a row
};

struct Filler {
    u64 low, high;
    __device__ __forceinline__ u8 byte(u64 address) const
    {
        u32 i = (u32)address & 15;
        return (u8)((i < 8 ? low : high) >> (8 * (i & 7)));
    }
};

// Four words and a fifth, of which 16 bytes begin at bit `shift` of the first.
struct Words {
    u32 w[5], shift;
};

// n / extent of that axis, for n < 2^31. Source: Granlund and Montgomery 1994, as in CUTLASS' FastDivmod.
__device__ __forceinline__ u32 divide(const Form& f, u32 axis, u32 n)
{
    return f.extent[axis] == 1 ? n : (u32)((u64)n * f.multiplier[axis] >> 32) >> f.shift[axis];
}

// Bytes from the first element of the box to element n, counted along the first `axes` axes.
__device__ __forceinline__ void locate(const Form& f, u32 axes, u32 n, i64& source, i64& target)
{
    source = target = 0;
#pragma unroll 1
    for (u32 axis = axes; axis-- > 0;) {
        u32 rest = axis ? divide(f, axis, n) : 0, i = n - rest * f.extent[axis];
        source += i * f.source[axis], target += i * f.target[axis];
        n = rest;
    }
}

__device__ __forceinline__ Words load_words(const u8* p)
{
    Words v;
    v.shift = 8 * (u32)((u64)p & 3);
    if (((u64)p & 15) == 0) {
        uint4 q = *(const uint4*)p;
        v.w[0] = q.x, v.w[1] = q.y, v.w[2] = q.z, v.w[3] = q.w, v.w[4] = 0;
        return v;
    }
    const u32* word = (const u32*)((u64)p & ~3ull);
#pragma unroll
    for (u32 i = 0; i < 4; ++i) v.w[i] = word[i];
    v.w[4] = v.shift ? word[4] : 0;
    return v;
}

__device__ __forceinline__ uint4 swapped(uint4 v, u32 unit)
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

__device__ __forceinline__ uint4 joined(const Words& v)
{
    uint4 q;
    q.x = __funnelshift_r(v.w[0], v.w[1], v.shift), q.y = __funnelshift_r(v.w[1], v.w[2], v.shift);
    q.z = __funnelshift_r(v.w[2], v.w[3], v.shift), q.w = __funnelshift_r(v.w[3], v.w[4], v.shift);
    return q;
}

// Bytes [begin, end) of a row, which are whole units.
__device__ __forceinline__ void part_of_row(u8* target, const u8* source, u32 begin, u32 end, u32 swap, Filler fill)
{
    if (source && swap == 1 && (((u64)(target + begin) | (end - begin)) & 3) == 0) {
#pragma unroll 1
        for (u32 i = begin; i < end; i += 4) *(u32*)(target + i) = load4(source + i);
        return;
    }
#pragma unroll 1
    for (u32 i = begin; i < end; ++i) target[i] = source ? source[i ^ (swap - 1)] : fill.byte((u64)(target + i));
}

__device__ __forceinline__ void rows(const Form& f, u8* target, const u8* source, u32 swap, Filler fill)
{
    u32 last = f.axes - 1, units = f.extent[last];
    for (u32 axis = 0; axis < last; ++axis) units *= f.extent[axis];
    u32 stride = gridDim.y * blockDim.x;
#pragma unroll 1
    for (u32 first = blockIdx.y * blockDim.x + threadIdx.x; first < units; first += AT_ONCE * stride) {
        Words words[AT_ONCE];
        uint4* to[AT_ONCE];
#pragma unroll
        for (u32 k = 0; k < AT_ONCE; ++k) {
            to[k] = 0;
            u32 n = first + k * stride;
            if (n >= units) continue;
            u32 row = divide(f, last, n), piece = n - row * f.extent[last];
            i64 from, there;
            locate(f, last, row, from, there);
            u8* start = target + there;
            i32 begin = (i32)(piece * PIECE) - (i32)((u64)start & (PIECE - 1)), end = begin + PIECE;
            if (begin >= 0 && end <= (i32)f.run) {
                to[k] = (uint4*)(start + begin);
                if (source) words[k] = load_words(source + from + begin);
            } else {
                begin = begin < 0 ? 0 : begin, end = end < (i32)f.run ? end : (i32)f.run;
                if (begin < end) part_of_row(start, source ? source + from : 0, (u32)begin, (u32)end, swap, fill);
            }
        }
#pragma unroll
        for (u32 k = 0; k < AT_ONCE; ++k) {
            if (!to[k]) continue;
            uint4 v;
            if (source) v = swapped(joined(words[k]), swap);
            else v.x = (u32)fill.low, v.y = (u32)(fill.low >> 32), v.z = (u32)fill.high, v.w = (u32)(fill.high >> 32);
            *to[k] = v;
        }
    }
}

// An element of each width, how it is loaded from any address, and how its bytes are brought in order.
__device__ __forceinline__ void load(const u8* p, u8& v) { v = *p; }
__device__ __forceinline__ void load(const u8* p, u16& v) { v = (u64)p & 1 ? (u16)load2(p) : *(const u16*)p; }
__device__ __forceinline__ void load(const u8* p, u32& v) { v = load4(p); }
__device__ __forceinline__ void load(const u8* p, uint2& v) { v = (u64)p & 7 ? load8(p) : *(const uint2*)p; }
__device__ __forceinline__ void load(const u8* p, uint4& v) { v = load16(p); }

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
__device__ __forceinline__ uint4 in_order(uint4 v, u32 unit) { return swapped(v, unit); }

__device__ __forceinline__ void take(const Filler& fill, u8& v) { v = (u8)fill.low; }
__device__ __forceinline__ void take(const Filler& fill, u16& v) { v = (u16)fill.low; }
__device__ __forceinline__ void take(const Filler& fill, u32& v) { v = (u32)fill.low; }
__device__ __forceinline__ void take(const Filler& fill, uint2& v)
{
    v.x = (u32)fill.low, v.y = (u32)(fill.low >> 32);
}
__device__ __forceinline__ void take(const Filler& fill, uint4& v)
{
    v.x = (u32)fill.low, v.y = (u32)(fill.low >> 32), v.z = (u32)fill.high, v.w = (u32)(fill.high >> 32);
}

template <class T>
__device__ __forceinline__ void elements(const Form& f, u8* target, const u8* source, u32 swap, Filler fill)
{
    u32 units = 1, stride = gridDim.y * blockDim.x;
    for (u32 axis = 0; axis < f.axes; ++axis) units *= f.extent[axis];
#pragma unroll 1
    for (u32 first = blockIdx.y * blockDim.x + threadIdx.x; first < units; first += AT_ONCE * stride) {
        T value[AT_ONCE];
        i64 to[AT_ONCE];
#pragma unroll
        for (u32 k = 0; k < AT_ONCE; ++k) {
            u32 n = first + k * stride;
            if (n >= units) continue;
            i64 from;
            locate(f, f.axes, n, from, to[k]);
            if (source) load(source + from, value[k]);
            else take(fill, value[k]);
        }
#pragma unroll
        for (u32 k = 0; k < AT_ONCE; ++k)
            if (first + k * stride < units) *(T*)(target + to[k]) = source ? in_order(value[k], swap) : value[k];
    }
}

template <class T>
__device__ __forceinline__ void tiles(const Form& f, u8* target, const u8* source, u32 swap, Filler fill, T* tile)
{
    u32 across = f.axes - 1, down = f.axes - 2;  // innermost in the result, innermost in the chunk
    u32 wide = (f.extent[across] + SIDE - 1) / SIDE, high = (f.extent[down] + SIDE - 1) / SIDE;
    u32 count = wide * high, x = threadIdx.x % SIDE, y = threadIdx.x / SIDE;
    for (u32 axis = 0; axis < down; ++axis) count *= f.extent[axis];
#pragma unroll 1
    for (u32 t = blockIdx.y; t < count; t += gridDim.y) {
        u32 row = t / wide, b = (t - row * wide) * SIDE, box = row / high, a = (row - box * high) * SIDE;
        i64 from, to;
        locate(f, down, box, from, to);
        T value[SIDE / 8];
#pragma unroll
        for (u32 k = 0; k < SIDE / 8; ++k) {
            u32 i = a + x, j = b + y + 8 * k;
            if (i >= f.extent[down] || j >= f.extent[across]) continue;
            if (source) load(source + from + i * f.source[down] + j * f.source[across], value[k]);
            else take(fill, value[k]);
        }
#pragma unroll
        for (u32 k = 0; k < SIDE / 8; ++k)
            if (a + x < f.extent[down] && b + y + 8 * k < f.extent[across])
                tile[(y + 8 * k) * (SIDE + 1) + x] = source ? in_order(value[k], swap) : value[k];
        __syncthreads();
#pragma unroll
        for (u32 k = 0; k < SIDE / 8; ++k) {
            u32 i = a + y + 8 * k, j = b + x;
            if (i < f.extent[down] && j < f.extent[across])
                *(T*)(target + to + i * f.target[down] + j * f.target[across]) = tile[x * (SIDE + 1) + y + 8 * k];
        }
        __syncthreads();
    }
}

template <class T>
__device__ __forceinline__ void one_by_one(const Form& f, u8* target, const u8* source, u32 swap, Filler fill, void* tile)
{
    if (f.mode == ELEMENTS) elements<T>(f, target, source, swap, fill);
    else tiles<T>(f, target, source, swap, fill, (T*)tile);
}

extern "C" __global__ void __launch_bounds__(THREADS, 3)
place(const u64* table, const u64* forms, u64 low, u64 high, u32 swap, u32 count)
{
    __shared__ Form f;
    __shared__ uint4 tile[SIDE * (SIDE + 1)];
    if (blockIdx.x >= count) return;
    u8* target = (u8*)table[blockIdx.x];
    const u8* source = (const u8*)table[(u64)count + blockIdx.x];
    const u64* form = forms + table[2ull * count + blockIdx.x] * (sizeof(Form) / 8);
    for (u32 i = threadIdx.x; i < sizeof(Form) / 8; i += blockDim.x) ((u64*)&f)[i] = form[i];
    __syncthreads();
    Filler fill;
    fill.low = low, fill.high = high;
    if (f.mode == ROWS) rows(f, target, source, swap, fill);
    else if (f.width == 4) one_by_one<u32>(f, target, source, swap, fill, tile);
    else if (f.width == 8) one_by_one<uint2>(f, target, source, swap, fill, tile);
    else if (f.width == 2) one_by_one<u16>(f, target, source, swap, fill, tile);
    else if (f.width == 16) one_by_one<uint4>(f, target, source, swap, fill, tile);
    else one_by_one<u8>(f, target, source, swap, fill, tile);
}

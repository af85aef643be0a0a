// Make one element of the elements of each window of an array. Compiled for one width of an element at a time (-D
// ELEMENT_BYTES=...). The values are those of gpuzarr/native/downsample.c, to the bit.
//
// A thread makes an element of the target, which is in C order. The elements of windows along the last axis are read by
// neighbouring threads, so lines of memory are read once.
//   source      address of the first element; elements are aligned
//   target      address
//   table       of each axis four numbers: elements of the target, elements of the source, elements of a window, and
//               bytes from element to element of the source. Windows at the end of an axis have what is left
//   axes        rows of the table
//   outer       elements of a window along its axes together, but the last three axes along which it has several
//   total       elements of the target, less than 2^32
//   kind        of elements, as in numbers.cuh; bools are unsigned
//   infinity    bits of an infinite float: larger ones, without the sign, are NaNs
//   nan         bits of the NaN that is made
//   ignored     bits of an element that modes ignore, if has_ignored is 1
#include "numbers.cuh"

#if ELEMENT_BYTES == 1
typedef u8 Stored;
#elif ELEMENT_BYTES == 2
typedef u16 Stored;
#elif ELEMENT_BYTES == 4
typedef u32 Stored;
#elif ELEMENT_BYTES == 8
typedef u64 Stored;
#else
#error "ELEMENT_BYTES must be 1, 2, 4 or 8"
#endif
#define NAMED(name, width) name##_##width
#define NAME_OF(name, width) NAMED(name, width)
#define NAME(name) NAME_OF(name, ELEMENT_BYTES)
#define THREADS 256

// The element that this thread makes.
__device__ __forceinline__ u64 own() { return (u64)blockIdx.x * THREADS + threadIdx.x; }

// Elements of a window along its last three axes with several elements, x being the last; `stride` is in bytes.
struct Corner {
    const u8* base;  // 0: there is none, at the end of an axis
    u32 nx, ny, nz;
    i64 stride_x, stride_y, stride_z;
};

struct Window {
    u64 source;
    const i64* table;
    u32 axes, outer, index;

    // Where the elements begin whose number along the outer axes is `at`.
    __device__ __forceinline__ Corner corner(u32 at) const
    {
        Corner c = {global<const u8>(source), 1, 1, 1, 0, 0, 0};
        u32 left = index, behind = 0;
        bool is_there = true;
        for (u32 a = axes; a-- > 0;) {
            u32 count = (u32)table[4 * a], factor = (u32)table[4 * a + 2], rest = left / count;
            i64 stride = table[4 * a + 3], start = (i64)(left - rest * count) * factor;
            i64 most = table[4 * a + 1] - start;
            u32 extent = most < factor ? (u32)most : factor;
            left = rest;
            c.base += start * stride;
            if (factor == 1) continue;
            if (behind == 0) c.nx = extent, c.stride_x = stride;
            else if (behind == 1) c.ny = extent, c.stride_y = stride;
            else if (behind == 2) c.nz = extent, c.stride_z = stride;
            else {
                u32 place = at % factor;
                at /= factor;
                is_there = is_there && place < extent;
                c.base += (i64)place * stride;
            }
            ++behind;
        }
        if (!is_there) c.base = 0;
        return c;
    }

    // Call take(element) for each element, in C order.
    template <class Take> __device__ __forceinline__ void each(Take& take) const
    {
        for (u32 at = 0; at < outer; ++at) {
            Corner c = corner(at);
            if (!c.base) continue;
            for (u32 z = 0; z < c.nz; ++z)
                for (u32 y = 0; y < c.ny; ++y) {
                    const u8* row = c.base + z * c.stride_z + y * c.stride_y;
                    for (u32 x = 0; x < c.nx; ++x) take(*(const Stored*)(row + x * c.stride_x));
                }
        }
    }
};

// ---- Means ----

// A sum of integers, exact: of those of 64 bits the sums of the upper and the lower halves.
struct WholeSum {
    u32 kind, count;
    i64 high;
    u64 low;

    __device__ __forceinline__ void operator()(Stored stored)
    {
        u64 word = extended<ELEMENT_BYTES>(stored, kind);
        if (ELEMENT_BYTES == 8) {
            high += kind == SIGNED ? (i64)word >> 32 : (i64)(word >> 32);
            low += word & 0xffffffff;
        } else high += (i64)word;
        ++count;
    }

    // Divide, rounded down.
    __device__ __forceinline__ i64 below(i64 number) const
    {
        if ((count & (count - 1)) == 0) return number >> __popc(count - 1);
        if (number >= 0) return (i64)((u64)number / count);
        return -(i64)(((u64)-number + count - 1) / count);
    }

    __device__ __forceinline__ Stored mean() const
    {
        i64 quotient = below(high);
        u64 rest = (u64)(high - quotient * (i64)count);
        if (ELEMENT_BYTES == 8) {
            u64 lower = low + (rest << 32), second = lower / count;
            rest = lower - second * count;
            quotient = (i64)(((u64)quotient << 32) + second);
        }
        return (Stored)(quotient + (2 * rest > count || (2 * rest == count && (quotient & 1))));
    }
};

template <class T> struct FloatSum {
    u32 kind, count;
    T sum;

    __device__ __forceinline__ void operator()(Stored stored)
    {
        T x = value_of<T, ELEMENT_BYTES>(stored, kind);
        if (sizeof(T) == 4) sum = (T)__fadd_rn((float)sum, (float)x);
        else sum = (T)__dadd_rn((double)sum, (double)x);
        ++count;
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, 4)
NAME(downsample_mean)(u64 source, u64 target, const i64* table, u32 axes, u32 outer, u32 total, u32 kind, u64 nan)
{
    u64 i = own();
    if (i >= total) return;
    Window window = {source, table, axes, outer, (u32)i};
    Stored made;
    if (kind <= SIGNED) {
        WholeSum sum = {kind, 0, 0, 0};
        window.each(sum);
        made = sum.mean();
    } else {
#if ELEMENT_BYTES == 8
        FloatSum<double> sum = {kind, 0, 0};
        window.each(sum);
        double mean = sum.sum / (double)sum.count;
        made = (Stored)__double_as_longlong(mean);
#else
        FloatSum<float> sum = {kind, 0, 0};
        window.each(sum);
        float mean = sum.sum / (float)sum.count;
        made = (Stored)(kind == FLOAT32 ? __float_as_uint(mean) : kind == BFLOAT16 ? bfloat_bits(mean) : half_bits(mean));
#endif
        if (mean != mean) made = (Stored)nan;
    }
    global<Stored>(target)[i] = made;
}

// ---- What depends on the order of elements ----

// Elements as keys, which are unsigned and in the same order. NaNs have one key: the last, or to a maximum the first.
struct Keys {
    static const Stored TOP = (Stored)((Stored)1 << (8 * ELEMENT_BYTES - 1)), ALL = (Stored)~(Stored)0;
    u32 kind;
    Stored infinity, nan, none;
    bool merges_zeros;

    __device__ __forceinline__ Stored of(Stored bits) const
    {
        if (kind == UNSIGNED) return bits;
        if (kind == SIGNED) return (Stored)(bits ^ TOP);
        if ((Stored)(bits & (Stored)~TOP) > infinity) return none;
        if (merges_zeros && bits == TOP) bits = 0;
        return (Stored)(bits & TOP ? ~bits : bits | TOP);
    }
    __device__ __forceinline__ Stored element(Stored key) const
    {
        if (kind == UNSIGNED) return key;
        if (kind == SIGNED) return (Stored)(key ^ TOP);
        if (key == none) return nan;
        return (Stored)(key & TOP ? key ^ TOP : ~key);
    }
    __device__ __forceinline__ bool is_nan(Stored key) const { return kind > SIGNED && key == none; }
};

struct Extreme {
    Keys keys;
    bool is_most;
    Stored found;

    __device__ __forceinline__ void operator()(Stored stored)
    {
        Stored key = keys.of(stored);
        if (is_most ? key > found : key < found) found = key;
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, 4)
NAME(downsample_extreme)(u64 source, u64 target, const i64* table, u32 axes, u32 outer, u32 total, u32 kind, u64 infinity,
                         u64 nan, u32 is_most)
{
    Stored none = is_most ? (Stored)0 : Keys::ALL;
    Keys keys = {kind, (Stored)infinity, (Stored)nan, none, false};
    u64 i = own();
    if (i >= total) return;
    Window window = {source, table, axes, outer, (u32)i};
    Extreme extreme = {keys, is_most != 0, none};
    window.each(extreme);
    global<Stored>(target)[i] = keys.element(extreme.found);
}

// The least key above another one, or of all, and how often it is there; and how many keys there are in all.
struct Above {
    Keys keys;
    bool has_bound;
    Stored bound, least;
    u32 count, all, nans;

    __device__ __forceinline__ void operator()(Stored stored)
    {
        Stored key = keys.of(stored);
        ++all;
        nans += keys.is_nan(key);
        if (has_bound && key <= bound) return;
        if (key < least) least = key, count = 0;
        count += key == least;
    }
};

// Modes: no key needs memory, as those that are more than the last one are counted in a pass of their own, until there
// are fewer left than the most frequent one has. Where all elements are alike that is one pass. For windows of few
// elements, which are in the cache after the first pass; of larger ones see downsample_runs.
extern "C" __global__ void __launch_bounds__(THREADS, 4)
NAME(downsample_mode)(u64 source, u64 target, const i64* table, u32 axes, u32 outer, u32 total, u32 kind, u64 infinity,
                      u64 nan, u32 has_ignored, u64 ignored)
{
    Keys keys = {kind, (Stored)infinity, (Stored)nan, Keys::ALL, true};
    Stored not_counted = keys.of((Stored)ignored);
    u64 i = own();
    if (i >= total) return;
    Window window = {source, table, axes, outer, (u32)i};
    Stored found = 0, bound = 0;
    for (u32 seen = 0, most = 0, left = 1; left > most;) {
        Above above = {keys, seen != 0, bound, Keys::ALL, 0, 0, 0};
        window.each(above);
        bool is_live = !keys.is_nan(above.least) && !(has_ignored && above.least == not_counted);
        if (seen == 0) found = above.least;
        if (is_live && above.count > most) most = above.count, found = above.least;
        bound = above.least, seen += above.count, left = above.all - seen;
    }
    global<Stored>(target)[i] = keys.element(found);
}

// Medians, as modes: until half of the numbers are counted.
extern "C" __global__ void __launch_bounds__(THREADS, 4)
NAME(downsample_median)(u64 source, u64 target, const i64* table, u32 axes, u32 outer, u32 total, u32 kind, u64 infinity,
                        u64 nan)
{
    Keys keys = {kind, (Stored)infinity, (Stored)nan, Keys::ALL, false};
    u64 i = own();
    if (i >= total) return;
    Window window = {source, table, axes, outer, (u32)i};
    Stored bound = 0;
    for (u32 seen = 0, wanted = 1; seen < wanted;) {
        Above above = {keys, seen != 0, bound, Keys::ALL, 0, 0, 0};
        window.each(above);
        wanted = (above.all - above.nans + 1) / 2;
        bound = above.least, seen += above.count;
    }
    global<Stored>(target)[i] = keys.element(bound);
}

// ---- Rows: windows of many elements, which the host has sorted ----

// Elements become keys, in their place. `n` of them; `is_mode`: -0.0 is 0.0.
extern "C" __global__ void __launch_bounds__(THREADS, 4)
NAME(downsample_keys)(u64 elements, u64 n, u32 kind, u64 infinity, u32 is_mode)
{
    Keys keys = {kind, (Stored)infinity, 0, Keys::ALL, is_mode != 0};
    Stored* element = global<Stored>(elements);
    u64 i = own();
    if (i >= n) return;
    element[i] = keys.of(element[i]);
}

// The number of keys of a sorted row that are at most `bound`, from number `from` on.
__device__ __forceinline__ u32 end_of(const Stored* row, u32 from, u32 size, Stored bound)
{
    u32 low = from, high = size;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (row[middle] <= bound) low = middle + 1;
        else high = middle;
    }
    return low;
}

// The mode or the median of each of `total` rows of `size` sorted keys. A thread does a row; it looks only
// at ends of runs: the next one is nearby, or a search finds it.
extern "C" __global__ void __launch_bounds__(THREADS, 4)
NAME(downsample_runs)(u64 rows, u64 target, u32 size, u32 total, u32 kind, u64 infinity, u64 nan, u32 is_mode,
                      u32 has_ignored, u64 ignored)
{
    Keys keys = {kind, (Stored)infinity, (Stored)nan, Keys::ALL, is_mode != 0};
    Stored not_counted = keys.of((Stored)ignored);
    u64 i = own();
    if (i >= total) return;
    const Stored* row = global<const Stored>(rows) + i * size;
    u32 numbers = kind > SIGNED ? end_of(row, 0, size, (Stored)(Keys::ALL - 1)) : size;
    Stored found = row[0];
    if (!is_mode) found = numbers ? row[(numbers - 1) / 2] : keys.none;
    for (u32 at = 0, most = 0; is_mode && at + most < numbers;) {
        Stored key = row[at];
        u32 end = row[at + most] == key ? end_of(row, at + most, numbers, key) : end_of(row, at, at + most, key);
        if (end - at > most && !(has_ignored && key == not_counted)) most = end - at, found = key;
        at = end;
    }
    global<Stored>(target)[i] = keys.element(found);
}

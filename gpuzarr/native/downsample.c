#include "native.h"
#include <math.h>
#include <string.h>

// Make one element of the elements of a window, which is `factors` elements wide, or what is left at the end of an axis.
// A window is rows along one axis, `inner`. What is done to a row is done to that of many neighbouring windows at once.
enum { MEAN, MODE, MAX, MIN, MEDIAN };  // methods; these and the kinds are those of dtypes/windows.py
enum { UNSIGNED = 1, SIGNED, FLOAT16, BFLOAT16, FLOAT32, FLOAT64 };  // kinds of elements
enum {
    UNIT = 4096,        // windows of a row that are one item of work
    BLOCK = 1024,       // whose sums, or most, are made at once
    SMALL = 512,        // of which elements are compared at once, at most
    PLANES = 4096,      // elements of these
    MAX_COMPARED = 64,  // elements of a window that are compared; those of larger ones are sorted
    INT32_COUNT = 1 << 15,
};

typedef struct {
    i64 method, kind, item, axes, inner, has_ignored;
    uint64_t ignored, infinity, nan;  // bits of elements: to be ignored by MODE; of floats
    const i64 *shape, *from, *to, *factors;  // of each axis: elements; bytes between elements of the source, of the target
    const char *source;
    char *target;
} Windows;

// Elements of a row: `extent` of each window, `stride` bytes apart; those of the next of `count` windows are `step` behind.
typedef struct {
    i64 extent, stride, count, step;
} Span;

typedef struct {  // what is made of elements one after another
    void (*begin)(const Windows *w, void *found, i64 n);
    void (*add)(const Windows *w, void *found, const char *source, const Span *span);
    void (*end)(const Windows *w, char *target, i64 step, void *found, i64 n, i64 count);
} Fold;

typedef struct {  // what needs all elements of a window at once
    i64 item;
    void (*load)(const Windows *w, void *planes, i64 apart, const char *source, const Span *span);
    void (*rank)(const Windows *w, char *target, i64 step, void *planes, i64 apart, i64 size, i64 n);
    void (*large)(const Windows *w, char *target, void *scratch, i64 size);
} Ranks;

static inline float value_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t bits_of_value(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float half_value(uint16_t half)  // a product with a power of two is exact, for subnormal numbers, too
{
    float size = value_of_bits((uint32_t)(half & 0x7fff) << 13) * 0x1p112f;
    uint32_t bits = bits_of_value(size) | ((half & 0x7fff) >= 0x7c00 ? 0x7f800000u : 0);
    return value_of_bits(bits | (uint32_t)(half & 0x8000) << 16);
}

static inline uint16_t half_bits(float value)  // the nearest; kernels/numbers.cuh does the same
{
    uint32_t bits = bits_of_value(value), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
    if (size > 0x7f800000) return 0x7e00;
    if (size >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
    if (size < 0x38800000) return (uint16_t)(sign | (bits_of_value(value_of_bits(size) + 0.5f) - 0x3f000000));
    return (uint16_t)(sign | (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13);
}

static inline float bfloat_value(uint16_t bits) { return value_of_bits((uint32_t)bits << 16); }

static inline uint16_t bfloat_bits(float value)
{
    uint32_t bits = bits_of_value(value);
    return (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#define CAT_(a, b) a##_##b
#define CAT(a, b) CAT_(a, b)
#define OF(what) CAT(what, NAME)

#include "means_of_types.h"
#include "ranks_of_types.h"

static int family(const Windows *w) { return w->kind < FLOAT16 ? (int)(w->kind - UNSIGNED) : 2; }

static int width(const Windows *w) { return w->item == 8 ? 3 : w->item == 4 ? 2 : w->item == 2 ? 1 : 0; }

static const Ranks *ranks_of(const Windows *w)
{
    static const Ranks *const of[3][4] = {
        {&ranks_u1, &ranks_u2, &ranks_u4, &ranks_u8}, {&ranks_i1, &ranks_i2, &ranks_i4, &ranks_i8},
        {&ranks_i1, &ranks_f2, &ranks_f4, &ranks_f8}};
    return of[family(w)][width(w)];
}

static const Fold *fold_of(const Windows *w, i64 size)
{
    static const Fold *const means[2][2][4] = {
        {{&fold_u1_i4, &fold_u2_i4, &fold_u4_i8, &fold_u8_i16}, {&fold_i1_i4, &fold_i2_i4, &fold_i4_i8, &fold_i8_i16}},
        {{&fold_u1_i8, &fold_u2_i8, &fold_u4_i8, &fold_u8_i16}, {&fold_i1_i8, &fold_i2_i8, &fold_i4_i8, &fold_i8_i16}}};
    static const Fold *const floats[] = {&fold_half, &fold_bfloat, &fold_float, &fold_double};
    static const Fold *const most[3][4] = {
        {&fold_u1, &fold_u2, &fold_u4, &fold_u8}, {&fold_i1, &fold_i2, &fold_i4, &fold_i8},
        {&fold_i1, &fold_f2, &fold_f4, &fold_f8}};
    if (w->method != MEAN) return most[family(w)][width(w)];
    return w->kind < FLOAT16 ? means[size > INT32_COUNT][family(w)][width(w)] : floats[w->kind - FLOAT16];
}

// Windows that lie side by side along the inner axis: where the first row of the first one begins, how many elements
// a window has along each axis, and all its rows together.
typedef struct {
    const char *source;
    i64 extents[MAX_AXES], rows;
} Row;

// Go to the next row of a window; `row` is where the last one began. NULL after the last one.
static const char *next(const Windows *w, const Row *windows, i64 *place, const char *row)
{
    for (i64 a = w->axes - 1; a >= 0; a--) {
        if (a == w->inner) continue;
        if (++place[a] < windows->extents[a]) return row + w->from[a];
        row -= (windows->extents[a] - 1) * w->from[a];
        place[a] = 0;
    }
    return NULL;
}

static void fold(const Windows *w, const Row *windows, Span span, char *target)
{
    __int128 found[BLOCK];
    i64 n = span.count, step = w->to[w->inner];
    const Fold *how = fold_of(w, windows->rows * span.extent);
    for (i64 at = 0; at < n; at += BLOCK) {
        i64 place[MAX_AXES] = {0};
        span.count = n - at < BLOCK ? n - at : BLOCK;
        how->begin(w, found, span.count);
        for (const char *row = windows->source + at * span.step; row; row = next(w, windows, place, row))
            how->add(w, found, row, &span);
        how->end(w, target + at * step, step, found, span.count, windows->rows * span.extent);
    }
}

static void rank(const Windows *w, const Row *windows, Span span, char *target)
{
    uint64_t planes[PLANES];
    i64 n = span.count, step = w->to[w->inner], size = windows->rows * span.extent;
    i64 apart = PLANES / size < SMALL ? PLANES / size & ~31 : SMALL;
    const Ranks *how = ranks_of(w);
    for (i64 at = 0; at < n; at += apart) {
        i64 place[MAX_AXES] = {0};
        char *to = (char *)planes;
        span.count = n - at < apart ? n - at : apart;
        for (const char *row = windows->source + at * span.step; row; row = next(w, windows, place, row)) {
            how->load(w, to, apart, row, &span);
            to += span.extent * apart * how->item;
        }
        how->rank(w, target + at * step, step, planes, apart, size, span.count);
    }
}

static void rank_large(const Windows *w, const Row *windows, Span span, char *target, char *scratch)
{
    const Ranks *how = ranks_of(w);
    Span row_of = {1, 0, span.extent, span.stride};
    for (i64 i = 0; i < span.count; i++) {
        i64 place[MAX_AXES] = {0};
        char *to = scratch;
        for (const char *row = windows->source + i * span.step; row; row = next(w, windows, place, row)) {
            how->load(w, to, 0, row, &row_of);
            to += span.extent * how->item;
        }
        how->large(w, target + i * w->to[w->inner], scratch, windows->rows * span.extent);
    }
}

static void make(const Windows *w, const Row *windows, Span span, char *target, char *scratch)
{
    if (w->method == MEAN || w->method == MAX || w->method == MIN) fold(w, windows, span, target);
    else if (windows->rows * span.extent <= MAX_COMPARED) rank(w, windows, span, target);
    else rank_large(w, windows, span, target, scratch);
}

static i64 up(i64 n, i64 by) { return (n + by - 1) / by; }

// Make a run of items of work, each of UNIT windows along the inner axis, counted in C order. `scratch`: two elements
// for each of the largest window; only modes and medians of more than MAX_COMPARED elements need it.
EXPORT void gpuzarr_downsample(const Windows *w, i64 begin, i64 end, char *scratch)
{
    i64 factor = w->factors[w->inner], length = w->shape[w->inner], stride = w->from[w->inner];
    i64 whole = length / factor, rest = length % factor, units = up(up(length, factor), UNIT);
    for (i64 item = begin; item < end; item++) {
        Row windows = {w->source, {0}, 1};
        char *target = w->target;
        i64 left = item / units, first = item % units * UNIT;
        for (i64 a = w->axes - 1; a >= 0; a--) {
            if (a == w->inner) continue;
            i64 count = up(w->shape[a], w->factors[a]), at = left % count, start = at * w->factors[a];
            windows.extents[a] = w->shape[a] - start < w->factors[a] ? w->shape[a] - start : w->factors[a];
            windows.rows *= windows.extents[a];
            windows.source += start * w->from[a], target += at * w->to[a];
            left /= count;
        }
        windows.source += first * factor * stride, target += first * w->to[w->inner];
        i64 count = whole - first < UNIT ? whole - first : UNIT;
        if (count > 0) make(w, &windows, (Span){factor, stride, count, factor * stride}, target, scratch);
        if (rest && count < UNIT) {
            windows.source += count * factor * stride, target += count * w->to[w->inner];
            make(w, &windows, (Span){rest, stride, 1, rest * stride}, target, scratch);
        }
    }
}

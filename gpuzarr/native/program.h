#pragma once
// What programs of elements are made of: functions that each do one thing to a block of elements. See program.c.
#include <string.h>
#include "native.h"

typedef uint64_t u64;

enum { CONVERT, ADD, SUBTRACT, MULTIPLY, DIVIDE, RINT, KEEP_BITS, KEEP_LEADING_BITS, REPLACE, SCALE_UP, SCALE_DOWN,
       REFUSE_NAN, REFUSE_INFINITY, TO_INTEGER, TO_NARROW, TO_FLOAT };  // operations
enum { BOOL, UNSIGNED, SIGNED, FLOAT16, BFLOAT16, FLOAT32, FLOAT64 };   // kinds
enum { U8, I8, U16, I16, U32, I32, U64, I64, F32, F64, B8, TYPES };     // types
enum { TO_EVEN, TO_ZERO, UP, DOWN, FROM_ZERO, ROUNDINGS };              // rounding
enum { ERROR, CLAMP, WRAP };                                            // what becomes of a number out of range

typedef void Run(const void *from, void *to, i64 n, u64 first);
// The same with two constants. Returns whether an element is refused; then `to` has any values.
typedef int Check(const void *from, void *to, i64 n, u64 first, u64 second);

#define LOOP(name, S, T, expression)                                                                     \
    FOR_CORES static void name(const S *restrict from, T *restrict to, i64 n, u64 first)                 \
    {                                                                                                    \
        (void)first;                                                                                     \
        for (i64 i = 0; i < n; i++) {                                                                    \
            const S x = from[i];                                                                         \
            to[i] = (T)(expression);                                                                     \
        }                                                                                                \
    }

static inline float float_of(u64 word)
{
    uint32_t bits = (uint32_t)word;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline double double_of(u64 word)
{
    double x;
    memcpy(&x, &word, sizeof x);
    return x;
}

static inline uint32_t bits_of_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline u64 bits_of_double(double x)
{
    u64 bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

// To the nearest whole number, ties to even. From `half` on all are whole; a sum with zero makes a NaN quiet. What is
// chosen is chosen by bits, so that no branch is in the way of vectors.
#define WHOLE(T, U, x, half, bits_of, of)                                                                \
    ({                                                                                                   \
        const U sign = bits_of(x) & ~((U)-1 >> 1), size = bits_of(x) ^ sign;                             \
        const U chosen = (U)0 - (U)(size < bits_of(half));                                               \
        const U rounded = bits_of((of(size) + half) - half), same = bits_of(x + 0) & (U)-1 >> 1;         \
        of((rounded & chosen) | (same & ~chosen) | sign);                                                \
    })
#define WHOLE_FLOAT(x) WHOLE(float, uint32_t, x, 0x1p23f, bits_of_float, float_of)
#define WHOLE_DOUBLE(x) WHOLE(double, u64, x, 0x1p52, bits_of_double, double_of)

// One of the functions, and its constants. `before`, `after`: bytes of an element.
typedef struct {
    Run *run;
    Check *check;
    u64 first, second;
    i64 before, after;
} Part;

// Make the parts of an instruction that may refuse elements, or puts them in range: from type `type` to type `made`.
// Returns how many, at most MAX_PARTS; 0 for what is not done here. `convert`: functions by type and type.
enum { MAX_PARTS = 4 };
int checked_parts(u64 operation, int type, int made, u64 first, u64 second, Run *const (*convert)[TYPES], Part *parts);

// Write to `mask` which elements of a type are one number, and put 0 in their place; NULL for none such.
typedef void Mask(const void *from, void *to, i64 n, u64 first, uint8_t *mask);
Mask *mask_of(int type);

// Put a number of `width` bytes where `mask` is set.
void put_masked(void *to, i64 n, i64 width, u64 number, const uint8_t *mask);

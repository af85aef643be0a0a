// Programs of gpuzarr/dtypes/element_program.py: the same instruction is run on a block of elements after the other, in
// a core's first cache. Numbers become what NumPy makes of them on this machine, NaNs too.
//
// A program is a table of four words an instruction, as in kernels/program.cuh; the last one means nothing here.
#include <math.h>
#include <string.h>
#include "native.h"

typedef uint64_t u64;

enum { CONVERT, ADD, SUBTRACT, MULTIPLY, DIVIDE, RINT, KEEP_BITS, KEEP_LEADING_BITS };  // operations
enum { BOOL, UNSIGNED, SIGNED, FLOAT16, BFLOAT16, FLOAT32, FLOAT64 };                   // kinds
enum { U8, I8, U16, I16, U32, I32, U64, I64, F32, F64, B8, TYPES };                     // types
enum { BLOCK = 512, MAX_INSTRUCTIONS = 64 };

typedef void Run(const void *from, void *to, i64 n, u64 first);

#define LOOP(name, S, T, expression)                                                                     \
    FOR_CORES static void name(const S *restrict from, T *restrict to, i64 n, u64 first)                 \
    {                                                                                                    \
        (void)first;                                                                                     \
        for (i64 i = 0; i < n; i++) {                                                                    \
            const S x = from[i];                                                                         \
            to[i] = (T)(expression);                                                                     \
        }                                                                                                \
    }

// What x86 makes of a float in an integer: of one out of range the least number, or its lowest bits.
#define TWO_63 0x1p63f
#define TO_U64(x) ((x) >= TWO_63 ? (u64)(i64)((x) - TWO_63) ^ (u64)1 << 63 : (u64)(i64)(x))
#define OF_INTEGER(S)                                                                                    \
    LOOP(S##_to_u8, S, uint8_t, x) LOOP(S##_to_u16, S, uint16_t, x) LOOP(S##_to_u32, S, uint32_t, x)     \
    LOOP(S##_to_u64, S, uint64_t, x) LOOP(S##_to_f32, S, float, x) LOOP(S##_to_f64, S, double, x)        \
    LOOP(S##_to_b8, S, uint8_t, x != 0)
#define OF_FLOAT(S)                                                                                      \
    LOOP(S##_to_u8, S, uint8_t, (int32_t)x) LOOP(S##_to_u16, S, uint16_t, (int32_t)x)                    \
    LOOP(S##_to_i32, S, int32_t, x) LOOP(S##_to_u32, S, uint32_t, (i64)x) LOOP(S##_to_i64, S, i64, x)    \
    LOOP(S##_to_u64, S, uint64_t, TO_U64(x)) LOOP(S##_to_f32, S, float, x)                               \
    LOOP(S##_to_f64, S, double, x) LOOP(S##_to_b8, S, uint8_t, x != 0)

OF_INTEGER(uint8_t)
OF_INTEGER(int8_t)
OF_INTEGER(uint16_t)
OF_INTEGER(int16_t)
OF_INTEGER(uint32_t)
OF_INTEGER(int32_t)
OF_INTEGER(uint64_t)
OF_INTEGER(int64_t)
OF_FLOAT(float)
OF_FLOAT(double)

#define FROM_INTEGER(S)                                                                                  \
    {(Run *)S##_to_u8, (Run *)S##_to_u8, (Run *)S##_to_u16, (Run *)S##_to_u16, (Run *)S##_to_u32,        \
     (Run *)S##_to_u32, (Run *)S##_to_u64, (Run *)S##_to_u64, (Run *)S##_to_f32, (Run *)S##_to_f64,      \
     (Run *)S##_to_b8}
#ifdef __x86_64__
#define FROM_FLOAT(S)                                                                                    \
    {(Run *)S##_to_u8, (Run *)S##_to_u8, (Run *)S##_to_u16, (Run *)S##_to_u16, (Run *)S##_to_u32,        \
     (Run *)S##_to_i32, (Run *)S##_to_u64, (Run *)S##_to_i64, (Run *)S##_to_f32, (Run *)S##_to_f64,      \
     (Run *)S##_to_b8}
#else  // another processor makes other integers of floats that these do not hold
#define FROM_FLOAT(S) {[F32] = (Run *)S##_to_f32, [F64] = (Run *)S##_to_f64, [B8] = (Run *)S##_to_b8}
#endif
static Run *const convert[TYPES][TYPES] = {
    FROM_INTEGER(uint8_t),  FROM_INTEGER(int8_t),  FROM_INTEGER(uint16_t), FROM_INTEGER(int16_t),
    FROM_INTEGER(uint32_t), FROM_INTEGER(int32_t), FROM_INTEGER(uint64_t), FROM_INTEGER(int64_t),
    FROM_FLOAT(float),      FROM_FLOAT(double),    FROM_INTEGER(uint8_t),
};

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

#define OF_WORDS(T)                                                                                      \
    LOOP(T##_add, T, T, x + (T)first) LOOP(T##_subtract, T, T, x - (T)first) LOOP(T##_multiply, T, T, x * (T)first)
#define OF_REALS(T, of)                                                                                  \
    LOOP(T##_add, T, T, x + of(first)) LOOP(T##_subtract, T, T, x - of(first))                           \
    LOOP(T##_multiply, T, T, x * of(first)) LOOP(T##_divide, T, T, x / of(first))

OF_WORDS(uint8_t)
OF_WORDS(uint16_t)
OF_WORDS(uint32_t)
OF_WORDS(uint64_t)
OF_REALS(float, float_of)
OF_REALS(double, double_of)
LOOP(float_rint, float, float, WHOLE(float, uint32_t, x, 0x1p23f, bits_of_float, float_of))
LOOP(double_rint, double, double, WHOLE(double, u64, x, 0x1p52, bits_of_double, double_of))

#define WORDS(T) (Run *)T##_add, (Run *)T##_subtract, (Run *)T##_multiply
static Run *const compute[TYPES][4] = {
    {WORDS(uint8_t)},  {WORDS(uint8_t)},  {WORDS(uint16_t)}, {WORDS(uint16_t)},
    {WORDS(uint32_t)}, {WORDS(uint32_t)}, {WORDS(uint64_t)}, {WORDS(uint64_t)},
    {WORDS(float), (Run *)float_divide},  {WORDS(double), (Run *)double_divide},
};

// A multiple of 2**drop, ties to even, of a number of so many bits; where that overflows, the largest one.
#define ROUNDED(T, x, drop)                                                                              \
    ({                                                                                                   \
        const T last = (T)((x) >> (drop) & 1), sum = (T)((x) + last + (T)(((T)1 << ((drop) - 1)) - 1));  \
        (T)((sum < (x) ? (T)-1 : sum) & (T) ~(((T)1 << (drop)) - 1));                                    \
    })
// The same to `keep` bits from the highest one that is set.
#define LEADING(T, x, keep)                                                                              \
    ({                                                                                                   \
        const int bits = (x) ? 64 - __builtin_clzll(x) : 0, drop = bits > (int)(keep) ? bits - (int)(keep) : 0; \
        drop == 0 ? (x) : drop == 8 * sizeof(T) ? (T)0 : ROUNDED(T, x, drop);                            \
    })
#define OF_BITS(T)                                                                                       \
    LOOP(T##_keep, T, T, ROUNDED(T, x, (int)first)) LOOP(T##_leading, T, T, LEADING(T, x, first))

OF_BITS(uint8_t)
OF_BITS(uint16_t)
OF_BITS(uint32_t)
OF_BITS(uint64_t)

#define BITS(T) {(Run *)T##_keep, (Run *)T##_leading}
static Run *const bits[4][2] = {BITS(uint8_t), BITS(uint16_t), BITS(uint32_t), BITS(uint64_t)};

typedef struct {
    Run *run;
    u64 first;
    i64 before, after;  // bytes of an element
} Instruction;

static int log_of(i64 width)
{
    return width == 1 ? 0 : width == 2 ? 1 : width == 4 ? 2 : width == 8 ? 3 : -1;
}

// The type of a kind with its width; -1 for what is computed elsewhere.
static int type_of(u64 kind)
{
    int log = log_of((i64)(kind >> 4));
    switch (kind & 15) {
    case BOOL: return log ? -1 : B8;
    case UNSIGNED: return log < 0 ? -1 : 2 * log + U8;
    case SIGNED: return log < 0 ? -1 : 2 * log + I8;
    case FLOAT32: return F32;
    case FLOAT64: return F64;
    default: return -1;
    }
}

static Run *function_of(u64 operation, u64 kind, u64 to, u64 first)
{
    int type = type_of(kind), made = type_of(to), log = log_of((i64)(kind >> 4));
    if (operation == KEEP_BITS || operation == KEEP_LEADING_BITS) {
        if (log < 0 || (operation == KEEP_BITS && (first < 1 || first >= kind >> 4 << 3)) || first > 64) return NULL;
        return bits[log][operation - KEEP_BITS];
    }
    if (type < 0 || made < 0) return NULL;
    if (operation == CONVERT) return convert[type][made];
    if (operation == RINT) return type == F32 ? (Run *)float_rint : type == F64 ? (Run *)double_rint : NULL;
    if (operation > DIVIDE) return NULL;
    if ((type == F32 && isnan(float_of(first))) || (type == F64 && isnan(double_of(first)))) return NULL;
    return compute[type][operation - ADD];
}

static i64 parse(const u64 *words, i64 length, Instruction *made)
{
    if (length < 1 || length > MAX_INSTRUCTIONS) return 0;
    for (i64 i = 0; i < length; i++) {
        u64 head = words[4 * i], kind = head >> 8 & 0xffff, to = head >> 24 & 0xffff;
        made[i] = (Instruction){function_of(head & 255, kind, to, words[4 * i + 1]), words[4 * i + 1], (i64)(kind >> 4),
                                (i64)(to >> 4)};
        if (!made[i].run) return 0;
    }
    return 1;
}

// Run a program on n elements from `source` to `target`, which do not overlap. Returns 1; 0, and does nothing, where it
// has an instruction that is not done here.
EXPORT i64 gpuzarr_program(const u64 *words, i64 length, const char *source, char *target, i64 n)
{
    Instruction instructions[MAX_INSTRUCTIONS];
    if (!parse(words, length, instructions)) return 0;
    i64 before = instructions[0].before, after = instructions[length - 1].after;
    int is_aligned = (uintptr_t)source % (uintptr_t)before == 0 && (uintptr_t)target % (uintptr_t)after == 0;
    if (length == 1 && is_aligned) {
        instructions[0].run(source, target, n, instructions[0].first);
        return 1;
    }
    u64 room[2][BLOCK], aligned[BLOCK];
    for (i64 at = 0; at < n; at += BLOCK) {
        i64 some = n - at < BLOCK ? n - at : BLOCK;
        const void *from = source + at * before;
        if (!is_aligned) from = memcpy(aligned, from, (size_t)(some * before));
        for (i64 i = 0; i < length; i++) {
            void *to = i + 1 == length && is_aligned ? (void *)(target + at * after) : room[i & 1];
            instructions[i].run(from, to, some, instructions[i].first);
            from = to;
        }
        if (!is_aligned) memcpy(target + at * after, from, (size_t)(some * after));
    }
    return 1;
}

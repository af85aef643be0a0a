// Programs of gpuzarr/dtypes/element_program.py: all instructions are run on one block of elements, which stays in a
// core's first cache, then on the next. The results are those of NumPy on this machine, to the bit, also of NaNs.
//
// A program is a table of four words an instruction, as in kernels/program.cuh; the last word is not used here.
#include <math.h>
#include "program.h"

enum { BLOCK = 512, MAX_INSTRUCTIONS = 64, MAX_REPLACED = 8 };

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

// A bool is true where its byte is not 0, whatever else it is.
#define OF_BOOL(T, name) LOOP(bool_to_##name, uint8_t, T, x != 0)
OF_BOOL(uint8_t, u8) OF_BOOL(uint16_t, u16) OF_BOOL(uint32_t, u32) OF_BOOL(uint64_t, u64)
OF_BOOL(float, f32) OF_BOOL(double, f64) OF_BOOL(uint8_t, b8)

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
    FROM_FLOAT(float),      FROM_FLOAT(double),    FROM_INTEGER(bool),
};

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
LOOP(float_rint, float, float, WHOLE_FLOAT(x))
LOOP(double_rint, double, double, WHOLE_DOUBLE(x))

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
    u64 number;
    i64 width;
    int at_type, end;  // the type that is looked at; the part before which the number is put
} Replaced;

typedef struct {
    Part parts[MAX_INSTRUCTIONS * MAX_PARTS];
    Replaced replaced[MAX_REPLACED];
    int length, replacing;
} Program;

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

static void add_part(Program *program, Run *run, u64 first, i64 before, i64 after)
{
    program->parts[program->length++] = (Part){.run = run, .first = first, .before = before, .after = after};
}

// Add an instruction; 0 for one that is not done here.
static int add(Program *program, const u64 *words)
{
    const u64 head = words[0], operation = head & 255, kind = head >> 8 & 0xffff, to = head >> 24 & 0xffff;
    const i64 before = (i64)(kind >> 4), after = (i64)(to >> 4);
    const int type = type_of(kind), made = type_of(to);
    if (operation < REPLACE) {
        Run *run = function_of(operation, kind, to, words[1]);
        if (run) add_part(program, run, words[1], before, after);
        return run != NULL;
    }
    if (type < 0 || made < 0) return 0;
    if (operation == REPLACE) {
        if (program->replacing == MAX_REPLACED || !mask_of(type)) return 0;
        program->replaced[program->replacing++] = (Replaced){words[2], after, type, (int)(head >> 40)};
        add_part(program, NULL, words[1], before, before);
        return 1;
    }
    int parts = checked_parts(operation, type, made, words[1], words[2], convert, program->parts + program->length);
    program->length += parts;
    return parts;
}

static int parse(const u64 *words, i64 length, Program *program)
{
    int starts[MAX_INSTRUCTIONS + 1], number = 0;
    program->length = program->replacing = 0;
    if (length < 1 || length > MAX_INSTRUCTIONS) return 0;
    for (i64 i = 0; i < length; i++) {
        starts[i] = program->length;
        if (!add(program, words + 4 * i)) return 0;
    }
    starts[length] = program->length;
    for (i64 i = 0; i < length; i++) {  // now that it is known where the parts of later instructions begin
        if ((words[4 * i] & 255) != REPLACE) continue;
        Replaced *replaced = program->replaced + number++;
        if (i + 1 + replaced->end > length) return 0;
        replaced->end = starts[i + 1 + replaced->end];
    }
    return 1;
}

// Put the numbers that replace before part `at`. What was replaced first is put last, as it counts.
static void put_numbers(const Program *program, int at, void *to, i64 n, uint8_t (*masks)[BLOCK])
{
    for (int k = program->replacing - 1; k >= 0; k--)
        if (program->replaced[k].end == at) put_masked(to, n, program->replaced[k].width, program->replaced[k].number, masks[k]);
}

// Run all parts on a block; at the end the elements are in `end`, if it is given, else at the address that is returned.
// NULL where an element is refused.
static void *run_block(const Program *program, const void *from, void *end, i64 n, u64 (*room)[BLOCK])
{
    uint8_t masks[MAX_REPLACED][BLOCK];
    void *to = NULL;
    for (int i = 0, k = 0; i < program->length; i++, from = to) {
        const Part *part = program->parts + i;
        to = i + 1 == program->length && end ? end : room[i & 1];
        if (part->run) part->run(from, to, n, part->first);
        else if (part->check) {
            if (part->check(from, to, n, part->first, part->second)) return NULL;
        } else {
            mask_of(program->replaced[k].at_type)(from, to, n, part->first, masks[k]);
            k++;
        }
        if (program->replacing) put_numbers(program, i + 1, to, n, masks);
    }
    return to;
}

// Run a program on n elements from `source` to `target`, which do not overlap. Returns 1; 0, and does nothing, where it
// has an instruction that is not done here; -1 where it refuses an element.
EXPORT i64 gpuzarr_program(const u64 *words, i64 length, const char *source, char *target, i64 n)
{
    Program program;
    if (!parse(words, length, &program)) return 0;
    const i64 before = program.parts[0].before, after = program.parts[program.length - 1].after;
    const int is_aligned = (uintptr_t)source % (uintptr_t)before == 0 && (uintptr_t)target % (uintptr_t)after == 0;
    if (program.length == 1 && program.parts[0].run && is_aligned) {
        program.parts[0].run(source, target, n, program.parts[0].first);
        return 1;
    }
    u64 room[2][BLOCK], aligned[BLOCK];
    for (i64 at = 0; at < n; at += BLOCK) {
        const i64 some = n - at < BLOCK ? n - at : BLOCK;
        const void *from = source + at * before;
        if (!is_aligned) from = memcpy(aligned, from, (size_t)(some * before));
        const void *made = run_block(&program, from, is_aligned ? target + at * after : NULL, some, room);
        if (!made) return -1;
        if (!is_aligned) memcpy(target + at * after, made, (size_t)(some * after));
    }
    return 1;
}

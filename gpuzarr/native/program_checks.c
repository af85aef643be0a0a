// Instructions of programs that may refuse elements, or put them in range, or replace some. See program.c.
#include "program.h"

#define CHECK(name, S, T, declared, is_good, value)                                                      \
    FOR_CORES static int name(const S *restrict from, T *restrict to, i64 n, u64 first, u64 second)      \
    {                                                                                                    \
        (void)first, (void)second;                                                                       \
        int bad = 0;                                                                                     \
        for (i64 i = 0; i < n; i++) {                                                                    \
            const S x = from[i];                                                                         \
            declared;                                                                                    \
            bad |= !(is_good);                                                                           \
            to[i] = (T)(value);                                                                          \
        }                                                                                                \
        return bad;                                                                                      \
    }

CHECK(float_is_number, float, float, , x == x, x)
CHECK(double_is_number, double, double, , x == x, x)

// Floats that become infinite.
#define INFINITE(x) ((x) - (x) != 0)
CHECK(narrow, double, float, const float y = (float)x, !INFINITE(y) | INFINITE(x), y)
CHECK(narrow_clamped, double, float, const float y = (float)x, 1,
      INFINITE(y) & !INFINITE(x) ? (x > 0 ? 0x1.fffffep127f : -0x1.fffffep127f) : y)

// Doubles to whole numbers, by way of the nearest one.
LOOP(to_even, double, double, WHOLE_DOUBLE(x))
LOOP(up, double, double, ({ const double y = WHOLE_DOUBLE(x); y + (double)(y < x); }))
LOOP(down, double, double, ({ const double y = WHOLE_DOUBLE(x); y - (double)(y > x); }))
#define TO_ZERO_OF(x, y) ((y) + (double)(((y) < (x)) & ((x) < 0)) - (double)(((y) > (x)) & ((x) > 0)))
LOOP(to_zero, double, double, ({ const double y = WHOLE_DOUBLE(x); TO_ZERO_OF(x, y); }))
LOOP(from_zero, double, double, ({
         const double y = WHOLE_DOUBLE(x), z = TO_ZERO_OF(x, y), rest = x - z;
         z + (double)(rest >= 0.5) - (double)(rest <= -0.5);
     }))
static Run *const round_to[ROUNDINGS] = {(Run *)to_even, (Run *)to_zero, (Run *)up, (Run *)down, (Run *)from_zero};

// Whole doubles from `first` to before `second`.
CHECK(double_inside, double, double, const double low = double_of(first); const double end = double_of(second),
      (x >= low) & (x < end), x)
CHECK(double_clamped, double, double, const double low = double_of(first); const double most = double_of(second) - 1, 1,
      x < low ? low : x > most ? most : x)

// Integers from `first` to `second`.
#define INSIDE(T)                                                                                        \
    CHECK(T##_inside, T, T, , (x >= (T)first) & (x <= (T)second), x)                                     \
    CHECK(T##_clamped, T, T, , 1, x < (T)first ? (T)first : x > (T)second ? (T)second : x)
INSIDE(uint8_t)
INSIDE(int8_t)
INSIDE(uint16_t)
INSIDE(int16_t)
INSIDE(uint32_t)
INSIDE(int32_t)
INSIDE(uint64_t)
INSIDE(int64_t)

// (x - first) * second; x / second, without a rest; x + first; all in type W, which may be too narrow for a product.
#define SCALE(T, W)                                                                                      \
    CHECK(T##_up, T, T, W y; const int over = __builtin_mul_overflow((W)x - (W)(T)first, (W)(T)second, &y), \
          !over & (y == (W)(T)y), y)                                                                     \
    CHECK(T##_down, T, T, const T y = (T)(x / (T)second), (T)(y * (T)second) == x, y)                    \
    CHECK(T##_plus, T, T, const W y = (W)x + (W)(T)first, y == (W)(T)y, y)
SCALE(uint8_t, i64)
SCALE(int8_t, i64)
SCALE(uint16_t, i64)
SCALE(int16_t, i64)
SCALE(uint32_t, i64)
SCALE(int32_t, i64)
SCALE(uint64_t, __int128)
SCALE(int64_t, __int128)

typedef struct {
    Check *inside, *clamped, *up, *down, *plus;
} OfInteger;
#define INTEGER(T) {(Check *)T##_inside, (Check *)T##_clamped, (Check *)T##_up, (Check *)T##_down, (Check *)T##_plus}
static const OfInteger integer[] = {
    INTEGER(uint8_t),  INTEGER(int8_t),  INTEGER(uint16_t), INTEGER(int16_t),
    INTEGER(uint32_t), INTEGER(int32_t), INTEGER(uint64_t), INTEGER(int64_t),
};
static const i64 width[TYPES] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 1};

static int is_signed(int type)
{
    return type & 1;
}

static int bits_of(int type)
{
    return (int)(8 * width[type]) - is_signed(type);
}

static Part checking(Check *check, u64 first, u64 second, int type, int made)
{
    return (Part){.check = check, .first = first, .second = second, .before = width[type], .after = width[made]};
}

static Part running(Run *run, int type, int made)
{
    return (Part){.run = run, .before = width[type], .after = width[made]};
}

// A float as an integer.
static int integer_parts(int type, int made, u64 rounding, u64 beyond, Run *const (*convert)[TYPES], Part *parts)
{
    int n = 0;
    if (beyond == WRAP || (beyond == CLAMP && width[made] == 8) || rounding >= ROUNDINGS || !convert[F64][made]) return 0;
    const double end = (double)((u64)1 << (bits_of(made) - 1)) * 2, low = is_signed(made) ? -end : 0;
    if (type == F32) parts[n++] = running(convert[F32][F64], F32, F64);
    parts[n++] = running(round_to[rounding], F64, F64);
    Check *check = beyond == ERROR ? (Check *)double_inside : (Check *)double_clamped;
    parts[n++] = checking(check, bits_of_double(low), bits_of_double(end), F64, F64);
    parts[n++] = running(convert[F64][made], F64, made);
    return n;
}

// An integer as another one.
static int narrow_parts(int type, int made, u64 beyond, Run *const (*convert)[TYPES], Part *parts)
{
    const __int128 one = 1, low = is_signed(made) && is_signed(type) ? -(one << (bits_of(made) < bits_of(type) ? bits_of(made) : bits_of(type))) : 0;
    const __int128 most = (one << (bits_of(made) < bits_of(type) ? bits_of(made) : bits_of(type))) - 1;
    int n = 0;
    if (beyond != WRAP) {
        const OfInteger *of = integer + type;
        parts[n++] = checking(beyond == ERROR ? of->inside : of->clamped, (u64)low, (u64)most, type, type);
    }
    parts[n++] = running(convert[type][made], type, made);
    return n;
}

int checked_parts(u64 operation, int type, int made, u64 first, u64 second, Run *const (*convert)[TYPES], Part *parts)
{
    const int from_integer = type <= I64, from_float = type == F32 || type == F64;
    if (operation == REFUSE_NAN && from_float) {
        parts[0] = checking(type == F32 ? (Check *)float_is_number : (Check *)double_is_number, 0, 0, type, type);
        return 1;
    }
    if (operation == TO_INTEGER && from_float && made <= I64) return integer_parts(type, made, first, second, convert, parts);
    if (operation == TO_NARROW && from_integer && made <= I64) return narrow_parts(type, made, first, convert, parts);
    if (operation == TO_FLOAT && (made == F32 || made == F64)) {
        if (type == F64 && made == F32)
            parts[0] = checking(first == ERROR ? (Check *)narrow : (Check *)narrow_clamped, 0, 0, type, made);
        else
            parts[0] = running(convert[type][made], type, made);
        return 1;
    }
    if (!from_integer) return 0;
    if (operation == SCALE_UP) parts[0] = checking(integer[type].up, first, second, type, type);
    else if (operation == SCALE_DOWN && !second) parts[0] = checking(integer[type].plus, first, second, type, type);
    else if (operation == SCALE_DOWN && (i64)second != -1) parts[0] = checking(integer[type].down, first, second, type, type);
    else return 0;  // the least number divided by -1 is out of range until something is added
    return 1;
}

#define MASK(name, T, number)                                                                            \
    FOR_CORES static void name(const T *restrict from, T *restrict to, i64 n, u64 first, uint8_t *mask)  \
    {                                                                                                    \
        const T one = number;                                                                            \
        for (i64 i = 0; i < n; i++) {                                                                    \
            const T x = from[i];                                                                         \
            mask[i] = (x == one) | ((x != x) & (one != one));                                            \
            to[i] = mask[i] ? 0 : x;                                                                     \
        }                                                                                                \
    }
MASK(mask_u8, uint8_t, (uint8_t)first)
MASK(mask_u16, uint16_t, (uint16_t)first)
MASK(mask_u32, uint32_t, (uint32_t)first)
MASK(mask_u64, uint64_t, first)
MASK(mask_f32, float, float_of(first))
MASK(mask_f64, double, double_of(first))

Mask *mask_of(int type)
{
    static Mask *const masks[TYPES] = {
        (Mask *)mask_u8,  (Mask *)mask_u8,  (Mask *)mask_u16, (Mask *)mask_u16, (Mask *)mask_u32, (Mask *)mask_u32,
        (Mask *)mask_u64, (Mask *)mask_u64, (Mask *)mask_f32, (Mask *)mask_f64,
    };
    return masks[type];
}

#define PUT(T)                                                                                           \
    for (i64 i = 0; i < n; i++) ((T *)to)[i] = mask[i] ? (T)number : ((T *)to)[i];                       \
    break;

void put_masked(void *to, i64 n, i64 width_of, u64 number, const uint8_t *mask)
{
    switch (width_of) {
    case 1: PUT(uint8_t)
    case 2: PUT(uint16_t)
    case 4: PUT(uint32_t)
    default: PUT(uint64_t)
    }
}

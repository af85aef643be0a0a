// Programs that are run on each element: see gpuzarr/dtypes/element_program.py.
//
// An element is in the lowest bits of a word of 64: an integer with its sign in all bits in front, a float as its bits.
// All threads run the same instructions, each on several elements. An instruction has four words:
//   0   operation (8 bits), kind (16), kind that it becomes (16), instructions that REPLACE skips (24); a kind is one of
//       numbers.cuh, and from bit 4 on the bytes of an element
//   1, 2   constants
//   3   where an operation can refuse: the address of a u32 that gets the lowest number of a bad box
// Floats are converted and computed as x86 does it, NaNs too: the first operand that is NaN, made quiet, else a negative
// one.
#pragma once
#include "numbers.cuh"

enum { CONVERT, ADD, SUBTRACT, MULTIPLY, DIVIDE, RINT, KEEP_BITS, KEEP_LEADING_BITS, REPLACE, SCALE_UP, SCALE_DOWN,
       REFUSE_NAN, REFUSE_INFINITY, TO_INTEGER, TO_NARROW, TO_FLOAT };  // operations
enum { TO_EVEN, TO_ZERO, UP, DOWN, FROM_ZERO };  // rounding
enum { ERROR, CLAMP, WRAP };                     // what becomes of a number out of range

#define LEAST_I64 0x8000000000000000ull
#define TWO_31 2147483648.0
#define TWO_63 9223372036854775808.0

struct Program {
    const u64* words;
    u32 length, box;  // `box`: the number that a flag gets
};

struct Instruction {
    u32 operation, kind, to, skip;
    u64 first, second;
    u32* bad;
};

__device__ __forceinline__ u32 of(u32 kind) { return kind & 15; }
__device__ __forceinline__ u32 bits_of(u32 kind) { return kind >> 4 << 3; }
__device__ __forceinline__ bool is_float(u32 kind) { return of(kind) > SIGNED; }

// The lowest bits of an integer as a number of this kind.
__device__ __forceinline__ u64 wrapped(u64 word, u32 kind)
{
    u32 by = 64 - bits_of(kind);
    return of(kind) == SIGNED ? (u64)((i64)(word << by) >> by) : word << by >> by;
}

__device__ __forceinline__ bool is_nan(float x) { return (__float_as_uint(x) & 0x7fffffff) > 0x7f800000; }
__device__ __forceinline__ u64 word(double x) { return (u64)__double_as_longlong(x); }
__device__ __forceinline__ double real(u64 word) { return __longlong_as_double((i64)word); }
__device__ __forceinline__ bool is_nan(double x) { return (word(x) & ~LEAST_I64) > 0x7ff0000000000000ull; }

// A float16 or bfloat16 from a float; a NaN keeps its highest bits.
__device__ __forceinline__ u32 small_bits(float x, u32 kind)
{
    u32 bits = __float_as_uint(x);
    if (of(kind) == BFLOAT16) return is_nan(x) ? (bits >> 16 & 0x8000) | 0x7fc0 : bfloat_bits(x);
    if (!is_nan(x)) return half_bits(x);
    u32 fraction = bits >> 13 & 0x3ff;
    return (bits >> 16 & 0x8000) | 0x7c00 | (fraction ? fraction : 1);
}

// A float of at most 32 bits, exactly.
__device__ __forceinline__ float small(u64 word, u32 kind)
{
    if (of(kind) == FLOAT16) return half_value((u32)word);
    return __uint_as_float(of(kind) == BFLOAT16 ? (u32)word << 16 : (u32)word);
}

// A float as a double: quiet, but of float16 as it is.
__device__ __forceinline__ u64 widened(u64 bits, u32 kind)
{
    if (of(kind) == FLOAT64) return bits;
    float x = small(bits, kind);
    if (!is_nan(x)) return word((double)x);
    u64 v = __float_as_uint(x), quiet = of(kind) == FLOAT16 ? 0 : 0x8000000000000ull;
    return (v >> 31) << 63 | 0x7ff0000000000000ull | (v & 0x7fffff) << 29 | quiet;
}

// A double as a float of another kind.
__device__ __forceinline__ u64 narrowed(u64 bits, u32 kind)
{
    if (of(kind) == FLOAT64) return bits;
    u32 sign = (u32)(bits >> 32) & 0x80000000, fraction = (u32)(bits >> 29) & 0x7fffff;
    bool nan = is_nan(real(bits));
    if (of(kind) == FLOAT16 && nan) {
        u32 high = fraction >> 13;
        return sign >> 16 | 0x7c00 | (high ? high : 1);
    }
    if (of(kind) == FLOAT16) return half_bits(odd_float(real(bits)));
    float x = nan ? __uint_as_float(sign | 0x7fc00000 | fraction) : (float)real(bits);
    return of(kind) == BFLOAT16 ? small_bits(x, kind) : __float_as_uint(x);
}

__device__ __forceinline__ u64 to_i64(double x) { return x >= -TWO_63 && x < TWO_63 ? (u64)(i64)x : LEAST_I64; }

// What x86 makes of a double in an integer of this kind; a NaN, and what is out of range, are its least number.
__device__ __forceinline__ u64 truncated(double x, u32 kind)
{
    u32 bits = bits_of(kind);
    if (bits == 64) return of(kind) == UNSIGNED && x >= TWO_63 ? to_i64(x - TWO_63) ^ LEAST_I64 : to_i64(x);
    if (bits == 32 && of(kind) == UNSIGNED) return wrapped(to_i64(x), kind);
    return wrapped(x > -TWO_31 - 1 && x < TWO_31 ? (u64)(i64)x : (u64)-(i64)TWO_31, kind);
}

__device__ __forceinline__ u64 converted(u64 v, u32 from, u32 to)
{
    if (is_float(from)) {
        if (is_float(to)) {
            if (of(from) == FLOAT64) return narrowed(v, to);
            if (of(to) == FLOAT64) return widened(v, from);
            float x = small(v, from);
            if (of(to) == FLOAT32) return __float_as_uint(x);
            if (of(from) == BFLOAT16 && is_nan(x)) return (v & 0x8000) | 0x7e00;  // as ml_dtypes has it
            return small_bits(x, to);
        }
        double x = real(widened(v, from));
        return of(to) == BOOL ? !(x == 0) : truncated(x, to);
    }
    if (of(to) == BOOL) return v != 0;
    if (!is_float(to)) return wrapped(v, to);
    bool is_signed = of(from) == SIGNED;
    if (of(to) == FLOAT64) return word(is_signed ? (double)(i64)v : (double)v);
    float x = is_signed ? (float)(i64)v : (float)v;
    return of(to) == FLOAT32 ? __float_as_uint(x) : small_bits(x, to);
}

__device__ __forceinline__ u64 computed(double a, double b, u32 operation)
{
    double r = operation == ADD ? __dadd_rn(a, b) : operation == SUBTRACT ? __dadd_rn(a, -b)
             : operation == MULTIPLY ? __dmul_rn(a, b) : __ddiv_rn(a, b);
    if (!is_nan(r)) return word(r);
    return (is_nan(a) ? word(a) : is_nan(b) ? word(b) : LEAST_I64) | 0x7ff8000000000000ull;
}

__device__ __forceinline__ float computed(float a, float b, u32 operation)
{
    float r = operation == ADD ? __fadd_rn(a, b) : operation == SUBTRACT ? __fadd_rn(a, -b)
            : operation == MULTIPLY ? __fmul_rn(a, b) : __fdiv_rn(a, b);
    if (!is_nan(r)) return r;
    return __uint_as_float((is_nan(a) ? __float_as_uint(a) : is_nan(b) ? __float_as_uint(b) : 0x80000000) | 0x7fc00000);
}

__device__ __forceinline__ u64 from_float(float x, u32 kind)
{
    return of(kind) == FLOAT32 ? __float_as_uint(x) : small_bits(x, kind);
}

__device__ __forceinline__ u64 computed(u64 v, u64 number, u32 kind, u32 operation)
{
    if (of(kind) == FLOAT64) return computed(real(v), real(number), operation);
    if (is_float(kind)) return from_float(computed(small(v, kind), small(number, kind), operation), kind);
    return wrapped(operation == ADD ? v + number : operation == SUBTRACT ? v - number : v * number, kind);
}

__device__ __forceinline__ u64 whole(u64 v, u32 kind)
{
    if (of(kind) == FLOAT64) return is_nan(real(v)) ? v | 0x8000000000000ull : word(rint(real(v)));
    float x = small(v, kind);
    return from_float(is_nan(x) ? __uint_as_float(__float_as_uint(x) | 0x400000) : rintf(x), kind);
}

// Round to a multiple of 2**drop, ties to even; where that overflows, to the largest one.
__device__ __forceinline__ u64 rounded(u64 v, u32 drop, u32 kind)
{
    if (drop == 0) return v;
    u64 most = ~0ull >> (64 - bits_of(kind)), bits = v & most, half = (1ull << (drop - 1)) - 1;
    u64 last = drop < 64 ? bits >> drop & 1 : 0, sum = (bits + half + last) & most;
    if (sum < bits) sum = most;
    return wrapped(drop < 64 ? sum >> drop << drop : 0, kind);
}

__device__ __forceinline__ u32 length(u64 v) { return v >> 32 ? 64 - __clz((i32)(v >> 32)) : 32 - __clz((i32)v); }

__device__ __forceinline__ u64 leading(u64 v, u32 keep, u32 kind)
{
    u32 bits = length(v & ~0ull >> (64 - bits_of(kind)));
    return rounded(v, bits > keep ? bits - keep : 0, kind);
}

__device__ __forceinline__ bool same(u64 v, u64 number, u32 kind)
{
    if (!is_float(kind)) return v == number;
    double a = real(widened(v, kind)), b = real(widened(number, kind));
    return a == b || (is_nan(a) && is_nan(b));
}

// A whole number as its sign and its magnitude, of which `fits` is false where 64 bits did not hold it.
struct Whole {
    u64 size;
    bool negative, fits;
};

__device__ __forceinline__ Whole whole_of(u64 v, u32 kind)
{
    Whole n = {v, false, true};
    if (of(kind) == SIGNED && (i64)v < 0) n.size = 0 - v, n.negative = true;
    return n;
}

__device__ __forceinline__ Whole sum(Whole a, Whole b)
{
    Whole r = {a.size + b.size, a.negative, true};
    if (a.negative == b.negative) r.fits = r.size >= a.size;
    else if (a.size >= b.size) r.size = a.size - b.size;
    else r.size = b.size - a.size, r.negative = b.negative;
    return r;
}

// Whether an integer of this kind holds a number.
__device__ __forceinline__ bool holds(Whole n, u32 kind)
{
    u64 most = ~0ull >> (64 - bits_of(kind) + (of(kind) == SIGNED));
    return n.fits && n.size <= (n.negative ? (of(kind) == SIGNED ? most + 1 : 0) : most);
}

// (v - first) * second
__device__ __forceinline__ bool scale_up(u64& v, u64 offset, u64 scale, u32 kind)
{
    Whole minus = whole_of(offset, kind), by = whole_of(scale, kind);
    minus.negative = !minus.negative;
    Whole n = sum(whole_of(v, kind), minus);
    bool fits = n.fits && __umul64hi(n.size, by.size) == 0;
    n.size *= by.size, n.negative = n.negative != by.negative, n.fits = fits;
    v = n.negative ? 0 - n.size : n.size;
    return holds(n, kind);
}

// v / second, which must be whole, or + first, which must be in range
__device__ __forceinline__ bool scale_down(u64& v, u64 offset, u64 scale, u32 kind)
{
    Whole n = whole_of(v, kind), by = whole_of(scale, kind);
    if (scale) {
        u64 quotient = by.size == 1 ? n.size : n.size / by.size;
        bool divides = quotient * by.size == n.size;
        v = n.negative != by.negative ? 0 - quotient : quotient;
        return divides;
    }
    n = sum(n, whole_of(offset, kind));
    v = n.negative ? 0 - n.size : n.size;
    return holds(n, kind);
}

__device__ __forceinline__ double rounded(double x, u32 how)
{
    if (how == TO_EVEN) return rint(x);
    if (how == UP) return ceil(x);
    if (how == DOWN) return floor(x);
    double r = trunc(x);
    return how == FROM_ZERO && fabs(x - r) >= 0.5 ? r + (x < 0 ? -1 : 1) : r;
}

// The lowest bits of a whole number.
__device__ __forceinline__ u64 modulo(double x)
{
    u64 bits = word(x), fraction = (bits & 0xfffffffffffffull) | 0x10000000000000ull;
    i32 by = (i32)(bits >> 52 & 0x7ff) - 1075;
    u64 size = by >= 64 || by <= -53 ? 0 : by >= 0 ? fraction << by : fraction >> -by;
    return bits >> 63 ? 0 - size : size;
}

// A float as an integer of another kind: `first` says how it is rounded, `second` what becomes of one out of range.
__device__ __forceinline__ bool to_integer(u64& v, u32 from, u32 to, u32 rounding, u32 beyond)
{
    double x = rounded(real(widened(v, from)), rounding);
    u32 bits = bits_of(to) - (of(to) == SIGNED);
    double limit = real((u64)(1023 + bits) << 52), low = of(to) == SIGNED ? -limit : 0;
    bool inside = x >= low && x < limit;
    u64 most = ~0ull >> (64 - bits);
    if (beyond == WRAP || inside) v = wrapped(inside && x >= TWO_63 ? (u64)x : inside ? (u64)(i64)x : modulo(x), to);
    else v = x > 0 ? most : of(to) == SIGNED ? ~most : 0;
    return inside || beyond != ERROR;
}

// An integer as one of another kind: `first` says what becomes of one out of range.
__device__ __forceinline__ bool to_narrow(u64& v, u32 from, u32 to, u32 beyond)
{
    Whole n = whole_of(v, from);
    bool inside = holds(n, to);
    u32 bits = bits_of(to) - (of(to) == SIGNED);
    u64 most = ~0ull >> (64 - bits);
    if (inside || beyond == WRAP) v = wrapped(v, to);
    else v = n.negative ? (of(to) == SIGNED ? ~most : 0) : most;
    return inside || beyond != ERROR;
}

__device__ __forceinline__ bool is_finite(u64 v, u32 kind)
{
    return (word(real(widened(v, kind))) & ~LEAST_I64) < 0x7ff0000000000000ull;
}

// A number as a float of another kind: `first` says whether one that becomes infinite is refused, or the largest.
__device__ __forceinline__ bool to_float(u64& v, u32 from, u32 to, u32 beyond)
{
    bool negative = is_float(from) ? (v >> (bits_of(from) - 1) & 1) != 0 : of(from) == SIGNED && (i64)v < 0;
    bool was_finite = !is_float(from) || is_finite(v, from);
    v = converted(v, from, to);
    bool lost = was_finite && !is_finite(v, to);
    if (lost) {
        u64 largest = of(to) == FLOAT16 ? 0x7bff : of(to) == BFLOAT16 ? 0x7f7f : 0x7f7fffff;
        v = largest | (u64)negative << (bits_of(to) - 1);
    }
    return !lost || beyond != ERROR;
}

__device__ __forceinline__ Instruction instruction(const Program& program, u32 i)
{
    const u64* w = program.words + 4 * i;
    u64 head = w[0];
    return {(u32)head & 255, (u32)(head >> 8) & 0xffff, (u32)(head >> 24) & 0xffff, (u32)(head >> 40), w[1], w[2],
            (u32*)w[3]};
}

// Run one instruction on an element. Returns whether it is not refused; `skip` is set where it was replaced.
__device__ __forceinline__ bool run_rare(const Instruction& o, u64& v, bool& skip)
{
    switch (o.operation) {
    case KEEP_BITS: v = rounded(v, (u32)o.first, o.kind); return true;
    case KEEP_LEADING_BITS: v = leading(v, (u32)o.first, o.kind); return true;
    case REPLACE:
        skip = same(v, o.first, o.kind);
        if (skip) v = o.second;
        return true;
    case SCALE_UP: return scale_up(v, o.first, o.second, o.kind);
    case SCALE_DOWN: return scale_down(v, o.first, o.second, o.kind);
    case REFUSE_NAN: return !is_nan(real(widened(v, o.kind)));
    case REFUSE_INFINITY: return is_finite(v, o.kind);
    case TO_INTEGER: return to_integer(v, o.kind, o.to, (u32)o.first, (u32)o.second);
    case TO_NARROW: return to_narrow(v, o.kind, o.to, (u32)o.first);
    default: return to_float(v, o.kind, o.to, (u32)o.first);
    }
}

// Run the program on N elements; those that are not in the mask `active` are refused by nothing.
template <u32 N> __device__ __forceinline__ void run(const Program& program, u64 (&words)[N], u32 active)
{
    u32 next[N];  // of each element, the first instruction that is run again
#pragma unroll
    for (u32 k = 0; k < N; ++k) next[k] = active >> k & 1 ? 0 : program.length;
#pragma unroll 1
    for (u32 i = 0; i < program.length; ++i) {
        Instruction o = instruction(program, i);
#pragma unroll
        for (u32 k = 0; k < N; ++k) {
            if (i < next[k]) continue;
            if (o.operation == CONVERT) words[k] = converted(words[k], o.kind, o.to);
            else if (o.operation <= DIVIDE) words[k] = computed(words[k], o.first, o.kind, o.operation);
            else if (o.operation == RINT) words[k] = whole(words[k], o.kind);
            else {
                bool skip = false;
                if (!run_rare(o, words[k], skip) && o.bad) atomicMin(o.bad, program.box);
                if (skip) next[k] = i + 1 + o.skip;
            }
        }
    }
}

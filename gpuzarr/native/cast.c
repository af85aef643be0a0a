// Numbers as gpuzarr/dtypes/cast.py has them: converted, multiplied, increased, each time rounded to nearest, even.
#include <math.h>
#include <string.h>
#include "native.h"

enum { PIECE = 1 << 12 };  // elements that are computed before they are rounded to another type
enum { FLOAT, DOUBLE, FLOAT_TO_BFLOAT16, DOUBLE_TO_FLOAT, DOUBLE_TO_BFLOAT16 };

// What is NULL is not done; all are numbers of the type that is computed with, but `nan_of`, which is one of the source's.
typedef struct {
    const void *scale, *offset, *nan_of;
} Change;

#define FUNCTION(S, T)                                                                                                 \
    FOR_CORES static void S##_to_##T(const S *values, T *target, i64 n, Change change)                                 \
    {                                                                                                                  \
        const T scale = change.scale ? *(const T *)change.scale : 1, offset = change.offset ? *(const T *)change.offset : 0; \
        if (change.nan_of) {                                                                                           \
            const S missing = *(const S *)change.nan_of;                                                               \
            for (i64 i = 0; i < n; i++) target[i] = values[i] == missing ? (T)NAN : (T)values[i];                      \
        } else if (change.scale && change.offset) {                                                                    \
            for (i64 i = 0; i < n; i++) target[i] = (T)values[i] * scale + offset;                                     \
            return;                                                                                                    \
        } else {                                                                                                       \
            for (i64 i = 0; i < n; i++) target[i] = (T)values[i];                                                      \
        }                                                                                                              \
        if (change.scale)                                                                                              \
            for (i64 i = 0; i < n; i++) target[i] *= scale;                                                            \
        if (change.offset)                                                                                             \
            for (i64 i = 0; i < n; i++) target[i] += offset;                                                           \
    }
#define FUNCTIONS(S) FUNCTION(S, float) FUNCTION(S, double)

FUNCTIONS(uint8_t)
FUNCTIONS(int8_t)
FUNCTIONS(uint16_t)
FUNCTIONS(int16_t)
FUNCTIONS(uint32_t)
FUNCTIONS(int32_t)
FUNCTIONS(uint64_t)
FUNCTIONS(int64_t)
FUNCTIONS(float)
FUNCTIONS(double)

typedef void Convert(const void *values, void *target, i64 n, Change change);
#define PAIR(S) {(Convert *)S##_to_float, (Convert *)S##_to_double}
static Convert *const convert[][2] = {
    PAIR(uint8_t), PAIR(int8_t), PAIR(uint16_t), PAIR(int16_t), PAIR(uint32_t),
    PAIR(int32_t), PAIR(uint64_t), PAIR(int64_t), PAIR(float), PAIR(double),
};
static const i64 width[] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8};

// bfloat16 is the upper half of a float.
FOR_CORES static void shorten(const float *values, uint16_t *target, i64 n)
{
    for (i64 i = 0; i < n; i++) {
        uint32_t bits, up;
        memcpy(&bits, values + i, sizeof bits);
        up = bits + 0x7fff + (bits >> 16 & 1);
        target[i] = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : up >> 16);
    }
}

FOR_CORES static void narrow(const double *values, float *target, i64 n)
{
    for (i64 i = 0; i < n; i++) target[i] = (float)values[i];
}

// Cast n elements of type `source`, as numbered by gpuzarr/dtypes/cast_loop.py. `to`: what is computed with, and what it
// becomes.
EXPORT void gpuzarr_cast(i64 source, i64 to, const char *values, char *target, i64 n, const void *scale, const void *offset,
                         const void *nan_of)
{
    Change change = {scale, offset, nan_of};
    if (to == FLOAT || to == DOUBLE) {
        convert[source][to](values, target, n, change);
        return;
    }
    double computed[PIECE];
    float narrowed[PIECE];
    for (i64 i = 0; i < n; i += PIECE) {
        i64 some = n - i < PIECE ? n - i : PIECE;
        const char *from = values + i * width[source];
        if (to == DOUBLE_TO_FLOAT) {
            convert[source][DOUBLE](from, computed, some, change);
            narrow(computed, (float *)target + i, some);
            continue;
        }
        if (to == DOUBLE_TO_BFLOAT16) {
            convert[source][DOUBLE](from, computed, some, change);
            narrow(computed, narrowed, some);
        } else {
            convert[source][FLOAT](from, narrowed, some, change);
        }
        shorten(narrowed, (uint16_t *)target + i, some);
    }
}

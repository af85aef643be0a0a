// Running sums of rows of integers, which wrap.
#include "native.h"

#define SUMS(T)                                                          \
    static void sums_##T(const T *from, T *to, i64 rows, i64 n)          \
    {                                                                    \
        for (i64 row = 0; row < rows; row++, from += n, to += n) {       \
            T sum = 0;                                                   \
            for (i64 i = 0; i < n; i++) to[i] = sum = (T)(sum + from[i]); \
        }                                                                \
    }

SUMS(uint8_t)
SUMS(uint16_t)
SUMS(uint32_t)
SUMS(uint64_t)

// Sums of integers of `width` bytes, which is 1, 2, 4 or 8.
EXPORT void gpuzarr_sums(i64 width, const void *from, void *to, i64 rows, i64 n)
{
    if (width == 1) sums_uint8_t(from, to, rows, n);
    if (width == 2) sums_uint16_t(from, to, rows, n);
    if (width == 4) sums_uint32_t(from, to, rows, n);
    if (width == 8) sums_uint64_t(from, to, rows, n);
}

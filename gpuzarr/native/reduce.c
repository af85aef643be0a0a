#include "native.h"
#include <math.h>

// Numbers about rows of elements, of `width` bytes: floats of 4 or 8, and for `tally` patterns of 1 or 2. Sums have LANES
// partial sums, added in one order, so the numbers are the same whatever the compiler makes of the loops.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define FOR_CORES __attribute__((target_clones("avx2", "default")))
#else
#define FOR_CORES
#endif
enum { LANES = 16 };

// As numbers of reduce/rows.py.
enum { FINITE, NANS, ABOVE, BELOW, MEAN, SQUARES, LEAST, MOST, NUMBERS };

static double sum_of(const double *lanes)
{
    double sum = 0;
    for (int k = 0; k < LANES; k++) sum += lanes[k];
    return sum;
}

// Of a type: `sums` adds up elements and finds the least and the most; a NaN or an infinity makes `sum` no finite number,
// and then `counts` tells which there are, and the rest is of the finite ones alone. `squares` adds up the distances from
// the mean, and their squares. `x - x` is 0 for finite numbers alone.
#define ROWS(T)                                                                                                            \
    FOR_CORES static double sums_##T(const T *row, i64 n, T *low, T *high)                                                 \
    {                                                                                                                      \
        double lanes[LANES] = {0}, rest = 0;                                                                               \
        T least[LANES], most[LANES];                                                                                       \
        for (int k = 0; k < LANES; k++) least[k] = INFINITY, most[k] = -INFINITY;                                          \
        i64 i = 0;                                                                                                         \
        for (; i + LANES <= n; i += LANES)                                                                                 \
            for (int k = 0; k < LANES; k++) {                                                                              \
                T x = row[i + k];                                                                                          \
                lanes[k] += (double)x;                                                                                     \
                least[k] = x < least[k] ? x : least[k];                                                                    \
                most[k] = x > most[k] ? x : most[k];                                                                       \
            }                                                                                                              \
        for (; i < n; i++) {                                                                                               \
            T x = row[i];                                                                                                  \
            rest += (double)x;                                                                                             \
            least[0] = x < least[0] ? x : least[0];                                                                        \
            most[0] = x > most[0] ? x : most[0];                                                                           \
        }                                                                                                                  \
        for (int k = 1; k < LANES; k++) {                                                                                  \
            least[0] = least[k] < least[0] ? least[k] : least[0];                                                          \
            most[0] = most[k] > most[0] ? most[k] : most[0];                                                               \
        }                                                                                                                  \
        *low = least[0], *high = most[0];                                                                                  \
        return sum_of(lanes) + rest;                                                                                       \
    }                                                                                                                      \
    static double counts_##T(const T *row, i64 n, T *low, T *high, double *found)                                          \
    {                                                                                                                      \
        double sum = 0;                                                                                                    \
        T least = INFINITY, most = -INFINITY;                                                                              \
        for (i64 i = 0; i < n; i++) {                                                                                      \
            T x = row[i];                                                                                                  \
            if (x - x == 0) {                                                                                              \
                sum += (double)x, found[FINITE]++;                                                                         \
                least = x < least ? x : least, most = x > most ? x : most;                                                 \
            } else {                                                                                                       \
                found[x != x ? NANS : x > 0 ? ABOVE : BELOW]++;                                                            \
            }                                                                                                              \
        }                                                                                                                  \
        *low = least, *high = most;                                                                                        \
        return sum;                                                                                                        \
    }                                                                                                                      \
    FOR_CORES static void squares_##T(const T *row, i64 n, double mean, double *distance, double *squares)                 \
    {                                                                                                                      \
        double lanes[LANES] = {0}, squared[LANES] = {0}, rest = 0, rest_squared = 0;                                       \
        i64 i = 0;                                                                                                         \
        for (; i + LANES <= n; i += LANES)                                                                                 \
            for (int k = 0; k < LANES; k++) {                                                                              \
                double d = (double)row[i + k] - mean;                                                                      \
                d = row[i + k] - row[i + k] == 0 ? d : 0;                                                                  \
                lanes[k] += d;                                                                                             \
                squared[k] += d * d;                                                                                       \
            }                                                                                                              \
        for (; i < n; i++) {                                                                                               \
            double d = row[i] - row[i] == 0 ? (double)row[i] - mean : 0;                                                   \
            rest += d;                                                                                                     \
            rest_squared += d * d;                                                                                         \
        }                                                                                                                  \
        *distance = sum_of(lanes) + rest;                                                                                  \
        *squares = sum_of(squared) + rest_squared;                                                                         \
    }                                                                                                                      \
    static void moments_##T(const T *row, i64 n, double *found)                                                            \
    {                                                                                                                      \
        T low, high;                                                                                                       \
        for (int k = 0; k < NUMBERS; k++) found[k] = 0;                                                                    \
        double sum = sums_##T(row, n, &low, &high), distance, squares;                                                     \
        found[FINITE] = (double)n;                                                                                         \
        if (sum - sum != 0) found[FINITE] = 0, sum = counts_##T(row, n, &low, &high, found);                               \
        double count = found[FINITE], mean = count ? sum / count : 0;                                                      \
        squares_##T(row, n, mean, &distance, &squares);                                                                    \
        found[MEAN] = count ? mean + distance / count : 0;                                                                 \
        found[SQUARES] = count ? squares - distance * distance / count : 0;                                                \
        found[LEAST] = low, found[MOST] = high;                                                                            \
    }                                                                                                                      \
    static void bin_##T(const T *row, i64 n, const double *edges, i64 bins, double per, i64 *counts)                       \
    {                                                                                                                      \
        double first = edges[0], last = edges[bins], most = (double)(bins - 1);                                            \
        for (i64 i = 0; i < n; i++) {                                                                                      \
            double x = (double)row[i];                                                                                     \
            if (!(x >= first && x <= last)) continue;                                                                      \
            double at = (x - first) * per;                                                                                 \
            i64 k = !(at >= 0) ? 0 : at > most ? bins - 1 : (i64)at;                                                       \
            while (x < edges[k]) k--;                                                                                      \
            while (k < bins - 1 && x >= edges[k + 1]) k++;                                                                 \
            counts[k]++;                                                                                                   \
        }                                                                                                                  \
    }
ROWS(float)
ROWS(double)

// NUMBERS doubles for each of `rows` rows of n elements.
EXPORT void gpuzarr_moments(i64 width, i64 rows, i64 n, const void *elements, double *found)
{
    for (i64 r = 0; r < rows; r++)
        if (width == 4)
            moments_float((const float *)elements + r * n, n, found + r * NUMBERS);
        else
            moments_double((const double *)elements + r * n, n, found + r * NUMBERS);
}

// Add the elements of each row to its `bins` counts, between `bins + 1` ascending edges; the last one belongs to the last
// bin. `per`: about how many bins there are in 1.
EXPORT void gpuzarr_bin(i64 width, i64 rows, i64 n, const void *elements, const double *edges, i64 bins, const double *per,
                        i64 *counts)
{
    for (i64 r = 0; r < rows; r++)
        if (width == 4)
            bin_float((const float *)elements + r * n, n, edges, bins, *per, counts + r * bins);
        else
            bin_double((const double *)elements + r * n, n, edges, bins, *per, counts + r * bins);
}

// Add to the counts of each pattern in each row: 256 counts for patterns of one byte, 65536 for those of two.
EXPORT void gpuzarr_tally(i64 width, i64 rows, i64 n, const void *elements, i64 *counts)
{
    for (i64 r = 0; r < rows; r++)
        if (width == 1) {
            const uint8_t *row = (const uint8_t *)elements + r * n;
            i64 *of = counts + (r << 8), more[3][256] = {{0}}, i = 0; // equal neighbours need not wait for each other
            for (; i + 4 <= n; i += 4) of[row[i]]++, more[0][row[i + 1]]++, more[1][row[i + 2]]++, more[2][row[i + 3]]++;
            for (; i < n; i++) of[row[i]]++;
            for (int k = 0; k < 256; k++) of[k] += more[0][k] + more[1][k] + more[2][k];
        } else {
            const uint16_t *row = (const uint16_t *)elements + r * n;
            i64 *of = counts + (r << 16);
            for (i64 i = 0; i < n; i++) of[row[i]]++;
        }
}

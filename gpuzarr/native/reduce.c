#include "native.h"
#include <math.h>

// Numbers about rows of elements, of `width` bytes: floats of 4 or 8, and for `tally` patterns of 1 or 2. Sums have 16
// partial sums, added in one order, so they are the same whatever instructions a core has.
enum { LANES = 4, VECTORS = 4, STEP = LANES * VECTORS };
typedef float float_x4 __attribute__((vector_size(16)));
typedef double double_x4 __attribute__((vector_size(32)));
typedef int32_t float_bits __attribute__((vector_size(16)));
typedef i64 double_bits __attribute__((vector_size(32)));
typedef float_x4 float_anywhere __attribute__((aligned(4))); // as elements in memory are aligned
typedef double_x4 double_anywhere __attribute__((aligned(8)));

// As numbers of reduce/rows.py.
enum { FINITE, NANS, ABOVE, BELOW, MEAN, REST, SQUARES, LEAST, MOST, NUMBERS };

static double sum_of(const double_x4 *sums)
{
    double sum = 0;
    for (int v = 0; v < VECTORS; v++)
        for (int k = 0; k < LANES; k++) sum += sums[v][k];
    return sum;
}

// Of a type: `sums` adds up elements and finds the least and the most; a NaN or an infinity makes its sum no finite number,
// and then `counts` tells which there are, and the rest is of the finite ones alone. `squares` adds up the distances from
// the mean, and their squares. `x - x` is 0 for finite numbers alone.
#define CHOSEN(T, mask, x, y) ((T##_x4)(((mask) & (T##_bits)(x)) | (~(mask) & (T##_bits)(y))))
#define ROWS(T)                                                                                                        \
    FOR_CORES static double sums_##T(const T *row, i64 n, T *low, T *high)                                             \
    {                                                                                                                  \
        double_x4 sums[VECTORS] = {{0}};                                                                               \
        T##_x4 least[VECTORS] = {{0}}, most[VECTORS];                                                                  \
        for (int v = 0; v < VECTORS; v++) least[v] += (T)INFINITY, most[v] = -least[v];                                \
        double rest = 0;                                                                                               \
        i64 i = 0;                                                                                                     \
        for (; i + STEP <= n; i += STEP)                                                                               \
            for (int v = 0; v < VECTORS; v++) {                                                                        \
                T##_x4 x = *(const T##_anywhere *)(row + i + v * LANES);                                               \
                sums[v] += __builtin_convertvector(x, double_x4);                                                      \
                least[v] = CHOSEN(T, x < least[v], x, least[v]);                                                       \
                most[v] = CHOSEN(T, x > most[v], x, most[v]);                                                          \
            }                                                                                                          \
        T down = least[0][0], up = most[0][0];                                                                         \
        for (int k = 1; k < STEP; k++) {                                                                               \
            T l = least[k / LANES][k % LANES], m = most[k / LANES][k % LANES];                                         \
            down = l < down ? l : down, up = m > up ? m : up;                                                          \
        }                                                                                                              \
        for (; i < n; i++) {                                                                                           \
            T x = row[i];                                                                                              \
            rest += (double)x;                                                                                         \
            down = x < down ? x : down, up = x > up ? x : up;                                                          \
        }                                                                                                              \
        *low = down, *high = up;                                                                                       \
        return sum_of(sums) + rest;                                                                                    \
    }                                                                                                                  \
    static double counts_##T(const T *row, i64 n, T *low, T *high, double *found)                                      \
    {                                                                                                                  \
        double sum = 0;                                                                                                \
        T least = INFINITY, most = -INFINITY;                                                                          \
        for (i64 i = 0; i < n; i++) {                                                                                  \
            T x = row[i];                                                                                              \
            if (x - x == 0) {                                                                                          \
                sum += (double)x, found[FINITE]++;                                                                     \
                least = x < least ? x : least, most = x > most ? x : most;                                             \
            } else {                                                                                                   \
                found[x != x ? NANS : x > 0 ? ABOVE : BELOW]++;                                                        \
            }                                                                                                          \
        }                                                                                                              \
        *low = least, *high = most;                                                                                    \
        return sum;                                                                                                    \
    }                                                                                                                  \
    FOR_CORES static void squares_##T(const T *row, i64 n, double mean, double *distance, double *squares)             \
    {                                                                                                                  \
        double_x4 sums[VECTORS] = {{0}}, squared[VECTORS] = {{0}};                                                     \
        double rest = 0, rest_squared = 0;                                                                             \
        i64 i = 0;                                                                                                     \
        for (; i + STEP <= n; i += STEP)                                                                               \
            for (int v = 0; v < VECTORS; v++) {                                                                        \
                double_x4 d = __builtin_convertvector(*(const T##_anywhere *)(row + i + v * LANES), double_x4) - mean; \
                d = (double_x4)((double_bits)d & (d - d == 0));                                                        \
                sums[v] += d, squared[v] += d * d;                                                                     \
            }                                                                                                          \
        for (; i < n; i++) {                                                                                           \
            double d = (double)row[i] - mean;                                                                          \
            if (d - d == 0) rest += d, rest_squared += d * d;                                                          \
        }                                                                                                              \
        *distance = sum_of(sums) + rest;                                                                               \
        *squares = sum_of(squared) + rest_squared;                                                                     \
    }                                                                                                                  \
    static void moments_##T(const T *row, i64 n, double *found)                                                        \
    {                                                                                                                  \
        T low, high;                                                                                                   \
        for (int k = 0; k < NUMBERS; k++) found[k] = 0;                                                                \
        double sum = sums_##T(row, n, &low, &high), distance, squares;                                                 \
        found[FINITE] = (double)n;                                                                                     \
        if (sum - sum != 0) found[FINITE] = 0, sum = counts_##T(row, n, &low, &high, found);                           \
        double count = found[FINITE], mean = count ? sum / count : 0;                                                  \
        squares_##T(row, n, mean, &distance, &squares);                                                                \
        found[MEAN] = mean, found[REST] = count ? distance / count : 0;                                                \
        found[SQUARES] = count ? squares - distance * distance / count : 0;                                            \
        found[LEAST] = low, found[MOST] = high;                                                                        \
    }                                                                                                                  \
    static void bin_##T(const T *row, i64 n, const double *edges, i64 bins, double per, i64 *counts)                   \
    {                                                                                                                  \
        double first = edges[0], last = edges[bins], most = (double)(bins - 1);                                        \
        for (i64 i = 0; i < n; i++) {                                                                                  \
            double x = (double)row[i];                                                                                 \
            if (!(x >= first && x <= last)) continue;                                                                  \
            double at = (x - first) * per;                                                                             \
            i64 k = !(at >= 0) ? 0 : at > most ? bins - 1 : (i64)at;                                                   \
            while (x < edges[k]) k--;                                                                                  \
            while (k < bins - 1 && x >= edges[k + 1]) k++;                                                             \
            counts[k]++;                                                                                               \
        }                                                                                                              \
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

// Add the elements of row r to the `bins` counts of number `places[r]`, between `bins + 1` ascending edges; the last one
// belongs to the last bin. `per`: about how many bins there are in 1.
EXPORT void gpuzarr_bin(i64 width, i64 rows, i64 n, const void *elements, const double *edges, i64 bins, const double *per,
                        const i64 *places, i64 *counts)
{
    for (i64 r = 0; r < rows; r++)
        if (width == 4)
            bin_float((const float *)elements + r * n, n, edges, bins, *per, counts + places[r] * bins);
        else
            bin_double((const double *)elements + r * n, n, edges, bins, *per, counts + places[r] * bins);
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

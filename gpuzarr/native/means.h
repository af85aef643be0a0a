// Means of windows, for one type: included by downsample.c with NAME, T (an element), A (a sum), and one of
//   WHOLE      T is an integer. WORD: an unsigned type of twice its width; not there for the widest
//   REAL       T is a float, and so is A
//   SHORT(x)   T is a float of 16 bits, as the unsigned integer of its bits; this is its value; SHORTENED(x): back
#ifdef SHORT
#define VALUE(x) SHORT(x)
#else
#define VALUE(x) ((A)(x))
#endif

FOR_CORES static void OF(row)(A *restrict sums, const T *restrict row, i64 n)
{
    for (i64 i = 0; i < n; i++) sums[i] += VALUE(row[i]);
}

FOR_CORES static void OF(pairs)(A *restrict sums, const T *restrict row, i64 n)
{
    for (i64 i = 0; i < n; i++) {
#ifdef WORD
        WORD both;  // in the order of the bytes in memory, which does not matter to a sum
        memcpy(&both, row + 2 * i, sizeof both);
        sums[i] += (A)(T)both + (A)(T)(both >> 8 * sizeof(T));
#else
        sums[i] = (sums[i] + VALUE(row[2 * i])) + VALUE(row[2 * i + 1]);
#endif
    }
}

static void OF(begin)(const Windows *w, void *sums, i64 n)
{
    (void)w;
    for (i64 i = 0; i < n; i++) ((A *)sums)[i] = 0;
}

static void OF(add)(const Windows *w, void *sums, const char *source, const Span *span)
{
    (void)w;
    if (span->extent == 2 && span->stride == sizeof(T) && span->step == 2 * sizeof(T)) {
        OF(pairs)(sums, (const T *)source, span->count);
        return;
    }
    for (i64 k = 0; k < span->extent; k++, source += span->stride) {
        if (span->step == sizeof(T)) OF(row)(sums, (const T *)source, span->count);
        else
            for (i64 i = 0; i < span->count; i++) ((A *)sums)[i] += VALUE(*(const T *)(source + i * span->step));
    }
}

// Floats are divided; integers are rounded to the nearest, of two as near to the even one.
FOR_CORES static void OF(divide)(T *restrict means, const A *restrict sums, i64 n, i64 count)
{
#ifdef WHOLE
    int is_power = (count & (count - 1)) == 0;
    if (count == 1) {
        for (i64 i = 0; i < n; i++) means[i] = (T)sums[i];
    } else if (is_power) {
        int shift = __builtin_ctzll((unsigned long long)count);
        for (i64 i = 0; i < n; i++) means[i] = (T)((sums[i] + (A)(count / 2 - 1) + ((sums[i] >> shift) & 1)) >> shift);
    } else if (sizeof(A) == 4) {  // a quotient of two such integers is never rounded to the middle of two
        for (i64 i = 0; i < n; i++) {
            double quotient = (double)sums[i] / (double)count, whole = (quotient + 0x1.8p52) - 0x1.8p52;
            means[i] = (T)(int32_t)whole;
        }
    } else {
        A divisor = (A)count;
        for (i64 i = 0; i < n; i++) {
            A quotient = sums[i] / divisor, rest = sums[i] % divisor;
            if (rest < 0) quotient--, rest += divisor;
            means[i] = (T)(quotient + (2 * rest > divisor || (2 * rest == divisor && (quotient & 1))));
        }
    }
#else
    for (i64 i = 0; i < n; i++) {
        A mean = sums[i] / (A)count;
        mean = mean == mean ? mean : (A)NAN;
#ifdef SHORTENED
        means[i] = SHORTENED(mean);
#else
        means[i] = mean;
#endif
    }
#endif
}

static void OF(end)(const Windows *w, char *target, i64 step, void *sums, i64 n, i64 count)
{
    (void)w;
    T means[BLOCK];
    int is_dense = step == sizeof(T);
    OF(divide)(is_dense ? (T *)target : means, sums, n, count);
    for (i64 i = 0; !is_dense && i < n; i++) *(T *)(target + i * step) = means[i];
}

static const Fold OF(fold) = {OF(begin), OF(add), OF(end)};

#undef VALUE
#undef NAME
#undef T
#undef A
#undef WHOLE
#undef WORD
#undef SHORT
#undef SHORTENED

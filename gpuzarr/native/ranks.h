// The most, the least, the mode and the median of windows, for one type: included by downsample.c with NAME, T, S and UT
// (the signed and the unsigned integer of its width), LEAST and MOST (of T's values), and KEYED where elements are the bits
// of floats.
//
// Bits of floats become keys, integers in the order of the floats: those of negative floats have all bits but the sign
// turned. NaNs are one key at the end where no other number is.
#ifdef KEYED
static inline T OF(key)(const Windows *w, T bits)
{
    T key = (T)(bits ^ ((bits >> (8 * sizeof(T) - 1)) & MOST));
    key = (bits & MOST) > (T)w->infinity ? (T)(w->method == MAX ? LEAST : MOST) : key;
    return w->method == MODE && key == -1 ? 0 : key;  // -0.0 is 0.0
}

FOR_CORES static void OF(numbers)(const Windows *w, T *keys, i64 n)
{
    T none = w->method == MAX ? LEAST : MOST;
    for (i64 i = 0; i < n; i++)
        keys[i] = keys[i] == none ? (T)w->nan : (T)(keys[i] ^ ((keys[i] >> (8 * sizeof(T) - 1)) & MOST));
}
#define KEY(x) OF(key)(w, x)
#else
#define KEY(x) (x)
#endif

FOR_CORES static void OF(plane)(const Windows *w, T *restrict keys, const T *restrict row, i64 n)
{
    (void)w;
    for (i64 i = 0; i < n; i++) keys[i] = KEY(row[i]);
}

FOR_CORES static void OF(planes)(const Windows *w, T *restrict even, T *restrict odd, const T *restrict row, i64 n)
{
    (void)w;
    for (i64 i = 0; i < n; i++) even[i] = KEY(row[2 * i]), odd[i] = KEY(row[2 * i + 1]);
}

// Keys of the elements of a row that are in windows: those at the first place of each, then those at the second, ...
static void OF(load)(const Windows *w, void *planes, i64 apart, const char *source, const Span *span)
{
    T *keys = planes;
    if (span->extent == 2 && span->stride == sizeof(T) && span->step == 2 * sizeof(T)) {
        OF(planes)(w, keys, keys + apart, (const T *)source, span->count);
        return;
    }
    for (i64 k = 0; k < span->extent; k++, source += span->stride, keys += apart) {
        if (span->step == sizeof(T)) OF(plane)(w, keys, (const T *)source, span->count);
        else
            for (i64 i = 0; i < span->count; i++) keys[i] = KEY(*(const T *)(source + i * span->step));
    }
}

static void OF(store)(const Windows *w, char *target, i64 step, T *keys, i64 n)
{
    (void)w;
#ifdef KEYED
    OF(numbers)(w, keys, n);
#endif
    if (step == sizeof(T)) memcpy(target, keys, (size_t)n * sizeof(T));
    else
        for (i64 i = 0; i < n; i++) *(T *)(target + i * step) = keys[i];
}

FOR_CORES static void OF(raise)(T *restrict most, const T *restrict keys, i64 n)
{
    for (i64 i = 0; i < n; i++) most[i] = keys[i] > most[i] ? keys[i] : most[i];
}

FOR_CORES static void OF(lower)(T *restrict least, const T *restrict keys, i64 n)
{
    for (i64 i = 0; i < n; i++) least[i] = keys[i] < least[i] ? keys[i] : least[i];
}

static void OF(begin)(const Windows *w, void *found, i64 n)
{
    for (i64 i = 0; i < n; i++) ((T *)found)[i] = w->method == MAX ? LEAST : MOST;
}

static void OF(add)(const Windows *w, void *found, const char *source, const Span *span)
{
    T keys[2 * BLOCK];
    for (i64 k = 0; k < span->extent; k += 2) {
        Span two = *span;
        two.extent = span->extent - k < 2 ? span->extent - k : 2;
        OF(load)(w, keys, BLOCK, source + k * span->stride, &two);
        for (i64 i = 0; i < two.extent; i++) (w->method == MAX ? OF(raise) : OF(lower))(found, keys + i * BLOCK, span->count);
    }
}

static void OF(end)(const Windows *w, char *target, i64 step, void *found, i64 n, i64 count)
{
    (void)count;
    OF(store)(w, target, step, found, n);
}

typedef T OF(vector) __attribute__((vector_size(32)));
typedef S OF(mask) __attribute__((vector_size(32)));

// Modes of so many windows at once as a vector has elements, of which each pair is compared.
FOR_CORES static void OF(modes)(const Windows *w, T *restrict modes, const T *restrict planes, i64 apart, i64 size, i64 n)
{
    enum { LANES = 32 / sizeof(T) };
    const T ignored = KEY((T)w->ignored);
    for (i64 at = 0; at < n; at += LANES) {
        OF(vector) first, one, other;
        OF(mask) differs = {0}, most = {0}, live;
        memcpy(&first, planes + at, sizeof first);
        for (i64 i = 1; i < size; i++) {
            memcpy(&one, planes + i * apart + at, sizeof one);
            differs |= (OF(mask))(one ^ first);
        }
        i64 any = 0, words[4];
        memcpy(words, &differs, sizeof words);
        any = words[0] | words[1] | words[2] | words[3];
        for (i64 i = 0; any && i < size; i++) {
            OF(mask) count = {0};
            memcpy(&one, planes + i * apart + at, sizeof one);
            for (i64 j = 0; j < size; j++) {
                memcpy(&other, planes + j * apart + at, sizeof other);
                count -= (OF(mask))(one == other);
            }
            if (w->has_ignored) {
                live = (OF(mask))(one != ignored);
                count &= live;
            }
#ifdef KEYED
            live = (OF(mask))(one != MOST);
            count &= live;
#endif
            if (i == 0) {
                most = count;
                continue;
            }
            OF(mask) better = (OF(mask))(count > most) | ((OF(mask))(count == most) & (OF(mask))(one < first));
            most = (better & count) | (~better & most);
            first = (OF(vector))((better & (OF(mask))one) | (~better & (OF(mask))first));
        }
        memcpy(modes + at, &first, sizeof first);
    }
}

FOR_CORES static void OF(exchange)(T *restrict low, T *restrict high, i64 n)
{
    for (i64 i = 0; i < n; i++) {
        T a = low[i], b = high[i];
        low[i] = a < b ? a : b, high[i] = a < b ? b : a;
    }
}

// The element in the middle, or the one before it, of those that are numbers: by exchanges until it is in its place.
static void OF(medians)(T *medians, T *planes, i64 apart, i64 size, i64 n)
{
    i64 last = (size - 1) / 2;
#ifdef KEYED
    unsigned char nans[SMALL] = {0};
    int any = 0;
    for (i64 i = 0; i < size; i++)
        for (i64 k = 0; k < n; k++) {
            int is_nan = planes[i * apart + k] == MOST;
            nans[k] = (unsigned char)(nans[k] + is_nan), any |= is_nan;
        }
#endif
    for (i64 i = 0; i <= last; i++)
        for (i64 j = i + 1; j < size; j++) OF(exchange)(planes + i * apart, planes + j * apart, n);
    memcpy(medians, planes + last * apart, (size_t)n * sizeof(T));
#ifdef KEYED
    for (i64 k = 0; any && k < n; k++) {
        i64 numbers = size - nans[k];
        medians[k] = numbers ? planes[(numbers - 1) / 2 * apart + k] : MOST;
    }
#endif
}

static void OF(rank)(const Windows *w, char *target, i64 step, void *planes, i64 apart, i64 size, i64 n)
{
    T found[SMALL];
    if (w->method == MODE) OF(modes)(w, found, planes, apart, size, n);
    else OF(medians)(found, planes, apart, size, n);
    OF(store)(w, target, step, found, n);
}

// Sort keys by their bytes, from the lowest on; those that all have alike are passed over. Returns where they are then.
static T *OF(sort)(T *keys, T *others, i64 n)
{
    i64 counts[sizeof(T)][256] = {{0}};
    const UT top = LEAST < 0 ? (UT)LEAST : 0;
    for (i64 i = 0; i < n; i++) {
        UT key = (UT)keys[i] ^ top;
        for (unsigned b = 0; b < sizeof(T); b++) counts[b][(key >> 8 * b) & 255]++;
    }
    for (unsigned b = 0; b < sizeof(T); b++) {
        if (counts[b][(((UT)keys[0] ^ top) >> 8 * b) & 255] == n) continue;
        i64 at = 0;
        for (int k = 0; k < 256; k++) {
            i64 count = counts[b][k];
            counts[b][k] = at, at += count;
        }
        for (i64 i = 0; i < n; i++) others[counts[b][(((UT)keys[i] ^ top) >> 8 * b) & 255]++] = keys[i];
        T *swapped = keys;
        keys = others, others = swapped;
    }
    return keys;
}

// The mode or the median of one window of any size, whose keys are in `scratch`, with room for as many behind them.
static void OF(large)(const Windows *w, char *target, void *scratch, i64 size)
{
    T *keys = OF(sort)(scratch, (T *)scratch + size, size), found = keys[0];
    i64 numbers = size;
#ifdef KEYED
    while (numbers && keys[numbers - 1] == MOST) numbers--;
#endif
    const T ignored = KEY((T)w->ignored);
    if (w->method == MEDIAN) found = numbers ? keys[(numbers - 1) / 2] : MOST;
    else {
        for (i64 i = 0, most = 0; i < numbers;) {
            i64 begin = i;
            while (i < numbers && keys[i] == keys[begin]) i++;
            int is_live = !w->has_ignored || keys[begin] != ignored;
            if (is_live && i - begin > most) most = i - begin, found = keys[begin];
        }
    }
    OF(store)(w, target, sizeof(T), &found, 1);
}

static const Fold OF(fold) = {OF(begin), OF(add), OF(end)};
static const Ranks OF(ranks) = {sizeof(T), OF(load), OF(rank), OF(large)};

#undef KEY
#undef KEYED
#undef NAME
#undef T
#undef S
#undef UT
#undef LEAST
#undef MOST

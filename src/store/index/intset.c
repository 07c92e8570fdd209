/* intset.c - see intset.h. The searches are written once and compiled for each width. */
#include "store/index/intset.h"

#include "base/check.h"

#include <string.h>

enum { FETCHED_AHEAD = 16 }; /* what is nearer lies in one or two cache lines */

static inline __attribute__((always_inline)) int64_t load(const unsigned char *first, size_t index,
                                                          unsigned width)
{
    const unsigned char *from = first + index * width;
    int16_t two;
    int32_t four;
    int64_t eight;
    if (width == 2) {
        memcpy(&two, from, sizeof two);
        return two;
    }
    if (width == 4) {
        memcpy(&four, from, sizeof four);
        return four;
    }
    memcpy(&eight, from, sizeof eight);
    return eight;
}

static void store_integer(unsigned char *bytes, size_t index, unsigned width, int64_t value)
{
    memcpy(bytes + INTSET_HEAD + index * width, &value, width); /* little endian */
}

static unsigned width_of(int64_t value)
{
    return value >= INT16_MIN && value <= INT16_MAX   ? 2
           : value >= INT32_MIN && value <= INT32_MAX ? 4
                                                      : 8;
}

int64_t intset_get(struct intset s, size_t index)
{
    return load(s.bytes + INTSET_HEAD, index, s.bytes[0]);
}

/* The number of integers below `value`: halves without branches to guess. No branch means that no load is begun before
 * the one above it is done, so in what may not be in the cache both loads that may come next are announced. */
static inline __attribute__((always_inline)) size_t below(const unsigned char *first, size_t count,
                                                          int64_t value, unsigned width)
{
    size_t at = 0;
    while (count > 0) {
        size_t half = (count + 1) / 2;
        if (half > FETCHED_AHEAD) {
            __builtin_prefetch(first + (at + half / 2) * width);
            __builtin_prefetch(first + (at + half + half / 2) * width);
        }
        at = load(first, at + half - 1, width) < value ? at + half : at;
        count -= half;
    }
    return at;
}

bool intset_find(struct intset s, int64_t value, size_t *at)
{
    const unsigned char *first = s.bytes + INTSET_HEAD;
    size_t count = intset_count(s);
    switch (s.bytes[0]) {
    case 2: *at = below(first, count, value, 2); break;
    case 4: *at = below(first, count, value, 4); break;
    default: *at = below(first, count, value, 8); break;
    }
    return *at < count && intset_get(s, *at) == value;
}

/* `value` needs more width than there is, so it goes to one of the ends. */
static bool widen(const struct packed_store *store, struct intset s, int64_t value)
{
    unsigned before = s.bytes[0], width = width_of(value);
    size_t count = intset_count(s), shift = value < 0 ? 1 : 0;
    size_t size = INTSET_HEAD + (count + 1) * width;
    unsigned char *bytes = store->hole(store->owner, s.size, 0, size - s.size);
    if (!bytes)
        return false;
    for (size_t i = count; i-- > 0;)
        store_integer(bytes, i + shift, width, load(bytes + INTSET_HEAD, i, before));
    store_integer(bytes, value < 0 ? 0 : count, width, value);
    bytes[0] = (unsigned char)width;
    return true;
}

bool intset_insert(const struct packed_store *store, struct intset s, size_t at, int64_t value)
{
    unsigned width = s.bytes[0];
    if (width_of(value) > width)
        return widen(store, s, value);
    unsigned char *bytes = store->hole(store->owner, INTSET_HEAD + at * width, 0, width);
    if (bytes)
        store_integer(bytes, at, width, value);
    return bytes != NULL;
}

void intset_remove(const struct packed_store *store, struct intset s, size_t at, size_t count)
{
    tu_assert(at + count <= intset_count(s));
    (void)store->hole(store->owner, INTSET_HEAD + at * s.bytes[0], count * s.bytes[0], 0);
}

bool intset_is_valid(struct intset s)
{
    if (s.size < INTSET_HEAD || (s.bytes[0] != 2 && s.bytes[0] != 4 && s.bytes[0] != 8) ||
        (s.size - INTSET_HEAD) % s.bytes[0] != 0)
        return false;
    for (size_t i = 1; i < intset_count(s); i++)
        if (intset_get(s, i - 1) >= intset_get(s, i))
            return false;
    return true;
}

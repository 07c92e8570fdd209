/* lzf.c - see lzf.h.
 *
 * A greedy search: the last place where three bytes hashed like those here is the only candidate. Where a copy ends, what
 * is entered into the table, and how short the last one may be are the peers' habits, so that payloads are equal: a DUMP
 * can be compared with theirs as it is.
 *
 * The table holds the lower 16 bits of positions, 128 KiB that stay in the second cache, and of a candidate its age is
 * asked: it must be younger than the input and near enough for a copy. Positions go on counting from one input to the next, so
 * that nothing need be cleared in between; before an age could exceed 16 bits and look young again, all that are too old are
 * set back (sweep). Position 0 is no candidate and is never entered.
 *
 * Short inputs have a table of their own on the stack, with a few cells that say whose they are; to clear that costs less than
 * 128 KiB would. Rejected: comparing the bytes of a candidate without asking for its age first (a third slower on
 * random bytes, no faster on text), 32 bits a position (misses the cache more often, and must be cleared).
 */
#include "base/lzf.h"

#include <string.h>

/* Its state stays in registers only if all of it is one function. */
#define INLINE inline __attribute__((always_inline))

enum {
    RUN_MAX = 32,
    DISTANCE_MAX = 1 << 13,
    COPY_MAX = 264,
    COPY_MIN = 3,
    /* So many positions after a sweep (or a cleared table) ages of LONG_AGO and those that are not too old still fit. */
    SWEEP_EVERY = 48000,
    LONG_AGO = 1 << 14,
};
_Static_assert(LONG_AGO > DISTANCE_MAX && LONG_AGO + SWEEP_EVERY + COPY_MAX < (int)LZF_SLOTS,
               "ages have 16 bits");

static uint32_t load32(const unsigned char *b)
{
    uint32_t v;
    memcpy(&v, b, sizeof v);
    return v;
}

/* Of three bytes, which are the upper ones of what was loaded one byte before them. */
static INLINE size_t slot_of(uint32_t loaded)
{
    uint32_t h = __builtin_bswap32(loaded); /* little endian */
    return ((h >> 8) - h * 5) & (LZF_SLOTS - 1);
}

void lzf_table_clear(struct lzf_table *t)
{
    enum { OLD = 256 - LONG_AGO / 256 };
    memset(t->last, OLD, sizeof t->last);
    t->now = t->swept = 0;
}

static __attribute__((noinline)) void sweep(struct lzf_table *t, uint32_t now)
{
    for (size_t i = 0; i < LZF_SLOTS; i++) { /* the compiler does eight at a time */
        uint16_t age = (uint16_t)(now - t->last[i]);
        t->last[i] = (uint16_t)(t->last[i] + ((age > LONG_AGO ? age : LONG_AGO) - LONG_AGO));
    }
    t->swept = now;
}

/* Where three bytes that hash to `slot` stood last in a short input; 0: nowhere. */
struct cell {
    uint16_t slot, last;
};

/* One of the two tables. */
struct table {
    uint16_t *last; /* the long one's, and the position of the input's beginning */
    size_t now;
    struct cell *cells; /* the short one's, and their number less one */
    size_t mask;
};

/* Enters the position of the three bytes behind the first that was loaded. Returns how long before they, or others of the same
 * slot, stood last; less than 1, or not less than `at`: they did not. */
static INLINE size_t enter(const struct table *t, bool small, uint32_t loaded, size_t at)
{
    size_t slot = slot_of(loaded), age;
    if (!small) {
        age = (uint16_t)(t->now + at - t->last[slot]);
        t->last[slot] = (uint16_t)(t->now + at);
        return age;
    }
    size_t i = slot & t->mask;
    while (t->cells[i].last != 0 && t->cells[i].slot != slot)
        i = (i + 1) & t->mask;
    age = at - t->cells[i].last;
    t->cells[i] = (struct cell){(uint16_t)slot, (uint16_t)at};
    return age;
}

/* Where the next head goes, and the ends of output and input. */
struct output {
    unsigned char *at, *end;
    const unsigned char *from_end;
};

/* At most RUN_MAX bytes as they are. The peers give up when the last byte would be written. */
static INLINE bool put_run(struct output *o, const unsigned char *run, size_t size)
{
    if (size >= (size_t)(o->end - o->at))
        return false;
    *o->at++ = (unsigned char)(size - 1);
    if (o->end - o->at >= RUN_MAX && o->from_end - run >= RUN_MAX)
        memcpy(o->at, run, RUN_MAX);
    else
        memcpy(o->at, run, size);
    o->at += size;
    return true;
}

/* A copy behind a run of less than RUN_MAX bytes, maybe none. The peers ask for more room than it takes. */
static INLINE bool put_copy(struct output *o, const unsigned char *run, size_t run_size,
                            size_t distance, size_t length)
{
    enum { AMPLE = RUN_MAX + 8 };
    size_t l = length - 2;
    if (o->end - o->at > AMPLE && o->from_end - run >= RUN_MAX) { /* without branches */
        *o->at = (unsigned char)(run_size - 1);
        memcpy(o->at + 1, run, RUN_MAX);
        o->at += run_size + (run_size > 0);
    } else {
        size_t needs = run_size + (run_size > 0) + 4;
        if (needs >= (size_t)(o->end - o->at) || (run_size > 0 && !put_run(o, run, run_size)))
            return false;
    }
    o->at[0] = (unsigned char)(distance >> 8 | (l < 7 ? l : 7) << 5);
    o->at[1] = (unsigned char)(l - 7);
    o->at += 1 + (l >= 7);
    *o->at++ = (unsigned char)distance;
    return true;
}

/* Bytes from `at` on that are those from `before` on. At the end of the input two are left to themselves, unless the
 * copy is short. */
static size_t long_copy_length(const unsigned char *before, const unsigned char *at, size_t left)
{
    size_t most = left - 2 < COPY_MAX ? left - 2 : COPY_MAX, length = COPY_MIN;
    if (most > 16 && most < 19)
        most = 19;
    for (; length + 8 <= most && length + 8 <= left; length += 8) {
        uint64_t a, b;
        memcpy(&a, before + length, sizeof a);
        memcpy(&b, at + length, sizeof b);
        if (a != b)
            return length + (size_t)__builtin_ctzll(a ^ b) / 8;
    }
    while (length < most && before[length] == at[length])
        length++;
    return length;
}

static INLINE size_t copy_length(const unsigned char *before, const unsigned char *at, size_t left)
{
    uint64_t a, b;
    if (left >= COPY_MIN + 8 + 2) {
        memcpy(&a, before + COPY_MIN, sizeof a);
        memcpy(&b, at + COPY_MIN, sizeof b);
        if (a != b)
            return COPY_MIN + (size_t)__builtin_ctzll(a ^ b) / 8;
    }
    return long_copy_length(before, at, left);
}

/* What is behind the last copy, as runs. False: no room. */
static bool put_rest(struct output *o, const unsigned char *run, const unsigned char *end)
{
    while (run < end) {
        size_t size = (size_t)(end - run) < RUN_MAX ? (size_t)(end - run) : RUN_MAX;
        if (!put_run(o, run, size))
            return false;
        run += size;
    }
    return true;
}

/* Enters positions from `at` on until one is found, below `stop`, whose three bytes stood before, not too long ago. */
static INLINE size_t next_copy(const struct table *t, bool small, const unsigned char *from,
                               size_t at, size_t stop, size_t *back)
{
    for (; at < stop; at++) {
        uint32_t loaded = load32(from + at - 1);
        size_t age = enter(t, small, loaded, at);
        if (age - 1 < DISTANCE_MAX && age < at &&
            (load32(from + at - age - 1) ^ loaded) >> 8 == 0) {
            *back = age;
            break;
        }
    }
    return at;
}

/* Up to where positions may be entered. */
static INLINE size_t may_go_on(struct lzf_table *t, size_t at, size_t end)
{
    uint32_t now = t->now + (uint32_t)at;
    if (now - t->swept >= SWEEP_EVERY)
        sweep(t, now);
    size_t left = SWEEP_EVERY - (now - t->swept);
    return end - at < left ? end : at + left;
}

/* With the long table, or else with the small one. */
static INLINE size_t compress(struct lzf_table *long_table, struct table t,
                              const unsigned char *from, size_t size, unsigned char *to,
                              size_t capacity)
{
    bool small = long_table == NULL;
    struct output o = {to, to + capacity, from + size};
    size_t at = 1, run = 0; /* where bytes begin that are to be put as they are */
    size_t end = size - 2, stop = small ? end : 0;
    while (at < end) {
        size_t back = 0;
        if (!small && at >= stop)
            stop = may_go_on(long_table, at, end);
        at = next_copy(&t, small, from, at, stop, &back);
        for (; at - run >= RUN_MAX; run += RUN_MAX)
            if (!put_run(&o, from + run, RUN_MAX))
                return 0;
        if (back == 0)
            continue;
        size_t length = copy_length(from + at - back, from + at, size - at);
        if (!put_copy(&o, from + run, at - run, back - 1, length))
            return 0;
        run = at += length;
        if (at >= end)
            break;
        enter(&t, small, load32(from + at - 3), at - 2);
        enter(&t, small, load32(from + at - 2), at - 1);
    }
    if (at - run + 4 > (size_t)(o.end - o.at) || !put_rest(&o, from + run, from + size))
        return 0;
    return (size_t)(o.at - to);
}

static size_t compress_small(const unsigned char *from, size_t size, unsigned char *to,
                             size_t capacity)
{
    enum { CELLS_MAX = 2048 };
    _Static_assert(CELLS_MAX >= 2 * LZF_SMALL_MAX, "half of the cells stay empty");
    struct cell cells[CELLS_MAX];
    size_t count = 64;
    while (count < 2 * size)
        count *= 2;
    memset(cells, 0, count * sizeof *cells);
    return compress(NULL, (struct table){.cells = cells, .mask = count - 1}, from, size, to,
                    capacity);
}

size_t lzf_compress(struct lzf_table *t, const unsigned char *from, size_t size, unsigned char *to,
                    size_t capacity)
{
    if (size < 4 || size >= UINT32_MAX || capacity < 4)
        return 0;
    if (size <= LZF_SMALL_MAX)
        return compress_small(from, size, to, capacity);
    if (!t)
        return 0;
    if (t->now - t->swept + size >= SWEEP_EVERY)
        lzf_table_clear(t);
    size_t n =
        compress(t, (struct table){.last = t->last, .now = t->now}, from, size, to, capacity);
    t->now += (uint32_t)size;
    return n;
}

/* Copies what is `distance` before, byte after byte: it may be what is being written. At most `room` bytes are written. */
static INLINE void copy_back(unsigned char *to, size_t distance, size_t length, size_t room)
{
    size_t i = 0;
    if (distance >= 8 && room >= length + 8) {
        for (; i < length; i += 8)
            memcpy(to + i, to + i - distance, 8);
        return;
    }
    if (distance == 1) {
        memset(to, to[-1], length);
        return;
    }
    for (; i < length; i++)
        to[i] = to[(ptrdiff_t)i - (ptrdiff_t)distance];
}

bool lzf_decompress(const unsigned char *from, size_t size, unsigned char *to, size_t capacity)
{
    const unsigned char *end = from + size;
    size_t done = 0;
    while (from < end) {
        size_t head = *from++, length = head >> 5;
        if (length == 0) {
            size_t run = head + 1;
            if (run > (size_t)(end - from) || run > capacity - done)
                return false;
            if (end - from >= RUN_MAX && capacity - done >= RUN_MAX)
                memcpy(to + done, from, RUN_MAX);
            else
                memcpy(to + done, from, run);
            from += run;
            done += run;
            continue;
        }
        if (length == 7) {
            if (from == end)
                return false;
            length += *from++;
        }
        length += 2;
        if (from == end)
            return false;
        size_t distance = ((head & 0x1f) << 8 | *from++) + 1;
        if (distance > done || length > capacity - done)
            return false;
        copy_back(to + done, distance, length, capacity - done);
        done += length;
    }
    return done == capacity;
}

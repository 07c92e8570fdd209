/* lzf.c - see lzf.h.
 *
 * A greedy search: the last place where three bytes hashed like those here is the only candidate. Where a copy ends, what
 * is entered into the table, and how short the last one may be are the peers' habits, so that payloads are equal: a DUMP
 * can be compared with theirs as it is.
 */
#include "base/lzf.h"

#include <string.h>

/* Its state stays in registers only if all of it is one function. */
#define INLINE inline __attribute__((always_inline))

enum { RUN_MAX = 32, DISTANCE_MAX = 1 << 13, COPY_MAX = 264, COPY_MIN = 3 };

static uint32_t load32(const unsigned char *b)
{
    uint32_t v;
    memcpy(&v, b, sizeof v);
    return v;
}

static size_t slot_of(const unsigned char *b)
{
    uint32_t h = (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
    return ((h >> 8) - h * 5) & 0xffff;
}

/* Where three bytes that hash to `slot` stood last. Position 0 is no candidate, and an empty cell. */
struct cell {
    uint16_t slot, last;
};

/* The peers have a cell for each of 2^16 slots. A short input needs few of them: with fewer cells than slots, a cell says
 * whose it is, and the next free one is taken. What has to be zeroed is what a short string costs. One of these: */
struct table {
    struct cell *cells; /* of some slots, with their number less one */
    size_t mask;
    uint16_t *near; /* of all slots */
    uint32_t *far;  /* the same for long inputs */
};

enum { SLOTS = 1 << 16, CELLS_SIZE_MAX = 6000 };

static size_t cells_for(size_t size)
{
    size_t cells = 64;
    while (cells < SLOTS && cells < size + size / 3)
        cells *= 2;
    return cells;
}

size_t lzf_work_size(size_t size)
{
    return size <= CELLS_SIZE_MAX ? cells_for(size) * sizeof(struct cell)
           : size <= UINT16_MAX   ? SLOTS * sizeof(uint16_t)
                                  : SLOTS * sizeof(uint32_t);
}

/* Enters a position; returns the one before. */
static INLINE size_t enter(const struct table *t, const unsigned char *b, size_t at)
{
    size_t slot = slot_of(b), i = slot & t->mask;
    if (t->near) {
        size_t before = t->near[slot];
        t->near[slot] = (uint16_t)at;
        return before;
    }
    if (t->far) {
        size_t before = t->far[slot];
        t->far[slot] = (uint32_t)at;
        return before;
    }
    while (t->cells[i].last != 0 && t->cells[i].slot != slot)
        i = (i + 1) & t->mask;
    size_t before = t->cells[i].last;
    t->cells[i] = (struct cell){(uint16_t)slot, (uint16_t)at};
    return before;
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

/* A copy behind a run of `run_size` bytes, maybe none. The peers ask for more room than it takes. */
static INLINE bool put_copy(struct output *o, const unsigned char *run, size_t run_size,
                            size_t distance, size_t length)
{
    size_t needs = run_size + (run_size > 0) + 4;
    if (needs >= (size_t)(o->end - o->at) || (run_size > 0 && !put_run(o, run, run_size)))
        return false;
    size_t l = length - 2;
    *o->at++ = (unsigned char)(distance >> 8 | (l < 7 ? l : 7) << 5);
    if (l >= 7)
        *o->at++ = (unsigned char)(l - 7);
    *o->at++ = (unsigned char)distance;
    return true;
}

/* Bytes from `at` on that are those from `before` on. At the end of the input two are left to themselves, unless the
 * copy is short. */
static size_t copy_length(const unsigned char *before, const unsigned char *at, size_t left)
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

/* True if three bytes are equal; a fourth may be read from `at`, which is behind `before`. */
static INLINE bool three_equal(const unsigned char *before, const unsigned char *at, size_t left)
{
    if (left >= 4)
        return ((load32(before) ^ load32(at)) & 0xffffff) == 0; /* little endian */
    return memcmp(before, at, 3) == 0;
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

static INLINE size_t compress(const struct table *table, const unsigned char *from, size_t size,
                              unsigned char *to, size_t capacity)
{
    struct output o = {to, to + capacity, from + size};
    size_t at = 0, run = 0; /* where bytes begin that are to be put as they are */
    while (at + 2 < size) {
        size_t before = enter(table, from + at, at), distance = at - before - 1;
        if (distance >= DISTANCE_MAX || before == 0 ||
            !three_equal(from + before, from + at, size - at)) {
            if (++at - run == RUN_MAX) {
                if (!put_run(&o, from + run, RUN_MAX))
                    return 0;
                run = at;
            }
            continue;
        }
        size_t length = copy_length(from + before, from + at, size - at);
        if (!put_copy(&o, from + run, at - run, distance, length))
            return 0;
        run = at += length;
        if (at + 2 >= size)
            break;
        enter(table, from + at - 2, at - 2);
        enter(table, from + at - 1, at - 1);
    }
    if (at - run + 4 > (size_t)(o.end - o.at) || !put_rest(&o, from + run, from + size))
        return 0;
    return (size_t)(o.at - to);
}

size_t lzf_compress(void *work, const unsigned char *from, size_t size, unsigned char *to,
                    size_t capacity)
{
    if (size < 4 || size >= UINT32_MAX || capacity < 4)
        return 0;
    if (size > UINT16_MAX) {
        const struct table table = {.far = work};
        return compress(&table, from, size, to, capacity);
    }
    if (size > CELLS_SIZE_MAX) {
        const struct table table = {.near = work};
        return compress(&table, from, size, to, capacity);
    }
    const struct table table = {.cells = work, .mask = cells_for(size) - 1};
    return compress(&table, from, size, to, capacity);
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

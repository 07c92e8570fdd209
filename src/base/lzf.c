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

struct output {
    unsigned char *at, *end;
    size_t run; /* bytes as they are, before `at`; their head is before them */
};

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
 * whose it is, and the next free one is taken. What has to be zeroed is what a short string costs. */
struct table {
    struct cell *cells; /* NULL: all slots, */
    uint32_t *last;     /* in this one */
    size_t mask;
};

enum { SLOTS = 1 << 16 };

static size_t cells_for(size_t size)
{
    size_t cells = 64;
    while (cells < SLOTS && cells < size + size / 3)
        cells *= 2;
    return cells;
}

size_t lzf_work_size(size_t size)
{
    return size <= UINT16_MAX ? cells_for(size) * sizeof(struct cell) : SLOTS * sizeof(uint32_t);
}

/* Enters a position; returns the one before. */
static INLINE size_t enter(const struct table *t, const unsigned char *b, size_t at)
{
    size_t slot = slot_of(b), i = slot & t->mask;
    if (!t->cells) {
        size_t before = t->last[slot];
        t->last[slot] = (uint32_t)at;
        return before;
    }
    while (t->cells[i].last != 0 && t->cells[i].slot != slot)
        i = (i + 1) & t->mask;
    size_t before = t->cells[i].last;
    t->cells[i] = (struct cell){(uint16_t)slot, (uint16_t)at};
    return before;
}

/* Writes the head of the run and makes room for the next one's; a run of none takes no room. */
static INLINE void end_run(struct output *o)
{
    if (o->run > 0)
        o->at[-(ptrdiff_t)o->run - 1] = (unsigned char)(o->run - 1);
    else
        o->at--;
    o->run = 0;
}

static INLINE bool put_byte(struct output *o, unsigned char byte)
{
    if (o->at >= o->end)
        return false;
    *o->at++ = byte;
    if (++o->run == RUN_MAX) {
        end_run(o);
        o->at++;
    }
    return true;
}

static INLINE bool put_copy(struct output *o, size_t distance, size_t length)
{
    if (o->at - (o->run == 0) + 4 >= o->end)
        return false;
    end_run(o);
    size_t l = length - 2;
    *o->at++ = (unsigned char)(distance >> 8 | (l < 7 ? l : 7) << 5);
    if (l >= 7)
        *o->at++ = (unsigned char)(l - 7);
    *o->at++ = (unsigned char)distance;
    o->at++;
    return true;
}

/* Bytes from `at` on that are those from `before` on. At the end of the input two are left to themselves, unless the
 * copy is short. */
static size_t copy_length(const unsigned char *before, const unsigned char *at, size_t left)
{
    size_t most = left - 2 < COPY_MAX ? left - 2 : COPY_MAX, length = COPY_MIN;
    if (most > 16 && most < 19)
        most = 19;
    while (length < most && before[length] == at[length])
        length++;
    return length;
}

size_t lzf_compress(void *work, const unsigned char *from, size_t size, unsigned char *to,
                    size_t capacity)
{
    bool narrow = size <= UINT16_MAX;
    struct table table = {narrow ? work : NULL, work, cells_for(size) - 1};
    struct output o = {to + 1, to + capacity, 0};
    size_t at = 0;
    if (size < 4 || size >= UINT32_MAX || capacity < 4)
        return 0;
    while (at + 2 < size) {
        size_t before = enter(&table, from + at, at), distance = at - before - 1;
        if (before == 0 || before >= at || distance >= DISTANCE_MAX || from[before] != from[at] ||
            from[before + 1] != from[at + 1] || from[before + 2] != from[at + 2]) {
            if (!put_byte(&o, from[at++]))
                return 0;
            continue;
        }
        size_t length = copy_length(from + before, from + at, size - at);
        if (!put_copy(&o, distance, length))
            return 0;
        at += length;
        if (at + 2 >= size)
            break;
        enter(&table, from + at - 2, at - 2);
        enter(&table, from + at - 1, at - 1);
    }
    if (o.at + 3 > o.end)
        return 0;
    while (at < size)
        if (!put_byte(&o, from[at++]))
            return 0;
    end_run(&o);
    return (size_t)(o.at - to);
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
        for (size_t i = 0; i < length; i++, done++)
            to[done] = to[done - distance];
    }
    return done == capacity;
}

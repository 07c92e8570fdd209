/* lzf.c - see lzf.h.
 *
 * A greedy search: the last place where three bytes hashed like those here is the only candidate. Where a copy ends, what
 * is entered into the table, and how short the last one may be are the peers' habits, so that payloads are equal: a DUMP
 * can be compared with theirs as it is.
 */
#include "base/lzf.h"

#include <string.h>

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

/* Writes the head of the run and makes room for the next one's; a run of none takes no room. */
static void end_run(struct output *o)
{
    if (o->run > 0)
        o->at[-(ptrdiff_t)o->run - 1] = (unsigned char)(o->run - 1);
    else
        o->at--;
    o->run = 0;
}

static bool put_byte(struct output *o, unsigned char byte)
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

static bool put_copy(struct output *o, size_t distance, size_t length)
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

size_t lzf_compress(struct lzf_table *table, const unsigned char *from, size_t size,
                    unsigned char *to, size_t capacity)
{
    struct output o = {to + 1, to + capacity, 0};
    size_t at = 0;
    if (size < 4 || size >= UINT32_MAX || capacity < 4)
        return 0;
    while (at + 2 < size) {
        uint32_t *slot = &table->last[slot_of(from + at)];
        size_t before = *slot, distance = at - before - 1;
        *slot = (uint32_t)at;
        if (before == 0 || before >= at || distance >= DISTANCE_MAX ||
            memcmp(from + before, from + at, COPY_MIN) != 0) {
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
        table->last[slot_of(from + at - 2)] = (uint32_t)(at - 2);
        table->last[slot_of(from + at - 1)] = (uint32_t)(at - 1);
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

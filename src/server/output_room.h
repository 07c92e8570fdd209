/* output_room.h - room for the next bytes of a reply: between reply.c, which writes them, and
 * output.c, which keeps them. Not for handlers.
 */
#pragma once

#include "server/output.h"

/* A chunk with `size` bytes of room; NULL after an overflow, when not even the lent buffer has it. */
char *reply_room_slow(struct reply *r, size_t size) __attribute__((cold));

/* Room for `size` bytes at r->next, which the caller moves on; NULL: drop them. */
static inline char *reply_room(struct reply *r, size_t size)
{
    if (__builtin_expect((size_t)(r->end - r->next) >= size, 1))
        return r->next;
    return reply_room_slow(r, size);
}

/* Puts the header of an aggregate in the hole that reply_deferred_begin left. */
void reply_deferred_close(struct reply *r, struct reply_mark mark, const char *header, size_t size);

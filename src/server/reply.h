/* reply.h - RESP2 and RESP3 out.
 *
 * A handler writes one reply, depth first: an aggregate's head, then its elements. The writer knows
 * the client's protocol and picks the encoding; where RESP2 has no such type the fallback is the one
 * Redis uses (map: flat array; set, push: array; null: $-1; double: bulk; boolean: integer).
 *
 * Bytes go to a buffer on the stack of the connection's handler first and are sent by one write; the
 * rest, and what a slow client has not yet taken, goes to blocks that the client owns and that its
 * output limit counts. Owner: the goroutine that runs the client.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reply;

void reply_simple(struct reply *r, const char *text); /* +text */
void reply_ok(struct reply *r);                       /* +OK */
/* -text: `text` begins with its code ("ERR ...", "WRONGTYPE ..."); CR and LF become spaces. Counted
 * in errorstats. */
void reply_error(struct reply *r, const char *text);
void reply_errorf(struct reply *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_integer(struct reply *r, int64_t value);
void reply_bulk(struct reply *r, struct slice bytes);
void reply_bulk_string(struct reply *r, const char *string);
void reply_bulkf(struct reply *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_bulk_integer(struct reply *r, int64_t value); /* $n of its decimal form */
void reply_null(struct reply *r);                        /* $-1 or _ */
void reply_null_array(struct reply *r);                  /* *-1 or _ */
void reply_boolean(struct reply *r, bool value);
void reply_double(struct reply *r, double value); /* shortest form that reads back the same */
void reply_big_number(struct reply *r, struct slice digits);
void reply_verbatim(struct reply *r, const char format[4], struct slice text); /* =..txt: or $ */
void reply_array(struct reply *r, size_t count);
void reply_map(struct reply *r, size_t pairs);
void reply_set(struct reply *r, size_t count);
void reply_push(struct reply *r, size_t count);
void reply_attribute(struct reply *r, size_t pairs); /* RESP3 only; ignored before */
/* An aggregate whose length is not known yet: the mark is given to reply_deferred_end. */
struct reply_mark {
    size_t block, offset;
};
struct reply_mark reply_deferred_begin(struct reply *r);
void reply_deferred_array(struct reply *r, struct reply_mark mark, size_t count);
void reply_deferred_map(struct reply *r, struct reply_mark mark, size_t pairs);
void reply_deferred_set(struct reply *r, struct reply_mark mark, size_t count);
/* Bytes that are RESP already. */
void reply_raw(struct reply *r, struct slice bytes);
int reply_protocol(const struct reply *r); /* 2 or 3 */
/* A part of a reply that is made as the client takes it, where all of it would fill memory. Its maker embeds this. */
struct reply_source {
    /* Writes about `bytes` more, at least one. False: that was all. Runs on the client's goroutine, later, and once for each
     * turn of its socket; no shard is held. Never parks. */
    bool (*more)(struct reply_source *source, struct reply *r, size_t bytes);
    void (*free)(struct reply_source *source);
    size_t bytes; /* memory it holds, for the limits of the client's output */
};
/* What `source` makes comes here. Takes it over: it is freed when it has ended, or the client has. */
void reply_from(struct reply *r, struct reply_source *source);
/* True if nothing of what is written is kept, because a limit was hit: who writes very much may stop. */
bool reply_overflowed(const struct reply *r);
/* True if an error was written since the last reset; dispatch reads it for statistics. */
bool reply_had_error(const struct reply *r);

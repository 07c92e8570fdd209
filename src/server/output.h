/* output.h - the bytes of replies on their way to the socket.
 *
 * struct reply (reply.h writes to it) collects what one batch of commands answers: first in the
 * buffer that its opener lends, usually on the stack, then in blocks. Afterwards the bytes are sent;
 * what the socket does not take is appended to the client's struct output, which lives as long as
 * the client and is empty for nearly all clients nearly always.
 *
 *     struct reply r;
 *     reply_open(&r, buffer, sizeof buffer, 2);
 *     ... handlers write ...
 *     parts = reply_parts(&r, vec, 16); write them; output_append(&client->output, &r, sent);
 *     reply_close(&r);
 *
 * A source (reply.h) is a block without bytes. When it comes to the head of the output, output_fill lets it make some
 * blocks, which go before it.
 *
 * Invariants: output.bytes is the sum of size + sizeof(block) over its blocks, blocks their number;
 * head_sent < head->used, or the head is a source and head_sent is 0. Never parks. Owner: the goroutine that runs the client.
 */
#pragma once

#include "server/reply.h"

#include <sys/uio.h>

enum {
    OUTPUT_BLOCK_BYTES = 16 * 1024, /* room in a block, unless one value needs more */
    REPLY_HEADER_MAX = 24,          /* a length line: type, 20 digits, CR, LF */
};

struct output_block {
    struct output_block *next;
    size_t size; /* room in bytes[] */
    size_t used;
    struct reply_source
        *source; /* owned; such a block has no bytes, and `size` is what the source holds */
    char bytes[];
};

/* What a client has not taken yet. Zero is empty. */
struct output {
    struct output_block *head, *tail;
    size_t head_sent; /* bytes of head that are gone */
    size_t bytes;     /* memory held */
    uint32_t blocks;
};

typedef void (*reply_error_fn)(void *context, struct slice code);

struct reply {
    char *next, *end; /* where the next byte goes, and the end of room there */
    char *base;       /* first byte of the chunk being written: `lent`, or last->bytes */
    char *lent;       /* the opener's buffer */
    size_t lent_size;
    size_t lent_used;                  /* valid once blocks are in use */
    size_t sealed_bytes;               /* written to the chunks before the one being written */
    struct output_block *first, *last; /* owned */
    size_t block_bytes;                /* memory of those blocks */
    size_t limit_bytes;                /* more than this in blocks overflows; SIZE_MAX: no limit */
    uint8_t protocol;                  /* 2 or 3 */
    bool has_source;                   /* one of those blocks is a source */
    bool had_error;
    bool overflow; /* the limit was hit, or memory is used up: nothing is kept, close the client */
    reply_error_fn count_error; /* told the code of each error; NULL: nobody */
    void *count_context;
};

/* Lends `buffer` (at least 256 bytes) until reply_close. */
void reply_open(struct reply *r, char *buffer, size_t size, int protocol);
/* HELLO: the replies that follow are in this protocol. */
static inline void reply_set_protocol(struct reply *r, int protocol)
{
    r->protocol = (uint8_t)protocol;
}
/* Frees the blocks that no output has taken over. */
void reply_close(struct reply *r);
/* Bytes written so far. */
static inline size_t reply_size(const struct reply *r)
{
    return r->sealed_bytes + (size_t)(r->next - r->base);
}
/* Where the next byte will go; no aggregate of unknown length may be open. */
struct reply_mark reply_position(const struct reply *r);
/* Forgets everything behind `mark`. */
void reply_rewind(struct reply *r, struct reply_mark mark);
/* Forgets everything: after it has been sent. */
void reply_clear(struct reply *r);
void reply_reset_error(struct reply *r);
/* As if the limit had been hit: nothing is kept, and the client will be closed. */
void reply_give_up(struct reply *r);
/* The chunks, in order and up to the first source, for one write: their number, at most `capacity`. */
int reply_parts(struct reply *r, struct iovec *vec, int capacity);

/* Appends what `from` holds, which has no sources, and empties it. */
void reply_move(struct reply *to, struct reply *from);
/* Takes over what r holds behind its first `sent` bytes, and clears r. False: out of memory, and
 * bytes are lost: close the client. */
bool output_append(struct output *o, struct reply *r, size_t sent)
    __attribute__((warn_unused_result));
/* The first chunks waiting, up to the first source: their number, at most `capacity`. */
int output_parts(const struct output *o, struct iovec *vec, int capacity);
/* If the head is a source: lets it make about `bytes`. False: out of memory, close the client. */
bool output_fill(struct output *o, size_t bytes) __attribute__((warn_unused_result));
/* `sent` bytes more are gone. */
void output_sent(struct output *o, size_t sent);
void output_release(struct output *o);
static inline bool output_pending(const struct output *o)
{
    return o->head != NULL;
}
void output_verify(const struct output *o);

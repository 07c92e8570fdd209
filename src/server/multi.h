/* multi.h - the commands that a client has queued between MULTI and EXEC.
 *
 * Each is one allocation: the row, its words, the words' bytes and its keys' hashes. Their number and
 * size count against client-query-buffer-limit. Owner: the goroutine that runs the client.
 */
#pragma once

#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct command;

struct queued_command {
    struct queued_command *next;
    const struct command *row;
    size_t argc, hash_count;
    size_t size;            /* of this allocation */
    const uint64_t *hashes; /* of its keys, in command_keys order */
    struct slice argv[];
};

struct multi_state {
    struct queued_command *first, *last;
    uint32_t count;
    uint32_t flags;    /* of all rows together: enum command_flag */
    size_t size;       /* of all allocations */
    size_t hash_count; /* of all commands together */
    bool whole;        /* a command needs, or may need, every shard */
};

/* A copy that owns its words and hashes: tu_free it. NULL: out of memory. */
struct queued_command *queued_command_copy(const struct command *row, const struct slice *argv,
                                           size_t argc, const uint64_t *hashes, size_t hash_count);

/* MULTI: from now on the client queues. */
void multi_begin(struct client *c);
/* Queues a copy. False: out of memory; nothing was queued. */
bool multi_queue(struct client *c, const struct command *row, const struct slice *argv, size_t argc,
                 const uint64_t *hashes, size_t hash_count) __attribute__((warn_unused_result));
/* Takes the queue out of the client and ends its MULTI; NULL when nothing was queued. */
struct multi_state *multi_take(struct client *c);
void multi_free(struct multi_state *multi);
/* Ends the MULTI, forgetting what is queued. Harmless without one. */
void multi_discard(struct client *c);
size_t multi_memory(const struct multi_state *multi);

/* dispatch.h - from words to a handler: lookup, checks, MULTI's queue, locks, statistics.
 *
 *     struct dispatch d;
 *     dispatch_begin(&d, client, config, &reply);
 *     dispatch_look_ahead(&d, items, count);      finds rows, hashes keys, warms caches
 *     for (...) dispatch_run(&d, &items[i], next);    while dispatch_going_on(&d)
 *     dispatch_end(&d);
 *
 * Lives on the stack of the client's handler. dispatch_run may park while it waits for shards, and so
 * may commands that hold none.
 */
#pragma once

#include "server/command.h"
#include "store/transaction.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct config;
struct multi_state;
struct queued_command;

enum {
    DISPATCH_HASHES = 256, /* key hashes kept for a batch; what does not fit is hashed later */
};

/* One command of a batch. The connection fills argv and argc. */
struct dispatch_item {
    const struct slice *argv;
    size_t argc;
    const struct command *row, *parent; /* by dispatch_look_ahead; row NULL: unknown */
    uint32_t hash_first, hash_count;    /* its keys' hashes in dispatch.hashes */
    bool hashed;
    size_t request_bytes; /* by the connection */
};

struct dispatch {
    struct server *server;
    struct client *client;
    const struct config *config;
    struct reply *reply;
    struct transaction tx;
    int64_t clock_ns;       /* end of the last command: the start of the next */
    int64_t wall_offset_ns; /* wall clock minus tu_now() */
    uint64_t executed;      /* commands run: STAT_COMMANDS, added at the end */
    size_t hash_used;
    uint64_t hashes[DISPATCH_HASHES];
};

void dispatch_begin(struct dispatch *d, struct client *client, const struct config *config,
                    struct reply *reply);
/* Finds the rows; for more than one command also prefetches. Hashes die with the next call. */
void dispatch_look_ahead(struct dispatch *d, struct dispatch_item *items, size_t count);
/* Runs, queues or refuses one command, or marks the client CLIENT_PAUSED and leaves the command to be run
 * later (a pause: pause.h); its reply is written unless CLIENT REPLY says not to. `next`
 * is the command that will be run after it, NULL if none is known: when both need the same shard it
 * may stay locked in between, so the caller must not do anything else before, nor park. */
void dispatch_run(struct dispatch *d, const struct dispatch_item *item,
                  const struct dispatch_item *next);
/* False: nothing more must be run: the client is to be closed, or it is blocked or paused. */
bool dispatch_going_on(const struct dispatch *d);
/* The statistics of the batch. */
void dispatch_end(struct dispatch *d);

/* For EXEC's handler, whose call->tx holds the shards of all of `multi`: an array of their replies. */
void dispatch_queue_run(struct call *exec, const struct multi_state *multi);

/* For blocked.c: runs the call, whose shards call->tx holds; no statistics. */
void dispatch_serve(struct call *call);
/* For blocked.c, on the client's goroutine: counts a call that has waited and is over, and logs it if it was costly. */
void dispatch_note_blocked(struct call *call, int64_t took_ns, bool failed);

/* blocked.h - clients whose command waits for something.
 *
 *     static void run_blpop(struct call *call)
 *     {
 *         ... read the timeout, take from the first key that has something: reply, return ...
 *         blocked_wait(call, &(struct blocked_wish){.type = TYPE_LIST, .first = 1, .count = call->key_count, ...});
 *     }
 *
 * The handler is run again for the client, with call->serving, by whoever changes one of the keys, under that
 * transaction's locks; if it replies, the reply is kept for the client and its connection is woken, whose handler sends it and goes on with
 * what the client has sent meanwhile. So a handler of a blocking command must not read what belongs to the client's
 * goroutine alone (its pinned configuration, its MULTI), nor touch a key whose shard is not held.
 *
 * Everything here is for the client's own goroutine, but blocked_is_waiting and blocked_unblock.
 */
#pragma once

#include "store/keyspace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call;
struct client;
struct reply;
struct slice;

struct blocked_wish {
    enum store_type type; /* of the values it can take from */
    bool on_missing;      /* is run as well when a key has gone */
    bool pushes;          /* key number 1 of the call gets something */
    size_t first,
        count; /* the words that name the keys; none: only time, or another client, ends it */
    int64_t timeout_ms;       /* 0: none */
    const struct slice *argv; /* what is run later, if it is not the call's own; as many words */
    void (*nothing)(struct reply *r); /* the reply when time is over; of a call inside EXEC, too */
};
/* At the end of a handler that has found nothing. Replies only where it may not wait (EXEC), or if memory is used up. */
void blocked_wait(struct call *call, const struct blocked_wish *wish);

/* How long the run took after which it waits; it counts as time of the command. */
void blocked_looked(struct client *c, int64_t took_ns);
/* False: the client still waits. Else it waits no longer, and what it is told is appended. May park. */
bool blocked_settle(struct client *c, struct reply *reply);
/* Before the client closes: whatever it waits for is for others. Harmless if it does not wait. May park. */
void blocked_abandon(struct client *c);
/* It does not wait, and is not registered any more. */
void blocked_free(struct client *c);

/* Any thread, under the registry's lock. */
bool blocked_is_waiting(const struct client *c);
bool blocked_has_timeout(const struct client *c);
/* Bytes that a client keeps once it has waited. */
size_t blocked_memory(const struct client *c);
/* CLIENT UNBLOCK: as if its time were over, or with an error. False: it does not wait. */
bool blocked_unblock(struct client *c, bool error);

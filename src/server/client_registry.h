/* client_registry.h - all clients of a server.
 *
 * A client is registered from accept until its handler has decided to close; only then is its conn
 * closed and the struct freed. So whoever holds the registry's lock may read the shared fields of any
 * registered client, and wake its conn. The lock is held briefly and never parked under, so commands
 * inside EXEC may take it. It comes after the shards' locks.
 */
#pragma once

#include "runtime/sched/park.h"
#include "server/client.h"

struct client_registry {
    struct tu__lock lock;
    struct client *first, *last; /* oldest first */
    _Atomic uint32_t count;
    _Atomic int64_t http_told_ms; /* when the log last told of HTTP sent to us; Unix time */
    uint64_t next_id; /* under lock; the first client is 3, as in Redis after its own two */
};

struct client_registry *client_registry_new(void);           /* NULL: out of memory */
void client_registry_free(struct client_registry *registry); /* nobody is registered */

/* Gives c its id and lists it. False, and nothing done, when `maximum` are there already. */
bool client_registry_add(struct client_registry *registry, struct client *c, uint32_t maximum)
    __attribute__((warn_unused_result));
/* Forgets it; nobody will touch it any more. Harmless when it is not listed. */
void client_registry_remove(struct client_registry *registry, struct client *c);
static inline uint32_t client_registry_count(const struct client_registry *registry)
{
    return atomic_load_explicit(&registry->count, memory_order_relaxed);
}

/* Calls each() for every client, oldest first, under the lock, until it says false. */
void client_registry_each(struct client_registry *registry,
                          bool (*each)(void *context, struct client *c), void *context);
/* Under the lock (inside each()): its handler will run and close it. */
void client_registry_kill(struct client *c);

/* What INFO's clients section needs. */
struct client_totals {
    uint32_t connected, watching, pending_output, blocked, with_timeout;
    uint64_t input_bytes, output_bytes, memory_bytes;
    uint64_t max_input_bytes, max_output_bytes; /* of one client */
    uint64_t watched_keys;
};
void client_registry_totals(struct client_registry *registry, struct client_totals *out);

/* The server's cron, about once a second: closes clients that have been idle for longer than
 * `timeout`, and those whose output has been over the soft limit for too long. Never parks. */
void client_registry_cron(struct client_registry *registry, const struct config *config,
                          int64_t now_ms);

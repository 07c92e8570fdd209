/* config_apply.h - changing the configuration of a running server: CONFIG SET.
 */
#pragma once

#include "server/config.h"
#include "server/config_table.h"

struct server;

/* What a changed directive touches besides the snapshot, applied in this order. */
enum config_effect {
    EFFECT_LISTEN = 1 << 0,      /* port, bind */
    EFFECT_DESCRIPTORS = 1 << 1, /* maxclients */
    EFFECT_LOG = 1 << 2,
    EFFECT_EVENTS = 1 << 3, /* notify-keyspace-events */
    EFFECT_MEMORY = 1 << 4, /* maxmemory */
    EFFECT_CLOCK = 1 << 5,  /* maxmemory-policy, lfu-* */
    EFFECT_TITLE = 1 << 6,
    EFFECT_LIMITS = 1 << 7, /* when collections change their form */
    EFFECT_ALL = (1 << 8) - 1,
};

/* Brings what runs in line with `config`. NULL, or why not: then earlier effects have taken place. May
 * park. Caller holds server->admin, or the server is not shared yet. */
const char *config_apply(struct server *server, const struct config *config, uint32_t effects);

/* At the start: raises the descriptor limit for maxclients, or lowers maxclients and says so. */
void config_fit_descriptors(struct config *draft);

/* CONFIG SET name value [name value ...]: all of them or none. */
struct config_change {
    const struct slice *words; /* names and values in turn */
    size_t count;              /* even, not 0 */
    bool local_client;         /* it came from this machine: for protected directives */
    bool may_park;             /* false inside EXEC, which holds shards: the thread waits instead */
};
/* 0, or -EINVAL with the text of the error reply ("ERR ...") in error->text. Takes server->admin. */
int config_change(struct server *server, const struct config_change *change,
                  struct config_error *error) __attribute__((warn_unused_result));

/* config.h - the configuration: an immutable snapshot that is swapped.
 *
 * struct config has one field per directive (config_directives.inc). A published snapshot never
 * changes; CONFIG SET copies it, changes the copy and publishes that. Whoever reads holds a *pin*:
 *
 *     const struct config *c = config_pin_refresh(&server->config, &client->pin);  // per batch
 *     ... c stays valid until the next refresh or release of this pin ...
 *     config_pin_release(&client->pin);                                            // at the end
 *
 * A pin belongs to one client or goroutine. Refreshing costs one load and one compare while nothing
 * has changed; only when the snapshot was swapped is a lock taken and a count moved. So no command
 * pays an atomic read-modify-write, a reader may park as long as it likes, and at most one old
 * snapshot per pin is kept. Never parks, except where said.
 */
#pragma once

#include "base/slice.h"
#include "runtime/sched/park.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the types of fields whose syntax is their own ---- */

enum client_class {
    CLIENT_CLASS_NORMAL,
    CLIENT_CLASS_REPLICA,
    CLIENT_CLASS_PUBSUB,
    CLIENT_CLASSES
};
struct output_limit {
    int64_t hard_bytes, soft_bytes; /* 0: none */
    int64_t soft_s;                 /* how long more than soft_bytes may be pending */
};
#define CONFIG_PERCENTILES_MAX 16
#define CONFIG_BIND_MAX        16 /* addresses */

/* ---- values of enum directives that code compares ---- */
enum { PROTECTED_NO, PROTECTED_YES, PROTECTED_LOCAL }; /* enable-debug-command ... */
enum { SUPERVISED_NO, SUPERVISED_AUTO, SUPERVISED_SYSTEMD, SUPERVISED_UPSTART };
enum { LOG_FORMAT_LEGACY, LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };
enum { LOG_TIME_LEGACY, LOG_TIME_ISO8601, LOG_TIME_MILLISECONDS };
enum { /* shutdown-on-sigint: bits */
       SHUTDOWN_DEFAULT = 0,
       SHUTDOWN_SAVE = 1 << 0,
       SHUTDOWN_NOSAVE = 1 << 1,
       SHUTDOWN_NOW = 1 << 2,
       SHUTDOWN_FORCE = 1 << 3,
       SHUTDOWN_SAFE = 1 << 4,
       SHUTDOWN_FAILOVER = 1 << 5,
};
enum { /* maxmemory-policy: what may go, and how it is chosen */
       MAXMEMORY_LRU = 1 << 0,
       MAXMEMORY_LFU = 1 << 1,
       MAXMEMORY_ALLKEYS = 1 << 2,
       MAXMEMORY_VOLATILE_LRU = 0 << 8 | MAXMEMORY_LRU,
       MAXMEMORY_VOLATILE_LFU = 1 << 8 | MAXMEMORY_LFU,
       MAXMEMORY_VOLATILE_TTL = 2 << 8,
       MAXMEMORY_VOLATILE_RANDOM = 3 << 8,
       MAXMEMORY_ALLKEYS_LRU = 4 << 8 | MAXMEMORY_LRU | MAXMEMORY_ALLKEYS,
       MAXMEMORY_ALLKEYS_LFU = 5 << 8 | MAXMEMORY_LFU | MAXMEMORY_ALLKEYS,
       MAXMEMORY_ALLKEYS_RANDOM = 6 << 8 | MAXMEMORY_ALLKEYS,
       MAXMEMORY_NO_EVICTION = 7 << 8,
};

/* One snapshot. Fields are named as the directives, with _ for -. Bools are bool; integers and memory
 * sizes int64_t (maxmemory_clients: negative means percent of maxmemory); enums int; strings are never
 * NULL, "" is unset. The fields of special directives hold their text as CONFIG GET shows it; the
 * parsed form is beside it below. */
struct config {
    _Atomic size_t pins; /* holders, the store's current one included */
#define BOOL(field, name, alias, flags, def)                         bool field;
#define NUMBER(field, name, alias, flags, low, high, def)            int64_t field;
#define MEMORY(field, name, alias, flags, low, high, def)            int64_t field;
#define PERCENT_OR_MEMORY(field, name, alias, flags, low, high, def) int64_t field;
#define ENUM(field, name, alias, flags, words, def)                  int field;
#define STRING(field, name, alias, flags, def)                       const char *field;
#define SPECIAL(field, name, alias, flags, def)                      const char *field;
#include "server/config_directives.inc"
#undef BOOL
#undef NUMBER
#undef MEMORY
#undef PERCENT_OR_MEMORY
#undef ENUM
#undef STRING
#undef SPECIAL
    struct output_limit output_limits[CLIENT_CLASSES]; /* client-output-buffer-limit */
    int64_t
        output_bound;    /* the most output that one client may hold; config_publish works it out */
    uint32_t event_mask; /* notify-keyspace-events: enum store_event */
    unsigned unix_mode;  /* unixsocketperm; 0: leave it */
    double percentiles[CONFIG_PERCENTILES_MAX]; /* latency-tracking-info-percentiles */
    size_t percentile_count;
    int oom_scores[3]; /* oom-score-adj-values */
    bool save_given;   /* a `save` line was read from the file: the next ones add to it */
    const char *file;  /* absolute path of the configuration file, "" without one */
};

/* ---- holding ---- */
struct config_store {
    _Atomic(const struct config *) current;
    struct tu__lock lock; /* pin counts and the swap */
};
struct config_pin {
    const struct config *config; /* NULL: holds nothing */
};

const struct config *config_pin_slow(struct config_store *store, struct config_pin *pin);

/* The current snapshot, pinned. */
static inline const struct config *config_pin_refresh(struct config_store *store,
                                                      struct config_pin *pin)
{
    /* The pinned snapshot cannot be freed, so equal addresses are the same snapshot. Acquire pairs
     * with the release in config_publish. */
    const struct config *now = atomic_load_explicit(&store->current, memory_order_acquire);
    if (__builtin_expect(now == pin->config, 1))
        return now;
    return config_pin_slow(store, pin);
}
void config_pin_release(struct config_store *store, struct config_pin *pin);

/* Takes over a first or changed snapshot made by config_default or config_copy. */
void config_publish(struct config_store *store, struct config *config);
/* Frees the current one; nobody holds a pin any more. */
void config_store_free(struct config_store *store);

/* ---- making ---- */
struct config *config_default(void);                   /* NULL: out of memory */
struct config *config_copy(const struct config *from); /* a draft, for one owner */
void config_free(struct config *draft);                /* one that was not published */

/* Why a value was refused: static text, or in `text`. */
struct config_error {
    const char *reason;
    char text[512];
};
/* Sets one directive of a draft from its words (argv[0] is its name, any case), as a line of the file
 * does. 0, or -EINVAL with error->reason; a refused value leaves the draft as it was. */
int config_set(struct config *draft, const struct slice *argv, size_t argc,
               struct config_error *error) __attribute__((warn_unused_result));

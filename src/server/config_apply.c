/* config_apply.c - see config_apply.h.
 *
 * A change is made in three steps: all values go into a copy of the snapshot; the effects of what
 * differs are applied; the copy is published. If a value is refused the copy is dropped; if an effect
 * fails the effects are applied once more from the old snapshot, and the copy is dropped. Readers see
 * either the old or the new configuration, never a part of it.
 */
#include "server/config_apply.h"

#include "base/check.h"
#include "platform/file.h"
#include "platform/limits.h"
#include "server/listening.h"
#include "server/proc_title.h"
#include "server/server.h"
#include "store/effects.h"
#include "store/keyspace.h"
#include "store/type_limits.h"

#include <tuco/mem.h>

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { RESERVED_DESCRIPTORS = 32 }; /* beyond clients: listeners, pollers, log, files */

static const char *apply_listen(struct server *server, const struct config *config)
{
    if (atomic_load(&server->state) == SERVER_STARTING)
        return NULL; /* server_listen does it */
    listening_close_tcp(server);
    /* The old sockets' descriptors close when the accepting goroutines have left them. */
    int rc = listening_open_tcp(server, config);
    for (int i = 0; rc == -EADDRINUSE && i < 20; i++) {
        (void)usleep(5000); /* not tu_sleep: inside EXEC nothing may park */
        rc = listening_open_tcp(server, config);
    }
    return rc == 0 ? NULL : "Failed to bind to specified addresses.";
}

static const char *apply_descriptors(struct server *server, const struct config *config)
{
    static char text[160]; /* under server->admin */
    uint64_t have;
    if (limits_descriptors((uint64_t)config->maxclients + RESERVED_DESCRIPTORS, &have) == 0)
        return NULL;
    (void)snprintf(
        text, sizeof text,
        "The operating system is not able to handle the specified number of clients, try "
        "with %lld",
        (long long)have - RESERVED_DESCRIPTORS);
    return text;
}

void config_fit_descriptors(struct config *draft)
{
    uint64_t have;
    int rc = limits_descriptors((uint64_t)draft->maxclients + RESERVED_DESCRIPTORS, &have);
    if (rc == 0)
        return;
    int64_t wanted = draft->maxclients;
    draft->maxclients = have > RESERVED_DESCRIPTORS ? (int64_t)have - RESERVED_DESCRIPTORS : 1;
    log_warning("You requested maxclients of %" PRId64 " requiring at least %" PRId64
                " max file descriptors.",
                wanted, wanted + RESERVED_DESCRIPTORS);
    log_warning("Server can't set maximum open files to %" PRId64 " because of OS error: %s.",
                wanted + RESERVED_DESCRIPTORS, strerrordesc_np(-rc));
    log_warning(
        "Current maximum open files is %lld. maxclients has been reduced to %" PRId64
        " to compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'.",
        (long long)have, draft->maxclients);
}

static void apply_memory(struct server *server, const struct config *config)
{
    struct tu_mem_stats stats;
    tu_mem_stats(&stats);
    atomic_store(&server->used_bytes, (int64_t)stats.used_bytes);
    atomic_store(&server->maxmemory_bytes, config->maxmemory);
    if (config->maxmemory != 0 && (int64_t)stats.used_bytes > config->maxmemory)
        log_warning("WARNING: the new maxmemory value set via CONFIG SET (%" PRId64
                    ") is smaller than the current memory usage (%zu). This will result in key "
                    "eviction and/or the inability to accept new write commands depending on the "
                    "maxmemory-policy.",
                    config->maxmemory, stats.used_bytes);
}

static void apply_clock(struct server *server, const struct config *config)
{
    struct keyspace_clock_policy policy = {
        .lfu = (config->maxmemory_policy & MAXMEMORY_LFU) != 0,
        .log_factor = (uint32_t)config->lfu_log_factor,
        .decay_min = (uint32_t)config->lfu_decay_time,
    };
    keyspace_set_clock_policy(server->keyspace, policy);
}

static void apply_limits(struct server *server, const struct config *config)
{
    struct type_limits *l = keyspace_limits(server->keyspace);
#define APPLY_LIMIT(name) atomic_store_explicit(&l->name, config->name, memory_order_relaxed)
    APPLY_LIMIT(hash_max_listpack_entries);
    APPLY_LIMIT(hash_max_listpack_value);
    APPLY_LIMIT(set_max_intset_entries);
    APPLY_LIMIT(set_max_listpack_entries);
    APPLY_LIMIT(set_max_listpack_value);
    APPLY_LIMIT(zset_max_listpack_entries);
    APPLY_LIMIT(zset_max_listpack_value);
    APPLY_LIMIT(list_max_listpack_size);
    APPLY_LIMIT(list_compress_depth);
    APPLY_LIMIT(stream_node_max_bytes);
    APPLY_LIMIT(stream_node_max_entries);
    APPLY_LIMIT(hll_sparse_max_bytes);
#undef APPLY_LIMIT
}

const char *config_apply(struct server *server, const struct config *config, uint32_t effects)
{
    const char *wrong = NULL;
    if (effects & EFFECT_LISTEN)
        wrong = apply_listen(server, config);
    if (wrong == NULL && (effects & EFFECT_DESCRIPTORS))
        wrong = apply_descriptors(server, config);
    if (wrong != NULL)
        return wrong;
    if (effects & EFFECT_LOG)
        log_configure(config);
    if (effects & EFFECT_EVENTS)
        effects_set_event_mask(server->keyspace, config->event_mask);
    if (effects & EFFECT_MEMORY)
        apply_memory(server, config);
    if (effects & EFFECT_CLOCK)
        apply_clock(server, config);
    if (effects & EFFECT_LIMITS)
        apply_limits(server, config);
    if (effects & EFFECT_TITLE)
        proc_title_set(config);
    return NULL;
}

static uint32_t effect_of(const struct config_row *row)
{
    static const struct {
        const char *name;
        uint32_t effect;
    } effects[] = {
        {"port", EFFECT_LISTEN | EFFECT_TITLE},
        {"bind", EFFECT_LISTEN | EFFECT_TITLE},
        {"maxclients", EFFECT_DESCRIPTORS},
        {"loglevel", EFFECT_LOG},
        {"log-format", EFFECT_LOG},
        {"log-timestamp-format", EFFECT_LOG},
        {"notify-keyspace-events", EFFECT_EVENTS},
        {"maxmemory", EFFECT_MEMORY},
        {"maxmemory-policy", EFFECT_CLOCK},
        {"lfu-log-factor", EFFECT_CLOCK},
        {"lfu-decay-time", EFFECT_CLOCK},
        {"proc-title-template", EFFECT_TITLE},
        {"hash-max-listpack-entries", EFFECT_LIMITS},
        {"hash-max-listpack-value", EFFECT_LIMITS},
        {"set-max-intset-entries", EFFECT_LIMITS},
        {"set-max-listpack-entries", EFFECT_LIMITS},
        {"set-max-listpack-value", EFFECT_LIMITS},
        {"zset-max-listpack-entries", EFFECT_LIMITS},
        {"zset-max-listpack-value", EFFECT_LIMITS},
        {"list-max-listpack-size", EFFECT_LIMITS},
        {"list-compress-depth", EFFECT_LIMITS},
        {"stream-node-max-bytes", EFFECT_LIMITS},
        {"stream-node-max-entries", EFFECT_LIMITS},
        {"hll-sparse-max-bytes", EFFECT_LIMITS},
    };
    for (size_t i = 0; i < sizeof effects / sizeof *effects; i++) {
        if (strcmp(effects[i].name, row->name) == 0)
            return effects[i].effect;
    }
    return 0;
}

static int refuse(struct config_error *error, struct slice name, const char *reason)
{
    char why[257]; /* reason may lie in error->text */
    (void)snprintf(why, sizeof why, "%.256s", reason);
    (void)snprintf(error->text, sizeof error->text,
                   "ERR CONFIG SET failed (possibly related to argument '%.*s') - %.256s",
                   name.size < 64 ? (int)name.size : 64, name.data, why);
    return -EINVAL;
}

/* Everything that can be said before any value is looked at. */
static int check_names(const struct config *config, const struct slice *words, size_t count,
                       bool local_client, struct config_error *error)
{
    int action = config->enable_protected_configs;
    bool may_protected = action == PROTECTED_YES || (action == PROTECTED_LOCAL && local_client);
    for (size_t i = 0; i < count; i += 2) {
        const struct config_row *row = config_row_find(words[i]);
        if (row == NULL) {
            (void)snprintf(error->text, sizeof error->text,
                           "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                           words[i].size < 128 ? (int)words[i].size : 128, words[i].data);
            return -EINVAL;
        }
        if (row->flags & CONFIG_IMMUTABLE)
            return refuse(error, words[i], "can't set immutable config");
        if ((row->flags & CONFIG_PROTECTED) && !may_protected)
            return refuse(error, words[i], "can't set protected config");
        for (size_t k = 0; k < i; k += 2) {
            if (slice_equal_nocase(words[k], words[i]))
                return refuse(error, words[i], "duplicate parameter");
        }
    }
    return 0;
}

/* Fills the draft, and *effects with what the changes touch. */
static int set_values(const struct config *old, struct config *draft, const struct slice *words,
                      size_t count, uint32_t *effects, struct config_error *error)
{
    *effects = 0;
    for (size_t i = 0; i < count; i += 2) {
        const struct config_row *row = config_row_find(words[i]);
        if (config_row_set(row, draft, &words[i + 1], 1, CONFIG_FROM_COMMAND, error) != 0)
            return refuse(error, words[i], error->reason);
        if (!config_row_equal(row, old, draft))
            *effects |= effect_of(row);
    }
    return 0;
}

static struct slice first_with(const struct slice *words, size_t count, uint32_t effects)
{
    for (size_t i = 0; i < count; i += 2) {
        if (effect_of(config_row_find(words[i])) & effects)
            return words[i];
    }
    return words[0];
}

static int apply_or_restore(struct server *server, const struct config *old, struct config *draft,
                            const struct slice *words, size_t count, uint32_t effects,
                            struct config_error *error)
{
    for (uint32_t effect = 1; effect & EFFECT_ALL; effect <<= 1) {
        const char *wrong = config_apply(server, draft, effects & effect);
        if (wrong == NULL)
            continue;
        struct slice name = first_with(words, count, effect);
        log_warning("Failed applying new configuration. Possibly related to new %.*s setting. "
                    "Restoring previous settings.",
                    (int)name.size, name.data);
        int rc = refuse(error, name, wrong);
        if (config_apply(server, old, effects & (effect | (effect - 1))) != NULL)
            log_warning("Failed applying restored failed CONFIG SET command");
        return rc;
    }
    return 0;
}

int config_change(struct server *server, const struct config_change *change,
                  struct config_error *error)
{
    uint32_t effects;
    const struct slice *words = change->words;
    size_t count = change->count;
    tu_check(count > 0 && count % 2 == 0, "names and values come in pairs");
    server_admin_lock(server, change->may_park);
    /* Nobody else publishes while we hold the mutex, so the current one stays. */
    const struct config *old = atomic_load(&server->config.current);
    int rc = check_names(old, words, count, change->local_client, error);
    struct config *draft = rc == 0 ? config_copy(old) : NULL;
    if (rc == 0 && draft == NULL)
        rc = refuse(error, words[0], "out of memory");
    if (rc == 0)
        rc = set_values(old, draft, words, count, &effects, error);
    if (rc == 0)
        rc = apply_or_restore(server, old, draft, words, count, effects, error);
    if (rc == 0) {
        config_publish(&server->config, draft);
    } else {
        if (draft != NULL && strcmp(draft->dir, old->dir) != 0)
            (void)!file_change_directory(old->dir);
        config_free(draft);
    }
    tu_mutex_unlock(&server->admin);
    return rc;
}

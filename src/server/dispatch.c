/* dispatch.c - the order of the checks is Redis's, because clients see which error comes first: a
 * missing password hides everything else, then come unknown command, arity, permission, transaction,
 * memory; then a MULTI queues; and only when the command runs are its arguments parsed.
 *
 * Time is read once per command: the end of one is the start of the next. The wall clock is read once
 * per batch and carried along by the monotonic one, so that a command's idea of "now" moves on even
 * inside a long batch.
 *
 * A batch's keys are hashed and their buckets, then their entries, requested from memory before the
 * first command runs: by then the cache misses of a pipeline overlap instead of following each other. A
 * bucket is read under its lock, so a command of several keys does that later, when it holds them all
 * (handler_key_ahead).
 */
#include "server/dispatch.h"

#include "platform/clock.h"
#include "server/arguments.h"
#include "server/blocked.h"
#include "server/client.h"
#include "server/client_registry.h"
#include "server/command_log.h"
#include "server/commands/cmd_transaction.h"
#include "server/latency.h"
#include "server/log.h"
#include "server/multi.h"
#include "server/output.h"
#include "server/pause.h"
#include "server/reply_errors.h"
#include "server/server.h"
#include "server/text.h"
#include "store/keyspace.h"
#include "store/long_work.h"

#include "base/check.h"

#include <stdio.h>
#include <tuco/go.h>
#include <tuco/mem.h>

enum { PREVIEW_BYTES = 128, MANY_KEYS = 32 };

static void count_error(void *context, struct slice code)
{
    stats_error(context, code);
}

void dispatch_begin(struct dispatch *d, struct client *client, const struct config *config,
                    struct reply *reply)
{
    d->server = client->server;
    d->client = client;
    d->config = config;
    d->reply = reply;
    d->executed = 0;
    d->hash_used = 0;
    d->clock_ns = tu_now();
    d->wall_offset_ns = clock_wall_us() * 1000 - d->clock_ns;
    transaction_init(&d->tx, d->server->keyspace, client_db(client),
                     (d->clock_ns + d->wall_offset_ns) / 1000000);
    reply->count_error = count_error;
    reply->count_context = d->server->stats;
}

bool dispatch_going_on(const struct dispatch *d)
{
    enum { STOPPED = CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_NOW | CLIENT_BLOCKED | CLIENT_PAUSED };
    return !(client_flags(d->client) & STOPPED) && !d->reply->overflow;
}

void dispatch_end(struct dispatch *d)
{
    if (d->executed == 0)
        return;
    stats_add(d->server->stats, STAT_COMMANDS, d->executed);
    client_store(d->client->commands, client_load(d->client->commands) + d->executed);
}

/* ---- looking ahead ---- */

/* Hashes the item's keys, if they fit in what is left of d->hashes. */
static void hash_keys(struct dispatch *d, struct dispatch_item *item)
{
    const struct command *row = item->row;
    struct keyspace *ks = d->server->keyspace;
    size_t room = DISPATCH_HASHES - d->hash_used;
    item->hash_first = (uint32_t)d->hash_used;
    item->hash_count = 0;
    item->hashed = true;
    if (!command_has_keys(row))
        return;
    if (row->key_spec_count == 1 && row->first_key > 0 && row->first_key == row->last_key &&
        (size_t)row->first_key < item->argc && room > 0) {
        d->hashes[d->hash_used++] = keyspace_hash(ks, item->argv[row->first_key]);
        item->hash_count = 1;
        return;
    }
    uint32_t positions[MANY_KEYS];
    int count = command_keys(row, item->argv, item->argc, positions, MANY_KEYS);
    if (count > MANY_KEYS || (count > 0 && (size_t)count > room)) {
        item->hashed = false;
        return;
    }
    for (int i = 0; i < count; i++)
        d->hashes[d->hash_used++] = keyspace_hash(ks, item->argv[positions[i]]);
    item->hash_count = count > 0 ? (uint32_t)count : 0;
}

void dispatch_look_ahead(struct dispatch *d, struct dispatch_item *items, size_t count)
{
    d->hash_used = 0;
    for (size_t i = 0; i < count; i++) {
        struct dispatch_item *item = &items[i];
        item->row = command_lookup(item->argv, item->argc, &item->parent);
        item->hashed = false;
        item->hash_count = 0;
        if (item->row && command_arity_ok(item->row, item->argc))
            hash_keys(d, item);
    }
    uint32_t db = client_db(d->client);
    if (d->hash_used == 1) { /* the bucket is on its way while the command is checked */
        keyspace_prefetch_bucket(d->server->keyspace, db, d->hashes[0]);
        return;
    }
    if (d->hash_used < 2)
        return;
    for (size_t i = 0; i < d->hash_used; i++)
        keyspace_prefetch_bucket(d->server->keyspace, db, d->hashes[i]);
    for (size_t i = 0; i < count; i++)
        if (items[i].hash_count == 1)
            keyspace_prefetch_entry(d->server->keyspace, db, d->hashes[items[i].hash_first]);
    stats_add(d->server->stats, STAT_BATCHES, 1);
    stats_add(d->server->stats, STAT_BATCH_COMMANDS, count);
}

/* ---- refusing ---- */

/* The bytes up to a NUL, which ends texts in Redis's error messages, and at most `max`. */
static int shown(struct slice s, size_t max)
{
    size_t size = s.size < max ? s.size : max;
    const char *nul = size > 0 ? memchr(s.data, '\0', size) : NULL;
    return (int)(nul ? (size_t)(nul - s.data) : size);
}

static const char *unknown_command(const struct dispatch_item *item, char *text, size_t size)
{
    struct slice name = item->argv[0];
    if (item->parent && item->argc > 1) {
        struct slice sub = item->argv[1];
        snprintf(text, size, "ERR unknown subcommand '%.*s'. Try %s HELP.",
                 shown(sub, PREVIEW_BYTES), sub.data, item->parent->name);
        return text;
    }
    char preview[2 * PREVIEW_BYTES + 8];
    size_t used = 0;
    preview[0] = '\0';
    for (size_t i = 1; i < item->argc && used < PREVIEW_BYTES; i++) {
        struct slice word = item->argv[i];
        int written = snprintf(preview + used, sizeof preview - used, "'%.*s' ",
                               shown(word, PREVIEW_BYTES - used), word.data);
        used += written > 0 ? (size_t)written : 0;
    }
    snprintf(text, size, "ERR unknown command '%.*s', with args beginning with: %s",
             shown(name, PREVIEW_BYTES), name.data, preview);
    return text;
}

/* A browser or a forged request sends HTTP: whatever follows must not be run. */
static bool is_http(const struct dispatch_item *item)
{
    return !item->row && (slice_equal_nocase(item->argv[0], SLICE("post")) ||
                          slice_equal_nocase(item->argv[0], SLICE("host:")));
}

/* Says so in the log, once a minute: an attacker shall not fill the disk. */
static void tell_http(struct dispatch *d)
{
    _Atomic int64_t *told = &d->server->clients->http_told_ms;
    int64_t last = atomic_load_explicit(told, memory_order_relaxed);
    if (last != 0 && d->tx.now_ms - last < 60000)
        return;
    atomic_store_explicit(told, d->tx.now_ms, memory_order_relaxed);
    struct text from = {0};
    client_address(d->client, false, &from);
    log_warning(
        "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: "
        "commands to Tuco. This is likely due to an attacker attempting to use Cross Protocol "
        "Scripting to compromise your instance. Connection from %s aborted.",
        from.data ? from.data : "?");
    text_free(&from);
}

/* Why a protected command may not be used by this client; NULL: it may. */
static const char *protection(const struct dispatch *d, const struct command *row)
{
    const struct command *parent = command_parent(row);
    const char *name = parent ? parent->name : row->name;
    bool module = strcmp(name, "MODULE") == 0;
    int allowed = module ? d->config->enable_module_command : d->config->enable_debug_command;
    if (allowed == PROTECTED_YES ||
        (allowed == PROTECTED_LOCAL && endpoint_is_loopback(&d->client->peer)))
        return NULL;
    return module ? ERR_MODULE_PROTECTED : ERR_DEBUG_PROTECTED;
}

/* The reason why the command must not run or be queued, or NULL. `text` is room for it. */
static const char *refusal(struct dispatch *d, const struct dispatch_item *item, char *text,
                           size_t size)
{
    const struct command *row = item->row;
    uint32_t flags = client_flags(d->client);
    if (client_needs_auth(d->client, d->config) && !(row && (row->flags & CMD_NO_AUTH)))
        return ERR_NOAUTH;
    if (!row)
        return unknown_command(item, text, size);
    if (!command_arity_ok(row, item->argc) || !row->run) {
        snprintf(text, size, "ERR wrong number of arguments for '%s' command",
                 command_full_name(row));
        return text;
    }
    if (row->flags & CMD_PROTECTED) {
        const char *reason = protection(d, row);
        if (reason)
            return reason;
    }
    if ((flags & CLIENT_MULTI) && (row->flags & CMD_NO_MULTI)) {
        snprintf(text, size, "ERR Command '%s' not allowed inside a transaction",
                 command_full_name(row));
        return text;
    }
    uint32_t needs = row->flags;
    if (row->run == transaction_exec && d->client->multi)
        needs |= d->client->multi->flags;
    if ((needs & CMD_DENYOOM) && server_out_of_memory(d->server))
        return ERR_OOM;
    return NULL;
}

static void refuse(struct dispatch *d, const struct dispatch_item *item, const char *reason)
{
    struct client *c = d->client;
    if (item->row)
        stats_command_rejected(d->server->stats, command_id(item->row));
    if (item->row && item->row->run == transaction_exec) {
        multi_discard(c);
        if (watch_any(&c->watcher))
            watch_clear(&c->watcher, d->server->keyspace);
        reply_errorf(d->reply, "EXECABORT Transaction discarded because of: %s",
                     strncmp(reason, "ERR ", 4) == 0 ? reason + 4 : reason);
        return;
    }
    if (client_flags(c) & CLIENT_MULTI)
        client_set_flags(c, CLIENT_DIRTY_EXEC, 0);
    reply_error(d->reply, reason);
}

/* ---- running ---- */

/* A call with its locks taken, or not needed: parses, runs, counts. */
static void run_handler(struct call *call, struct args *args)
{
    const char *error;
    struct reply *r = call->reply;
    reply_reset_error(r);
    call->args = args;
    if (call->command->arg_count > 0 || call->command->parse) {
        if (!args_parse(call->command, call->argv, call->argc, args, &error))
            reply_error(r, error);
        else
            call->command->run(call);
    } else {
        args->present = 0;
        call->command->run(call);
    }
}

void dispatch_serve(struct call *call)
{
    struct args args;
    run_handler(call, &args);
}

__attribute__((noinline, cold)) static void note_latency(const struct call *call, int64_t took_ms)
{
    bool fast = (call->command->flags & CMD_FAST) != 0;
    latency_add(call->server->latency, fast ? LATENCY_FAST_COMMAND : LATENCY_COMMAND, took_ms,
                clock_wall_us() / 1000000);
}

__attribute__((noinline, cold)) static void
log_command(struct call *call, const struct config *config, struct command_cost *cost)
{
    if (call->command->flags & CMD_SKIP_COMMANDLOG)
        return;
    if (client_flags(call->client) & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP))
        cost->of[COMMAND_LOG_LARGE_REPLY] = 0; /* it will be dropped */
    command_log_add(call->server->command_log, config, call, cost, clock_wall_us() / 1000000);
}

/* Statistics and logs of a call that is over. */
static inline void note_command(struct call *call, const struct config *config, int64_t took_ns,
                                bool failed)
{
    stats_command(call->server->stats, command_id(call->command), took_ns, failed,
                  config->latency_tracking);
    struct command_cost cost = {{took_ns / 1000, (int64_t)call->request_bytes,
                                 (int64_t)(reply_size(call->reply) - call->reply_start)}};
    if (__builtin_expect(command_log_wants(config, &cost), 0))
        log_command(call, config, &cost);
    int64_t too_long_ms = config->latency_monitor_threshold;
    if (__builtin_expect(too_long_ms != 0, 0) && took_ns / 1000000 >= too_long_ms)
        note_latency(call, took_ns / 1000000);
}

void dispatch_note_blocked(struct call *call, int64_t took_ns, bool failed)
{
    note_command(call, call->client->pin.config, took_ns, failed);
}

/* The same of a command that has just run. It may have changed the configuration: what it cost is measured by
 * the new one, which is the result. */
static const struct config *count_command(struct call *call, int64_t *clock_ns)
{
    const struct config *config = config_pin_refresh(&call->server->config, &call->client->pin);
    int64_t now_ns = tu_now();
    note_command(call, config, now_ns - *clock_ns, reply_had_error(call->reply));
    *clock_ns = now_ns;
    return config;
}

/* The key hashes of a command whose keys did not fit in the batch's array: a block to free. */
static uint64_t *hash_many(struct dispatch *d, const struct dispatch_item *item, size_t *count)
{
    *count = 0;
    int keys = command_keys(item->row, item->argv, item->argc, NULL, 0);
    if (keys <= 0)
        return tu_alloc(0);
    uint64_t *hashes = tu_alloc((size_t)keys * sizeof *hashes);
    uint32_t *positions = tu_alloc((size_t)keys * sizeof *positions);
    if (hashes && positions) {
        keys = command_keys(item->row, item->argv, item->argc, positions, (size_t)keys);
        for (int i = 0; i < keys; i++)
            hashes[i] = keyspace_hash(d->server->keyspace, item->argv[positions[i]]);
        *count = (size_t)keys;
    } else {
        tu_free(hashes);
        hashes = NULL;
    }
    tu_free(positions);
    return hashes;
}

/* True if the command after this one needs exactly the shard that is held: it stays locked. A run of
 * commands on one hot key then costs one lock, and others wait for it once instead of at every turn.
 * Large replies are sent between commands, which must not happen under a lock. */
static bool stays_locked(const struct dispatch *d, const struct dispatch_item *next)
{
    return next && next->row && next->row->scope == SCOPE_KEYS && next->hash_count == 1 &&
           d->tx.held_count == 1 && transaction_covers(&d->tx, d->hashes[next->hash_first]) &&
           d->reply->block_bytes == 0 && dispatch_going_on(d);
}

/* A call that had to wait for its turn has done nothing yet: it is run again when it has one. What it waited is not what it
 * took. */
__attribute__((noinline, cold)) static void run_postponed(struct dispatch *d, struct call *call,
                                                          struct args *args)
{
    struct transaction *tx = &d->tx;
    int64_t begun_ns = tu_now();
    transaction_unlock(tx);
    long_work_wait(tx);
    d->clock_ns += tu_now() - begun_ns;
    tx->now_ms = (d->clock_ns + d->wall_offset_ns) / 1000000;
    transaction_lock(tx, call->key_hashes, call->key_count);
    run_handler(call, args);
}

static void run_locked(struct dispatch *d, struct call *call, const struct dispatch_item *next)
{
    struct transaction *tx = &d->tx;
    struct client *c = d->client;
    uint32_t db = client_db(c);
    if (tx->db != db)
        transaction_rebind_db(tx, db);
    tx->no_touch = (client_flags(c) & CLIENT_NO_TOUCH) != 0;
    tx->no_expire = (client_flags(c) & CLIENT_IMPORT_SOURCE) && d->config->import_mode;
    tx->now_ms = (d->clock_ns + d->wall_offset_ns) / 1000000;
    struct args args;
    if (call->command->scope == SCOPE_KEYS) {
        if (tx->held_count == 0) /* else it is this shard: stays_locked */
            transaction_lock(tx, call->key_hashes, call->key_count);
        tx->turn = TURN_POSSIBLE;
        run_handler(call, &args);
        if (__builtin_expect(tx->turn == TURN_POSTPONED, 0))
            run_postponed(d, call, &args);
        long_work_end(tx);
        if (!stays_locked(d, next))
            transaction_unlock(tx);
    } else if (call->command->scope == SCOPE_ALL) {
        transaction_lock_all(tx);
        run_handler(call, &args);
        transaction_unlock(tx);
    } else {
        run_handler(call, &args);
    }
}

static void execute(struct dispatch *d, const struct dispatch_item *item,
                    const struct dispatch_item *next)
{
    struct client *c = d->client;
    uint64_t *many = NULL;
    struct call call = {.server = d->server,
                        .client = c,
                        .command = item->row,
                        .argv = item->argv,
                        .argc = item->argc,
                        .key_hashes = d->hashes + item->hash_first,
                        .key_count = item->hash_count,
                        .tx = &d->tx,
                        .reply = d->reply,
                        .request_bytes = item->request_bytes,
                        .reply_start = reply_size(d->reply)};
    if (__builtin_expect(!item->hashed, 0)) {
        many = hash_many(d, item, &call.key_count);
        if (!many) {
            reply_error(d->reply, ERR_NO_MEMORY);
            return;
        }
        call.key_hashes = many;
    }
    if ((client_flags(c) & CLIENT_MULTI) && !(item->row->flags & CMD_IMMEDIATE_IN_MULTI)) {
        if (multi_queue(c, item->row, item->argv, item->argc, call.key_hashes, call.key_count)) {
            reply_simple(d->reply, "QUEUED");
        } else {
            client_set_flags(c, CLIENT_DIRTY_EXEC, 0);
            reply_error(d->reply, ERR_NO_MEMORY);
        }
    } else {
        run_locked(d, &call, next);
        if (__builtin_expect(client_flags(c) & CLIENT_BLOCKED, 0)) { /* counted once it is over */
            blocked_looked(c, tu_now() - d->clock_ns);
            tu_free(many);
            return;
        }
        d->config = count_command(&call, &d->clock_ns);
        d->executed++;
    }
    tu_free(many);
}

void dispatch_run(struct dispatch *d, const struct dispatch_item *item,
                  const struct dispatch_item *next)
{
    struct client *c = d->client;
    struct reply_mark before = reply_position(d->reply);
    char text[2 * PREVIEW_BYTES + 256];
    if (__builtin_expect(is_http(item), 0)) {
        tell_http(d);
        client_set_flags(c, CLIENT_CLOSE_NOW, 0);
        return;
    }
    if (item->row)
        client_store(c->command, item->row);
    const char *reason = refusal(d, item, text, sizeof text);
    if (__builtin_expect(reason != NULL, 0)) {
        transaction_unlock(&d->tx); /* may be held for this command */
        refuse(d, item, reason);
    } else if (__builtin_expect(pause_stops(c, item->row) && pause_hold(c), 0)) {
        transaction_unlock(&d->tx);
        return;
    } else {
        execute(d, item, next);
    }
    uint32_t flags = client_flags(c);
    if (__builtin_expect(flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT),
                         0)) {
        if (flags & (CLIENT_REPLY_OFF | CLIENT_REPLY_SKIP))
            reply_rewind(d->reply, before);
        uint32_t skip = flags & CLIENT_REPLY_SKIP_NEXT ? CLIENT_REPLY_SKIP : 0;
        client_set_flags(c, skip, (CLIENT_REPLY_SKIP | CLIENT_REPLY_SKIP_NEXT) & ~skip);
    }
}

void dispatch_queue_run(struct call *exec, const struct multi_state *multi)
{
    struct client *c = exec->client;
    struct args args;
    int64_t clock_ns = tu_now();
    uint64_t executed = 0;
    reply_array(exec->reply, multi->count);
    for (const struct queued_command *q = multi->first; q; q = q->next) {
        struct call call = {.server = exec->server,
                            .client = c,
                            .command = q->row,
                            .argv = q->argv,
                            .argc = q->argc,
                            .key_hashes = q->hashes,
                            .key_count = q->hash_count,
                            .tx = exec->tx,
                            .reply = exec->reply,
                            .request_bytes = exec->request_bytes,
                            .reply_start = exec->reply_start};
        uint32_t db = client_db(c);
        if (exec->tx->db != db)
            transaction_rebind_db(exec->tx, db);
        run_handler(&call, &args);
        (void)count_command(&call, &clock_ns);
        executed++;
    }
    reply_reset_error(exec->reply);
    stats_add(exec->server->stats, STAT_COMMANDS, executed);
    client_store(c->commands, client_load(c->commands) + executed);
}

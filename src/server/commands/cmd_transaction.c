/* cmd_transaction.c - MULTI, EXEC, DISCARD, WATCH, UNWATCH.
 *
 * EXEC knows all keys before it starts: those of the queued commands, hashed when they were queued,
 * and the watched ones. It locks their shards (all shards, if a command may touch others), looks at
 * the watch marks under those locks, and runs the queue without letting go: nobody sees a half.
 */
#include "server/commands/cmd_transaction.h"

#include "server/arguments.h"
#include "server/client.h"
#include "server/dispatch.h"
#include "server/multi.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "server/server.h"
#include "store/keyspace.h"

#include <tuco/mem.h>

static void multi_command(struct call *call)
{
    multi_begin(call->client);
    reply_ok(call->reply);
}

static void forget_watches(struct call *call)
{
    if (!watch_any(&call->client->watcher))
        return;
    if (transaction_holds_all(call->tx))
        watch_clear_locked(&call->client->watcher, call->tx);
    else
        watch_clear(&call->client->watcher, call->server->keyspace);
    client_store(call->client->watched, 0);
}

static void discard_command(struct call *call)
{
    if (!(client_flags(call->client) & CLIENT_MULTI)) {
        reply_error(call->reply, "ERR DISCARD without MULTI");
        return;
    }
    multi_discard(call->client);
    forget_watches(call);
    reply_ok(call->reply);
}

static void watch_command(struct call *call)
{
    struct watcher *w = &call->client->watcher;
    for (size_t i = 0; i < call->key_count; i++) {
        struct store_key key = {call->argv[1 + i], call->key_hashes[i]};
        if (watch_key(call->tx, w, key) != STORE_OK) {
            reply_error(call->reply, ERR_NO_MEMORY);
            return;
        }
    }
    client_store(call->client->watched, w->count);
    reply_ok(call->reply);
}

/* Inside EXEC the transaction is already over for its watches. */
static void unwatch_command(struct call *call)
{
    if (!(client_flags(call->client) & CLIENT_IN_EXEC))
        forget_watches(call);
    reply_ok(call->reply);
}

/* Locks what the queue and the watches need. False: out of memory, nothing is locked. */
static bool lock_all_keys(struct call *call, const struct multi_state *multi)
{
    struct watcher *w = &call->client->watcher;
    if (multi && multi->whole) {
        transaction_lock_all(call->tx);
        return true;
    }
    size_t queued = multi ? multi->hash_count : 0, count = queued + w->count;
    if (count == 0)
        return true;
    uint64_t few[64];
    uint64_t *hashes = count <= 64 ? few : tu_alloc(count * sizeof *hashes);
    if (!hashes)
        return false;
    size_t used = 0;
    for (const struct queued_command *q = multi ? multi->first : NULL; q; q = q->next) {
        for (size_t i = 0; i < q->hash_count; i++)
            hashes[used++] = q->hashes[i];
    }
    used += watch_hashes(w, hashes + used, w->count);
    transaction_lock(call->tx, hashes, used);
    if (hashes != few)
        tu_free(hashes);
    return true;
}

static void run_queue(struct call *call, const struct multi_state *multi)
{
    struct client *c = call->client;
    if (!lock_all_keys(call, multi)) {
        reply_error(call->reply, ERR_NO_MEMORY);
        return;
    }
    bool dirty = watch_any(&c->watcher) && watch_is_dirty(&c->watcher, call->tx);
    if (watch_any(&c->watcher))
        watch_clear_locked(&c->watcher, call->tx);
    client_store(c->watched, 0);
    if (dirty) {
        reply_null_array(call->reply);
    } else if (!multi) {
        reply_array(call->reply, 0);
    } else {
        client_set_flags(c, CLIENT_IN_EXEC | CLIENT_MULTI, 0);
        client_store(c->queued, (int32_t)multi->count);
        dispatch_queue_run(call, multi);
        client_set_flags(c, 0, CLIENT_IN_EXEC | CLIENT_MULTI);
        client_store(c->queued, -1);
    }
    transaction_unlock(call->tx);
}

void transaction_exec(struct call *call)
{
    struct client *c = call->client;
    uint32_t flags = client_flags(c);
    if (!(flags & CLIENT_MULTI)) {
        reply_error(call->reply, "ERR EXEC without MULTI");
        return;
    }
    struct multi_state *multi = multi_take(c);
    if (flags & CLIENT_DIRTY_EXEC) {
        forget_watches(call);
        reply_error(call->reply, ERR_EXECABORT);
    } else {
        run_queue(call, multi);
    }
    multi_free(multi);
}

static const struct arg watch_args[] = {ARG_KEY("key", 0, ARG_MULTIPLE)};
static const struct key_spec watch_keys[] = {
    {.flags = KEY_RO,
     .begin = KEY_BEGIN_INDEX,
     .begin_index = 1,
     .find = KEY_FIND_RANGE,
     .last = -1,
     .step = 1,
     .limit = 0},
};

enum { COMMON_FLAGS = CMD_LOADING | CMD_STALE | CMD_NOSCRIPT };
enum { QUICK_FLAGS = COMMON_FLAGS | CMD_FAST | CMD_ALLOW_BUSY };

static const struct command rows[] = {
    {
        .name = "MULTI",
        .run = multi_command,
        .arity = 1,
        .flags = QUICK_FLAGS | CMD_NO_MULTI | CMD_IMMEDIATE_IN_MULTI,
        .acl = ACL_TRANSACTION,
        .scope = SCOPE_NONE,
        .group = "transactions",
        .since = "1.2.0",
        .complexity = "O(1)",
        .summary = "Begins to queue commands, which EXEC then runs as one.",
    },
    {
        .name = "EXEC",
        .run = transaction_exec,
        .arity = 1,
        .flags = COMMON_FLAGS | CMD_SKIP_COMMANDLOG | CMD_IMMEDIATE_IN_MULTI,
        .acl = ACL_TRANSACTION,
        .scope = SCOPE_NONE,
        .group = "transactions",
        .since = "1.2.0",
        .complexity = "Depends on commands in the transaction",
        .summary = "Runs the queued commands, unless a watched key has changed.",
    },
    {
        .name = "DISCARD",
        .run = discard_command,
        .arity = 1,
        .flags = QUICK_FLAGS | CMD_IMMEDIATE_IN_MULTI,
        .acl = ACL_TRANSACTION,
        .scope = SCOPE_NONE,
        .group = "transactions",
        .since = "2.0.0",
        .complexity = "O(N), when N is the number of queued commands",
        .summary = "Forgets the queued commands and the watched keys.",
    },
    {
        .name = "WATCH",
        .run = watch_command,
        .arity = -2,
        .flags = QUICK_FLAGS | CMD_NO_MULTI | CMD_IMMEDIATE_IN_MULTI,
        .acl = ACL_TRANSACTION,
        .scope = SCOPE_KEYS,
        .group = "transactions",
        .keys = watch_keys,
        .key_spec_count = ARG_COUNT(watch_keys),
        .args = watch_args,
        .arg_count = ARG_COUNT(watch_args),
        .since = "2.2.0",
        .complexity = "O(1) for every key.",
        .summary = "Makes the next EXEC fail if one of the keys changes before it.",
    },
    {
        .name = "UNWATCH",
        .run = unwatch_command,
        .arity = 1,
        .flags = QUICK_FLAGS,
        .acl = ACL_TRANSACTION,
        .scope = SCOPE_NONE,
        .group = "transactions",
        .since = "2.2.0",
        .complexity = "O(1)",
        .summary = "Forgets the watched keys.",
    },
};

const struct command_family transaction_family = COMMAND_FAMILY(rows);

/* command_bench.h - a store and handlers in this process, for tests and fuzzers of commands: bench_run runs a call as dispatch would,
 * demands exactly one well-formed reply, and verifies the values of all keys that the call names.
 */
#pragma once

#include "base/check.h"
#include "server/arguments.h"
#include "server/blocked.h"
#include "server/client.h"
#include "server/command.h"
#include "server/config.h"
#include "server/output.h"
#include "server/server.h"
#include "server/stats.h"
#include "store/keyspace.h"
#include "store/type_limits.h"
#include "store/verify.h"

#include <stdlib.h>
#include <string.h>

enum { BENCH_KEYS_MAX = 64, BENCH_REPLY_MAX = 1 << 22 };

struct bench {
    struct server server;
    struct client client;
    struct config *config;
    int64_t now_ms;
    size_t size; /* of the last reply; 0: it was too long */
    char text[BENCH_REPLY_MAX];
};

/* Values leave their small forms early, so that few elements meet all forms. */
static inline void bench_open(struct bench *b)
{
    b->config = config_default();
    tu_check(b->config, "no memory for a configuration");
    b->client.pin.config = b->config;
    b->client.server = &b->server;
    b->server.keyspace = keyspace_new(&(struct keyspace_options){.shards = 8, .databases = 4});
    b->server.stats = stats_create(command_id_count());
    tu_check(b->server.keyspace && b->server.stats, "no memory for a keyspace");
    b->now_ms = INT64_C(1790000000000);
    struct type_limits *limits = keyspace_limits(b->server.keyspace);
    limits->hash_max_listpack_entries = 6;
    limits->set_max_listpack_entries = 6;
    limits->set_max_intset_entries = 4;
    limits->zset_max_listpack_entries = 6;
    limits->list_max_listpack_size = 6;
    limits->stream_node_max_entries = 4;
    limits->hll_sparse_max_bytes = 200;
}

static inline void bench_close(struct bench *b)
{
    blocked_free(&b->client);
    atomic_store(&b->client.blocked, NULL);
    keyspace_free(b->server.keyspace);
    stats_free(b->server.stats);
    config_free(b->config);
}

/* ---- replies ---- */

static inline const char *bench_line_end(const char *at, const char *end)
{
    const char *cr = memchr(at, '\r', (size_t)(end - at));
    tu_check(cr && cr + 1 < end && cr[1] == '\n', "a line that does not end");
    return cr;
}

/* Reads one value and returns what follows it. */
static inline const char *bench_read(const char *at, const char *end, int protocol, int depth)
{
    tu_check(at < end && depth < 16, "a reply that is cut off");
    char type = *at;
    const char *rest = bench_line_end(at, end) + 2;
    tu_check(strchr(protocol == 3 ? "+-:$*%~_,#" : "+-:$*", type), "a reply of type %c", type);
    if (strchr("+-:_,#", type))
        return rest;
    long size = strtol(at + 1, NULL, 10);
    if (size < 0) {
        tu_check(size == -1 && protocol == 2, "a length of %ld", size);
        return rest;
    }
    if (type == '$') {
        tu_check(end - rest >= size + 2 && rest[size] == '\r' && rest[size + 1] == '\n',
                 "a string that is not as long as it says");
        return rest + size + 2;
    }
    for (long i = 0; i < (type == '%' ? 2 * size : size); i++)
        rest = bench_read(rest, end, protocol, depth + 1);
    return rest;
}

static inline void bench_take_reply(struct bench *b, struct reply *r, int protocol,
                                    const char *name)
{
    static struct iovec parts[1024]; /* not on a goroutine's small stack */
    int count = reply_parts(r, parts, 1024);
    b->size = 0;
    for (int i = 0; i < count; i++) {
        if (b->size + parts[i].iov_len > sizeof b->text) {
            b->size = 0; /* SRANDMEMBER of a million: too long to look at */
            return;
        }
        memcpy(b->text + b->size, parts[i].iov_base, parts[i].iov_len);
        b->size += parts[i].iov_len;
    }
    tu_check(b->size > 0 &&
                 bench_read(b->text, b->text + b->size, protocol, 0) == b->text + b->size,
             "%s: not one reply: %.*s", name, (int)(b->size < 200 ? b->size : 200), b->text);
}

/* ---- calls ---- */

static inline void bench_verify_keys(struct bench *b, const struct slice *words, const uint32_t *at,
                                     const uint64_t *hashes, size_t count)
{
    struct transaction tx;
    transaction_init(&tx, b->server.keyspace, 0, b->now_ms);
    transaction_lock(&tx, hashes, count);
    for (size_t i = 0; i < count; i++)
        (void)verify_key(&tx, (struct store_key){words[at[i]], hashes[i]});
    transaction_unlock(&tx);
}

/* Everything there is. */
static inline void bench_verify_all(struct bench *b)
{
    struct transaction tx;
    transaction_init(&tx, b->server.keyspace, 0, b->now_ms);
    transaction_lock_all(&tx);
    (void)verify_all(&tx);
    transaction_unlock(&tx);
}

/* False: refused before the handler, for its number of words or its keys. The reply is in b->text. */
static inline bool bench_run(struct bench *b, const struct command *command,
                             const struct slice *words, size_t count, int protocol)
{
    char room[4096];
    const char *error = NULL;
    struct reply reply;
    struct args args;
    struct transaction tx;
    uint32_t at[BENCH_KEYS_MAX];
    uint64_t hashes[BENCH_KEYS_MAX];
    if (!command_arity_ok(command, count))
        return false;
    int keys = command_keys(command, words, count, at, BENCH_KEYS_MAX);
    if (keys > BENCH_KEYS_MAX)
        return false;
    for (int i = 0; i < keys; i++)
        hashes[i] = keyspace_hash(b->server.keyspace, words[at[i]]);
    transaction_init(&tx, b->server.keyspace, 0, b->now_ms);
    reply_open(&reply, room, sizeof room, protocol);
    struct call call = {.server = &b->server,
                        .client = &b->client,
                        .command = command,
                        .argv = words,
                        .argc = count,
                        .key_hashes = hashes,
                        .key_count = keys > 0 ? (size_t)keys : 0,
                        .args = &args,
                        .tx = &tx,
                        .reply = &reply};
    if (command->scope == SCOPE_KEYS)
        transaction_lock(&tx, hashes, call.key_count);
    if (command->scope == SCOPE_ALL)
        transaction_lock_all(&tx);
    memset(&args, 0xee, sizeof args);
    if (args_parse(command, words, count, &args, &error))
        command->run(&call);
    else
        reply_error(&reply, error);
    transaction_unlock(&tx);
    tu_check(!transaction_holds_any(&tx), "shards that are still held");
    if (client_flags(&b->client) &
        CLIENT_BLOCKED) { /* there is nobody who would give it anything */
        tu_check(reply_size(&reply) == 0, "a reply, and waiting for one");
        tu_check(!blocked_settle(&b->client, &reply), "it does not wait");
        tu_check(blocked_unblock(&b->client, false), "it does not wait any more");
        tu_check(blocked_settle(&b->client, &reply), "it still waits");
    }
    bench_take_reply(b, &reply, protocol, command->full_name);
    reply_close(&reply);
    bench_verify_keys(b, words, at, hashes, call.key_count);
    return true;
}

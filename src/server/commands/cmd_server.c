/* cmd_server.c - INFO, TIME, DBSIZE, FLUSHALL, FLUSHDB, SWAPDB, LASTSAVE, ROLE, SHUTDOWN. */
#include "platform/clock.h"
#include "server/client.h"
#include "server/commands/handler.h"
#include "server/info.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "server/server.h"
#include "store/transaction.h"

#include "base/number.h"

#include <stdio.h>

static void run_info(struct call *call)
{
    struct text text = {0};
    struct config_pin pin = {0};
    const struct config *config = config_pin_refresh(&call->server->config, &pin);
    info_print(call->server, config, info_sections(call->argv + 1, call->argc - 1), &text);
    if (text.failed)
        reply_error(call->reply, ERR_NO_MEMORY);
    else
        reply_verbatim(call->reply, "txt", text_slice(&text));
    config_pin_release(&call->server->config, &pin);
    text_free(&text);
}

static void run_time(struct call *call)
{
    int64_t now_us = clock_wall_us();
    reply_array(call->reply, 2);
    reply_bulk_integer(call->reply, now_us / 1000000);
    reply_bulk_integer(call->reply, now_us % 1000000);
}

static void run_dbsize(struct call *call)
{
    reply_integer(call->reply, (int64_t)keyspace_size(call->tx->keyspace, call->tx->db));
}

/* Nothing has been saved since the start, and nobody replicates us. */
static void run_lastsave(struct call *call)
{
    reply_integer(call->reply, call->server->start_ms / 1000);
}

static void run_role(struct call *call)
{
    reply_array(call->reply, 3);
    reply_bulk_string(call->reply, "master");
    reply_integer(call->reply, 0);
    reply_array(call->reply, 0);
}

enum { FLUSH_ASYNC = 1, FLUSH_SYNC };

static void flush(struct call *call, uint32_t db)
{
    if (call->argc >
        2) { /* the grammar takes the same word twice, as SET does; the peers do not here */
        reply_error(call->reply, ERR_SYNTAX);
        return;
    }
    bool lazy =
        args_has(call->args, FLUSH_ASYNC) ||
        (!args_has(call->args, FLUSH_SYNC) && handler_config(call)->lazyfree_lazy_user_flush);
    (void)keyspace_flush(call->tx, db, lazy);
    reply_ok(call->reply);
}

static void run_flushdb(struct call *call)
{
    flush(call, call->tx->db);
}

static void run_flushall(struct call *call)
{
    flush(call, KEYSPACE_ALL_DBS);
}

static void run_swapdb(struct call *call)
{
    int64_t index[2];
    for (int i = 0; i < 2; i++) {
        if (!number_parse_int64(call->argv[i + 1], &index[i]) || index[i] < INT32_MIN ||
            index[i] > INT32_MAX) {
            reply_error(call->reply,
                        i == 0 ? "ERR invalid first DB index" : "ERR invalid second DB index");
            return;
        }
    }
    int64_t databases = keyspace_databases(call->tx->keyspace);
    if (index[0] < 0 || index[0] >= databases || index[1] < 0 || index[1] >= databases) {
        reply_error(call->reply, ERR_DB_RANGE);
        return;
    }
    keyspace_swap(call->tx, (uint32_t)index[0], (uint32_t)index[1]);
    reply_ok(call->reply);
}

/* The options of SHUTDOWN as SHUTDOWN_... bits; -1 where they do not fit together. */
static int shutdown_flags(const struct call *call, bool *abort_it)
{
    static const struct {
        const char *word;
        int flag;
    } words[] = {{"SAVE", SHUTDOWN_SAVE}, {"NOSAVE", SHUTDOWN_NOSAVE},
                 {"NOW", SHUTDOWN_NOW},   {"FORCE", SHUTDOWN_FORCE},
                 {"SAFE", SHUTDOWN_SAFE}, {"FAILOVER", SHUTDOWN_FAILOVER}};
    int flags = 0;
    *abort_it = false;
    for (size_t i = 1; i < call->argc; i++) {
        size_t k = 0, count = sizeof words / sizeof *words;
        while (k < count && !slice_equal_nocase(call->argv[i], slice_of(words[k].word)))
            k++;
        if (k < count)
            flags |= words[k].flag;
        else if (slice_equal_nocase(call->argv[i], SLICE("ABORT")))
            *abort_it = true;
        else
            return -1;
    }
    bool both = (flags & SHUTDOWN_SAVE) && (flags & SHUTDOWN_NOSAVE);
    return both || (*abort_it && (flags != 0 || call->argc > 2)) ? -1 : flags;
}

static void run_shutdown(struct call *call)
{
    bool abort_it;
    int flags = shutdown_flags(call, &abort_it);
    if (flags < 0) {
        reply_error(call->reply, ERR_SYNTAX);
    } else if (abort_it) {
        reply_error(call->reply, "ERR No shutdown in progress.");
    } else {
        /* No reply: the client sees the connection close. */
        client_set_flags(call->client, CLIENT_CLOSE_AFTER_REPLY, 0);
        server_shutdown(call->server, flags);
    }
}

#define FLUSH_ARGS                                                                       \
    ROW_ARGS(ARG_ONEOF("flush-type", (ARG_OPTIONAL),                                     \
                       ARG_TOKEN("async", "ASYNC", .id = FLUSH_ASYNC, .since = "4.0.0"), \
                       ARG_TOKEN("sync", "SYNC", .id = FLUSH_SYNC, .since = "6.2.0")))
#define FLUSH_TIPS .tips = ROW_WORDS("request_policy:all_shards", "response_policy:all_succeeded")

static const struct command rows[] = {
    {.name = "DBSIZE",
     .run = run_dbsize,
     .arity = 1,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_NONE,
     .group = "server",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Counts the keys of the selected database.",
     .tips = ROW_WORDS("request_policy:all_shards", "response_policy:agg_sum")},
    {.name = "FLUSHALL",
     .run = run_flushall,
     .arity = -1,
     .flags = CMD_WRITE,
     .acl = ACL_KEYSPACE | ACL_DANGEROUS,
     .scope = SCOPE_ALL,
     .group = "server",
     .since = "1.0.0",
     .complexity = "O(N)",
     .summary = "Deletes all keys of all databases.",
     FLUSH_TIPS,
     .history = ROW_WORDS("4.0.0", "ASYNC.", "6.2.0", "SYNC."),
     FLUSH_ARGS},
    {.name = "FLUSHDB",
     .run = run_flushdb,
     .arity = -1,
     .flags = CMD_WRITE,
     .acl = ACL_KEYSPACE | ACL_DANGEROUS,
     .scope = SCOPE_ALL,
     .group = "server",
     .since = "1.0.0",
     .complexity = "O(N)",
     .summary = "Deletes all keys of the selected database.",
     FLUSH_TIPS,
     .history = ROW_WORDS("4.0.0", "ASYNC.", "6.2.0", "SYNC."),
     FLUSH_ARGS},
    {.name = "INFO",
     .run = run_info,
     .arity = -1,
     .flags = CMD_LOADING | CMD_STALE,
     .acl = ACL_DANGEROUS,
     .scope = SCOPE_NONE,
     .group = "server",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Tells how the server is and what it has done.",
     .tips = ROW_WORDS("nondeterministic_output", "request_policy:all_shards",
                       "response_policy:special"),
     .history = ROW_WORDS("7.0.0", "Takes more than one section."),
     ROW_ARGS(ARG_STRING("section", ARG_OPTIONAL, ARG_MULTIPLE))},
    {.name = "LASTSAVE",
     .run = run_lastsave,
     .arity = 1,
     .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
     .acl = ACL_ADMIN | ACL_DANGEROUS,
     .scope = SCOPE_NONE,
     .group = "server",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Tells when the data was last saved, as Unix time; before the first time, when the "
                "server was started.",
     .tips = ROW_WORDS("nondeterministic_output")},
    {.name = "ROLE",
     .run = run_role,
     .arity = 1,
     .flags = CMD_NOSCRIPT | CMD_LOADING | CMD_STALE | CMD_FAST,
     .acl = ACL_ADMIN | ACL_DANGEROUS,
     .scope = SCOPE_NONE,
     .group = "server",
     .since = "2.8.12",
     .complexity = "O(1)",
     .summary = "Tells the server's part in replication."},
    {.name = "SHUTDOWN",
     .run = run_shutdown,
     .arity = -1,
     .flags = CMD_ADMIN | CMD_ALLOW_BUSY | CMD_LOADING | CMD_NO_MULTI | CMD_NOSCRIPT | CMD_STALE,
     .parse = handler_parses_itself,
     .scope = SCOPE_NONE,
     .group = "server",
     .since = "1.0.0",
     .complexity = "O(N)",
     .summary = "Ends the server.",
     .history = ROW_WORDS("7.0.0", "NOW, FORCE and ABORT.", "9.0.0", "SAFE and FAILOVER."),
     ROW_ARGS(
         ARG_ONEOF("abort-selector", (ARG_OPTIONAL),
                   ARG_BLOCK("save-selector-block", (.optional = false),
                             ARG_ONEOF("save-selector", (ARG_OPTIONAL),
                                       ARG_TOKEN("nosave", "NOSAVE"), ARG_TOKEN("save", "SAVE")),
                             ARG_TOKEN("now", "NOW", ARG_OPTIONAL, .since = "7.0.0"),
                             ARG_TOKEN("force", "FORCE", ARG_OPTIONAL, .since = "7.0.0"),
                             ARG_TOKEN("safe", "SAFE", ARG_OPTIONAL, .since = "9.0.0"),
                             ARG_TOKEN("failover", "FAILOVER", ARG_OPTIONAL, .since = "9.0.0")),
                   ARG_TOKEN("abort", "ABORT", .since = "7.0.0")))},
    {.name = "SWAPDB",
     .run = run_swapdb,
     .arity = 3,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_KEYSPACE | ACL_DANGEROUS,
     .scope = SCOPE_ALL,
     .group = "server",
     .since = "4.0.0",
     .complexity = "O(N)",
     .summary = "Exchanges two databases.",
     ROW_ARGS(ARG_INTEGER("index1"), ARG_INTEGER("index2"))},
    {.name = "TIME",
     .run = run_time,
     .arity = 1,
     .flags = CMD_LOADING | CMD_STALE | CMD_FAST,
     .scope = SCOPE_NONE,
     .group = "server",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Tells the server's time.",
     .tips = ROW_WORDS("nondeterministic_output")},
};

const struct command_family server_family = COMMAND_FAMILY(rows);

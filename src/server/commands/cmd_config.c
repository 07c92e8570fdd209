/* cmd_config.c - CONFIG. */
#include "server/client.h"
#include "server/commands/handler.h"
#include "server/config_apply.h"
#include "server/config_rewrite.h"
#include "server/config_table.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "server/server.h"
#include "store/lazy_free.h"
#include "store/transaction.h"

#include "base/glob.h"

#include <string.h>

/* True if one of the patterns names it; `shown` is then how: a name in full is echoed as it was spelt.
 * Hidden directives must be named in full. */
static bool is_asked_for(const struct call *call, const struct config_row *row, const char *name,
                         struct slice *shown)
{
    *shown = slice_of(name);
    for (size_t i = 2; i < call->argc; i++) {
        if (slice_equal_nocase(call->argv[i], slice_of(name))) {
            *shown = call->argv[i];
            return true;
        }
        if (!(row->flags & CONFIG_HIDDEN) && glob_match(call->argv[i], slice_of(name), true))
            return true;
    }
    return false;
}

static void run_config_get(struct call *call)
{
    /* The batch's snapshot may be older than a CONFIG SET that ran before us in the same batch. */
    struct config_pin pin = {0};
    const struct config *config = config_pin_refresh(&call->server->config, &pin);
    struct reply_mark mark = reply_deferred_begin(call->reply);
    size_t pairs = 0;
    for (size_t i = 0; i < config_row_count(); i++) {
        const struct config_row *row = config_row_at(i);
        const char *names[] = {row->name, row->alias};
        for (int k = 0; k < 2 && names[k] != NULL; k++) {
            struct slice shown;
            if (!is_asked_for(call, row, names[k], &shown))
                continue;
            struct text value = {0};
            config_row_print(row, config, &value);
            reply_bulk(call->reply, shown);
            reply_bulk(call->reply, text_slice(&value));
            text_free(&value);
            pairs++;
        }
    }
    reply_deferred_map(call->reply, mark, pairs);
    config_pin_release(&call->server->config, &pin);
}

static void run_config_set(struct call *call)
{
    struct config_error error;
    if (call->argc % 2 != 0) {
        reply_error(call->reply, ERR_SYNTAX);
        return;
    }
    struct config_change change = {.words = call->argv + 2,
                                   .count = call->argc - 2,
                                   .local_client = endpoint_is_loopback(&call->client->peer),
                                   .may_park = !transaction_holds_any(call->tx)};
    if (config_change(call->server, &change, &error) == 0)
        reply_ok(call->reply);
    else
        reply_error(call->reply, error.text);
}

static bool config_set_secret(const struct slice *argv, size_t argc, size_t index)
{
    if (index < 3 || index % 2 == 0)
        return false;
    const struct config_row *row = config_row_find(argv[index - 1]);
    return row != NULL && (row->flags & CONFIG_SENSITIVE);
}

static void run_config_rewrite(struct call *call)
{
    struct server *server = call->server;
    server_admin_lock(server, !transaction_holds_any(call->tx));
    const struct config *config = atomic_load(&server->config.current);
    if (config->file[0] == '\0') {
        reply_error(call->reply, "ERR The server is running without a config file");
    } else {
        int rc = config_rewrite_file(config);
        if (rc == 0) {
            log_notice("CONFIG REWRITE executed with success.");
            reply_ok(call->reply);
        } else {
            log_warning("CONFIG REWRITE failed: %s", strerrordesc_np(-rc));
            reply_errorf(call->reply, "ERR Rewriting config file: %s", strerrordesc_np(-rc));
        }
    }
    tu_mutex_unlock(&server->admin);
}

static void run_config_resetstat(struct call *call)
{
    struct server *server = call->server;
    struct keyspace_stats now;
    stats_reset(server->stats);
    lazy_free_reset();
    /* The store's own counters go on, so that no shard need be locked (EXEC may hold some). */
    keyspace_stats(server->keyspace, &now);
    atomic_store(&server->hits_base, now.hits);
    atomic_store(&server->misses_base, now.misses);
    atomic_store(&server->expired_base, now.expired);
    atomic_store(&server->expired_fields_base, now.expired_fields);
    reply_ok(call->reply);
}

static void run_config_help(struct call *call)
{
    static const char *const lines[] = {
        "GET <pattern> [<pattern> ...]",
        "    Directives whose names match a pattern, with their values.",
        "SET <directive> <value> [<directive> <value> ...]",
        "    Changes directives: all of them, or none.",
        "RESETSTAT",
        "    Starts the statistics of INFO again.",
        "REWRITE",
        "    Writes the present values to the configuration file.",
    };
    handler_help(call, lines, sizeof lines / sizeof *lines);
}

#define CONFIG_FLAGS (CMD_ADMIN | CMD_LOADING | CMD_NOSCRIPT | CMD_STALE)

static const struct command rows[] = {
    {.name = "CONFIG",
     .arity = -2,
     .scope = SCOPE_NONE,
     .group = "server",
     .since = "2.0.0",
     .complexity = "Depends on subcommand.",
     .summary = "Groups the commands that deal with the configuration.",
     ROW_SUBCOMMANDS(
         {.name = "GET",
          .run = run_config_get,
          .arity = -3,
          .flags = CONFIG_FLAGS,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "2.0.0",
          .complexity = "O(N)",
          .summary = "Shows directives and their values.",
          .history = ROW_WORDS("7.0.0", "Takes more than one pattern."),
          ROW_ARGS(ARG_STRING("parameter", ARG_MULTIPLE))},
         {.name = "HELP",
          .run = run_config_help,
          .arity = 2,
          .flags = CMD_LOADING | CMD_STALE,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "5.0.0",
          .complexity = "O(1)",
          .summary = "Explains the subcommands of CONFIG."},
         {.name = "RESETSTAT",
          .run = run_config_resetstat,
          .arity = 2,
          .flags = CONFIG_FLAGS,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "2.0.0",
          .complexity = "O(1)",
          .summary = "Starts the statistics again.",
          .tips = ROW_WORDS("request_policy:all_nodes", "response_policy:all_succeeded")},
         {.name = "REWRITE",
          .run = run_config_rewrite,
          .arity = 2,
          .flags = CONFIG_FLAGS,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "2.8.0",
          .complexity = "O(1)",
          .summary = "Writes the present values to the configuration file.",
          .tips = ROW_WORDS("request_policy:all_nodes", "response_policy:all_succeeded")},
         {.name = "SET",
          .run = run_config_set,
          .secret = config_set_secret,
          .arity = -4,
          .flags = CONFIG_FLAGS,
          .scope = SCOPE_NONE,
          .group = "server",
          .since = "2.0.0",
          .complexity = "O(N)",
          .summary = "Changes directives while the server runs.",
          .tips = ROW_WORDS("request_policy:all_nodes", "response_policy:all_succeeded"),
          .history = ROW_WORDS("7.0.0", "Changes several directives at once."),
          ROW_ARGS(
              ARG_BLOCK("data", (ARG_MULTIPLE), ARG_STRING("parameter"), ARG_STRING("value")))})},
};

const struct command_family config_family = COMMAND_FAMILY(rows);

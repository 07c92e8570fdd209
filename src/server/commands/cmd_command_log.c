/* cmd_command_log.c - SLOWLOG and COMMANDLOG. */
#include "server/command_log.h"

#include "base/number.h"
#include "server/commands/handler.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "server/server.h"

enum { DEFAULT_COUNT = 10 };

/* The type that a word names; false: the error was replied. */
static bool read_type(const struct call *call, struct slice word, enum command_log_type *type)
{
    static const char *const names[COMMAND_LOG_TYPES] = {"slow", "large-request", "large-reply"};
    for (int i = 0; i < COMMAND_LOG_TYPES; i++) {
        if (slice_equal_nocase(word, slice_of(names[i]))) {
            *type = (enum command_log_type)i;
            return true;
        }
    }
    reply_error(call->reply, ERR_COMMANDLOG_TYPE);
    return false;
}

/* How many entries are wanted: -1 is all of them. */
static bool read_count(const struct call *call, struct slice word, uint64_t *count)
{
    int64_t number;
    if (!number_parse_int64(word, &number) || number < -1) {
        reply_error(call->reply, ERR_COMMANDLOG_COUNT);
        return false;
    }
    *count = number < 0 ? UINT64_MAX : (uint64_t)number;
    return true;
}

static void reply_entries(const struct call *call, enum command_log_type type, uint64_t count)
{
    struct command_log_entry **entries;
    struct reply *r = call->reply;
    command_log_trim(call->server->command_log, handler_config(call));
    size_t found = command_log_newest(call->server->command_log, type, count, &entries);
    reply_array(r, found);
    for (size_t i = 0; i < found; i++) {
        const struct command_log_entry *e = entries[i];
        reply_array(r, 6);
        reply_integer(r, (int64_t)e->id);
        reply_integer(r, e->time_s);
        reply_integer(r, e->cost);
        reply_array(r, e->argc);
        for (uint32_t k = 0; k < e->argc; k++)
            reply_bulk(r, e->argv[k]);
        reply_bulk(r, e->address);
        reply_bulk(r, e->name);
    }
    command_log_release(entries, found);
}

static void reply_length(const struct call *call, enum command_log_type type)
{
    command_log_trim(call->server->command_log, handler_config(call));
    reply_integer(call->reply, (int64_t)command_log_length(call->server->command_log, type));
}

static void run_slowlog_get(struct call *call)
{
    uint64_t count = DEFAULT_COUNT;
    if (call->argc > 3) {
        reply_errorf(call->reply, ERR_SUBCOMMAND_WORDS,
                     call->argv[1].size < 128 ? (int)call->argv[1].size : 128, call->argv[1].data,
                     call->command->parent->name);
        return;
    }
    if (call->argc == 3 && !read_count(call, call->argv[2], &count))
        return;
    reply_entries(call, COMMAND_LOG_SLOW, count);
}

static void run_slowlog_len(struct call *call)
{
    reply_length(call, COMMAND_LOG_SLOW);
}

static void run_slowlog_reset(struct call *call)
{
    command_log_reset(call->server->command_log, COMMAND_LOG_SLOW);
    reply_ok(call->reply);
}

static void run_get(struct call *call)
{
    uint64_t count;
    enum command_log_type type;
    if (read_count(call, call->argv[2], &count) && read_type(call, call->argv[3], &type))
        reply_entries(call, type, count);
}

static void run_len(struct call *call)
{
    enum command_log_type type;
    if (read_type(call, call->argv[2], &type))
        reply_length(call, type);
}

static void run_reset(struct call *call)
{
    enum command_log_type type;
    if (read_type(call, call->argv[2], &type)) {
        command_log_reset(call->server->command_log, type);
        reply_ok(call->reply);
    }
}

static void run_slowlog_help(struct call *call)
{
    static const char *const lines[] = {
        "GET [<count>]",
        "    Show the newest commands that took long (10 of them; -1: all): number, Unix time,",
        "    microseconds, words, the client's address, its name.",
        "LEN",
        "    Count the entries.",
        "RESET",
        "    Forget them.",
    };
    handler_help(call, lines, ARG_COUNT(lines));
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "GET <count> <type>",
        "    Show the newest entries of a type (-1: all): number, Unix time, cost, words, the",
        "    client's address, its name. Types, and what the cost is in:",
        "    slow (microseconds), large-request (bytes), large-reply (bytes).",
        "LEN <type>",
        "    Count the entries of a type.",
        "RESET <type>",
        "    Forget the entries of a type.",
    };
    handler_help(call, lines, ARG_COUNT(lines));
}

/* ---- rows ---- */

enum { FLAGS = CMD_ADMIN | CMD_LOADING | CMD_STALE };

#define ROW(word, fn, words, row_flags, version, cost, text, ...)                                 \
    {                                                                                             \
        .name = (word), .run = (fn), .arity = (words), .flags = (row_flags), .scope = SCOPE_NONE, \
        .group = "server", .since = (version), .complexity = (cost), .summary = (text),           \
        ##__VA_ARGS__                                                                             \
    }
#define READS_ITSELF .parse = handler_parses_itself
#define GET_TIPS     .tips = ROW_WORDS("request_policy:all_nodes", "nondeterministic_output")
#define LEN_TIPS                                                             \
    .tips = ROW_WORDS("request_policy:all_nodes", "response_policy:agg_sum", \
                      "nondeterministic_output")
#define RESET_TIPS .tips = ROW_WORDS("request_policy:all_nodes", "response_policy:all_succeeded")
#define TYPE_ARG                                            \
    ARG_ONEOF("type", (.id = 0), ARG_TOKEN("slow", "SLOW"), \
              ARG_TOKEN("large-request", "LARGE-REQUEST"),  \
              ARG_TOKEN("large-reply", "LARGE-REPLY"))

static const struct command rows[] = {
    {.name = "COMMANDLOG",
     .arity = -2,
     .scope = SCOPE_NONE,
     .group = "server",
     .since = "8.1.0",
     .complexity = "Depends on subcommand.",
     .summary = "Commands about the logs of costly commands.",
     ROW_SUBCOMMANDS(ROW("GET", run_get, 4, FLAGS, "8.1.0",
                         "O(N) where N is the number of entries returned",
                         "Shows the newest entries of a log.", GET_TIPS, READS_ITSELF,
                         ROW_ARGS(ARG_INTEGER("count"), TYPE_ARG)),
                     ROW("HELP", run_help, 2, CMD_LOADING | CMD_STALE, "8.1.0", "O(1)",
                         "Explains the subcommands."),
                     ROW("LEN", run_len, 3, FLAGS, "8.1.0", "O(1)", "Counts the entries of a log.",
                         LEN_TIPS, READS_ITSELF, ROW_ARGS(TYPE_ARG)),
                     ROW("RESET", run_reset, 3, FLAGS, "8.1.0",
                         "O(N) where N is the number of entries in the log", "Empties a log.",
                         RESET_TIPS, READS_ITSELF, ROW_ARGS(TYPE_ARG)))},
    {.name = "SLOWLOG",
     .arity = -2,
     .scope = SCOPE_NONE,
     .group = "server",
     .since = "2.2.12",
     .complexity = "Depends on subcommand.",
     .summary = "Commands about the log of slow commands.",
     ROW_SUBCOMMANDS(ROW("GET", run_slowlog_get, -2, FLAGS, "2.2.12",
                         "O(N) where N is the number of entries returned",
                         "Shows the newest slow commands.", GET_TIPS, READS_ITSELF,
                         .history = ROW_WORDS("4.0.0", "Tells the client's address and name."),
                         ROW_ARGS(ARG_INTEGER("count", ARG_OPTIONAL))),
                     ROW("HELP", run_slowlog_help, 2, CMD_LOADING | CMD_STALE, "6.2.0", "O(1)",
                         "Explains the subcommands."),
                     ROW("LEN", run_slowlog_len, 2, FLAGS, "2.2.12", "O(1)",
                         "Counts the slow commands.", LEN_TIPS),
                     ROW("RESET", run_slowlog_reset, 2, FLAGS, "2.2.12",
                         "O(N) where N is the number of entries in the slowlog",
                         "Forgets the slow commands.", RESET_TIPS))},
};

const struct command_family command_log_family = COMMAND_FAMILY(rows);

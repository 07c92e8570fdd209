/* cmd_expire.c - when keys disappear: setting, asking and taking away their deadlines. */
#include "server/commands/handler.h"

#include "server/reply.h"
#include "server/reply_errors.h"

#include <stdio.h>

/* ---- setting ---- */

enum { COND_NX = 1, COND_XX, COND_GT, COND_LT };

/* XX may stand beside GT or LT, although the grammar, which is what COMMAND DOCS shows, says one of
 * four; and each mistake has a text of its own. */
static bool parse_conditions(const struct command *command, const struct slice *argv, size_t argc,
                             struct args *out, const char **error)
{
    static const char *const words[] = {
        [COND_NX] = "NX", [COND_XX] = "XX", [COND_GT] = "GT", [COND_LT] = "LT"};
    out->present = 0;
    for (size_t i = 3; i < argc; i++) {
        unsigned id = COND_NX;
        while (id <= COND_LT && !slice_equal_nocase(argv[i], slice_of(words[id])))
            id++;
        if (id > COND_LT) {
            int shown = argv[i].size < 128 ? (int)argv[i].size : 128;
            snprintf(out->message, sizeof(out->message), ERR_EXPIRE_OPTION, shown, argv[i].data);
            *error = out->message;
            return false;
        }
        args_set(out, id, i);
    }
    if (args_has(out, COND_NX) &&
        (args_has(out, COND_XX) || args_has(out, COND_GT) || args_has(out, COND_LT))) {
        *error = ERR_EXPIRE_NX;
        return false;
    }
    if (args_has(out, COND_GT) && args_has(out, COND_LT)) {
        *error = ERR_EXPIRE_GT_LT;
        return false;
    }
    return true;
}

static void expire(struct call *call, unsigned form)
{
    uint32_t conditions = 0;
    int64_t at_ms;
    if (!handler_deadline(call, call->argv[2], form | TIME_ANY_SIGN, &at_ms))
        return;
    if (call->argc > 3) {
        conditions |= args_has(call->args, COND_NX) ? EXPIRE_NX : 0;
        conditions |= args_has(call->args, COND_XX) ? EXPIRE_XX : 0;
        conditions |= args_has(call->args, COND_GT) ? EXPIRE_GT : 0;
        conditions |= args_has(call->args, COND_LT) ? EXPIRE_LT : 0;
    }
    /* all that is past is the same: the key goes */
    enum store_result result =
        keyspace_expire_at(call->tx, handler_first_key(call), at_ms < 0 ? 0 : at_ms, conditions);
    if (result == STORE_OK || result == STORE_MISSING || result == STORE_NOT_MET)
        reply_integer(call->reply, result == STORE_OK);
    else
        handler_error(call, result);
}

static void run_expire(struct call *call)
{
    expire(call, TIME_SECONDS);
}

static void run_pexpire(struct call *call)
{
    expire(call, TIME_MILLISECONDS);
}

static void run_expireat(struct call *call)
{
    expire(call, TIME_SECONDS | TIME_ABSOLUTE);
}

static void run_pexpireat(struct call *call)
{
    expire(call, TIME_MILLISECONDS | TIME_ABSOLUTE);
}

static void run_persist(struct call *call)
{
    enum store_result result = keyspace_persist(call->tx, handler_first_key(call));
    if (result == STORE_OK || result == STORE_MISSING || result == STORE_NOT_MET)
        reply_integer(call->reply, result == STORE_OK);
    else
        handler_error(call, result);
}

/* ---- asking ---- */

/* -2: no such key; -1: it has no deadline. Seconds are rounded to the nearest. */
static void reply_expiry(struct call *call, unsigned form)
{
    int64_t at_ms;
    enum store_result result = keyspace_expiry(call->tx, handler_first_key(call), &at_ms);
    if (result != STORE_OK || at_ms == EXPIRY_NONE) {
        reply_integer(call->reply, result != STORE_OK ? -2 : -1);
        return;
    }
    int64_t value = form & TIME_ABSOLUTE ? at_ms : at_ms - call->tx->now_ms;
    if (value < 0)
        value = 0;
    reply_integer(call->reply,
                  form & TIME_MILLISECONDS ? value : value / 1000 + (value % 1000 >= 500));
}

static void run_ttl(struct call *call)
{
    reply_expiry(call, TIME_SECONDS);
}

static void run_pttl(struct call *call)
{
    reply_expiry(call, TIME_MILLISECONDS);
}

static void run_expiretime(struct call *call)
{
    reply_expiry(call, TIME_SECONDS | TIME_ABSOLUTE);
}

static void run_pexpiretime(struct call *call)
{
    reply_expiry(call, TIME_MILLISECONDS | TIME_ABSOLUTE);
}

/* ---- rows ---- */

static const struct command rows[] = {
    {.name = "EXPIRE",
     .run = run_expire,
     .parse = parse_conditions,
     .arity = -3,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Sets in how many seconds a key expires.",
     .history = ROW_WORDS("7.0.0", "Options NX, XX, GT and LT."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("seconds"),
              ARG_ONEOF("condition", (ARG_OPTIONAL, .since = "7.0.0"), ARG_TOKEN("nx", "NX"),
                        ARG_TOKEN("xx", "XX"), ARG_TOKEN("gt", "GT"), ARG_TOKEN("lt", "LT")))},
    {.name = "EXPIREAT",
     .run = run_expireat,
     .parse = parse_conditions,
     .arity = -3,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "1.2.0",
     .complexity = "O(1)",
     .summary = "Sets at which Unix time, in seconds, a key expires.",
     .history = ROW_WORDS("7.0.0", "Options NX, XX, GT and LT."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_UNIX_TIME("unix-time-seconds"),
              ARG_ONEOF("condition", (ARG_OPTIONAL, .since = "7.0.0"), ARG_TOKEN("nx", "NX"),
                        ARG_TOKEN("xx", "XX"), ARG_TOKEN("gt", "GT"), ARG_TOKEN("lt", "LT")))},
    {.name = "EXPIRETIME",
     .run = run_expiretime,
     .arity = 2,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "7.0.0",
     .complexity = "O(1)",
     .summary = "Tells the Unix time, in seconds, at which a key expires.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "PERSIST",
     .run = run_persist,
     .arity = 2,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Takes the expiry of a key away.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "PEXPIRE",
     .run = run_pexpire,
     .parse = parse_conditions,
     .arity = -3,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Sets in how many milliseconds a key expires.",
     .history = ROW_WORDS("7.0.0", "Options NX, XX, GT and LT."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("milliseconds"),
              ARG_ONEOF("condition", (ARG_OPTIONAL, .since = "7.0.0"), ARG_TOKEN("nx", "NX"),
                        ARG_TOKEN("xx", "XX"), ARG_TOKEN("gt", "GT"), ARG_TOKEN("lt", "LT")))},
    {.name = "PEXPIREAT",
     .run = run_pexpireat,
     .parse = parse_conditions,
     .arity = -3,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Sets at which Unix time, in milliseconds, a key expires.",
     .history = ROW_WORDS("7.0.0", "Options NX, XX, GT and LT."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_UNIX_TIME("unix-time-milliseconds"),
              ARG_ONEOF("condition", (ARG_OPTIONAL, .since = "7.0.0"), ARG_TOKEN("nx", "NX"),
                        ARG_TOKEN("xx", "XX"), ARG_TOKEN("gt", "GT"), ARG_TOKEN("lt", "LT")))},
    {.name = "PEXPIRETIME",
     .run = run_pexpiretime,
     .arity = 2,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "7.0.0",
     .complexity = "O(1)",
     .summary = "Tells the Unix time, in milliseconds, at which a key expires.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "PTTL",
     .run = run_pttl,
     .arity = 2,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Tells in how many milliseconds a key expires.",
     .tips = ROW_WORDS("nondeterministic_output"),
     .history = ROW_WORDS("2.8.0", "-2 for a key that does not exist."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "TTL",
     .run = run_ttl,
     .arity = 2,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Tells in how many seconds a key expires.",
     .tips = ROW_WORDS("nondeterministic_output"),
     .history = ROW_WORDS("2.8.0", "-2 for a key that does not exist."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0))},
};
const struct command_family expire_family = COMMAND_FAMILY(rows);

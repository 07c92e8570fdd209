/* cmd_dump.c - values as bytes that other servers understand. */
#include "server/commands/handler.h"

#include "base/number.h"
#include "persist/rdb_payload.h"
#include "server/config.h"
#include "server/reply.h"
#include "server/reply_errors.h"

#include <tuco/mem.h>

static void run_dump(struct call *call)
{
    struct rdb_writer w = rdb_writer_new(handler_config(call)->rdbcompression);
    enum store_result result = rdb_payload_dump(call->tx, handler_first_key(call), &w);
    if (result == STORE_OK)
        reply_bulk(call->reply, (struct slice){(const char *)w.bytes, w.size});
    else if (result == STORE_MISSING)
        reply_null(call->reply);
    else
        handler_error(call, result);
    tu_free(w.bytes);
}

/* ---- RESTORE ---- */

enum { RESTORE_REPLACE = 1, RESTORE_ABSTTL, RESTORE_IDLETIME, RESTORE_FREQ };

/* The text of what is wrong with the value of IDLETIME or FREQ; NULL: fine. */
static const char *value_error(unsigned id, struct slice value)
{
    int64_t number;
    if (!number_parse_int64(value, &number))
        return ERR_NOT_INTEGER;
    if (id == RESTORE_IDLETIME)
        return number < 0 ? ERR_RESTORE_IDLETIME : NULL;
    return number < 0 || number > 255 ? ERR_RESTORE_FREQ : NULL;
}

/* IDLETIME and FREQ exclude each other, which the grammar, as COMMAND DOCS shows it, does not say; and a value is
 * complained about before the words behind it. */
static bool parse_restore(const struct command *command, const struct slice *argv, size_t argc,
                          struct args *out, const char **error)
{
    static const char *const words[] = {[RESTORE_REPLACE] = "REPLACE",
                                        [RESTORE_ABSTTL] = "ABSTTL",
                                        [RESTORE_IDLETIME] = "IDLETIME",
                                        [RESTORE_FREQ] = "FREQ"};
    out->present = 0;
    for (size_t i = 4; i < argc; i++) {
        unsigned id = RESTORE_REPLACE;
        while (id <= RESTORE_FREQ && !slice_equal_nocase(argv[i], slice_of(words[id])))
            id++;
        bool valued = id == RESTORE_IDLETIME || id == RESTORE_FREQ;
        unsigned other = id == RESTORE_FREQ ? RESTORE_IDLETIME : RESTORE_FREQ;
        if (id > RESTORE_FREQ || (valued && (i + 1 == argc || args_has(out, other)))) {
            *error = ERR_SYNTAX;
            return false;
        }
        i += valued;
        *error = valued ? value_error(id, argv[i]) : NULL;
        if (*error)
            return false;
        args_set(out, id, i);
    }
    return true;
}

/* The value of an option, which was checked; -1 without it. */
static int64_t option_of(const struct call *call, unsigned id)
{
    int64_t value = -1;
    if (args_has(call->args, id))
        (void)number_parse_int64(call->argv[args_at(call->args, id)], &value);
    return value;
}

/* argv[2] as a deadline; one beyond what 64 bits hold has passed. */
static bool restore_deadline(const struct call *call, int64_t *at_ms)
{
    if (!handler_integer(call, call->argv[2], at_ms))
        return false;
    if (*at_ms < 0) {
        reply_error(call->reply, ERR_RESTORE_TTL);
        return false;
    }
    if (*at_ms == 0)
        *at_ms = EXPIRY_NONE;
    else if (!args_has(call->args, RESTORE_ABSTTL) &&
             __builtin_add_overflow(*at_ms, call->tx->now_ms, at_ms))
        *at_ms = 0;
    return true;
}

static void run_restore(struct call *call)
{
    struct store_key key = handler_first_key(call);
    struct restore_options options = {args_has(call->args, RESTORE_REPLACE),
                                      option_of(call, RESTORE_IDLETIME),
                                      option_of(call, RESTORE_FREQ)};
    struct slice body;
    int64_t at_ms;
    if (!restore_may_put(call->tx, key, options.replace)) {
        reply_error(call->reply, ERR_BUSY_KEY);
        return;
    }
    if (!restore_deadline(call, &at_ms))
        return;
    if (!rdb_payload_check(call->argv[3], &body)) {
        reply_error(call->reply, ERR_DUMP_PAYLOAD);
        return;
    }
    switch (rdb_payload_restore(call->tx, key, body, at_ms, &options)) {
    case RDB_OK: reply_ok(call->reply); break;
    case RDB_BAD: reply_error(call->reply, ERR_DUMP_FORMAT); break;
    case RDB_NO_MEMORY: handler_error(call, STORE_NO_MEMORY); break;
    }
}

/* ---- rows ---- */

#define RESTORE_GRAMMAR                                                                           \
    .history = ROW_WORDS("3.0.0", "REPLACE.", "5.0.0", "ABSTTL.", "5.0.0", "IDLETIME and FREQ."), \
    ROW_KEYS(KEY_AT(1, KEY_OW | KEY_UPDATE)),                                                     \
    ROW_ARGS(                                                                                     \
        ARG_KEY("key", 0), ARG_INTEGER("ttl"), ARG_STRING("serialized-value"),                    \
        ARG_TOKEN("replace", "REPLACE", ARG_OPTIONAL, .id = RESTORE_REPLACE, .since = "3.0.0"),   \
        ARG_TOKEN("absttl", "ABSTTL", ARG_OPTIONAL, .id = RESTORE_ABSTTL, .since = "5.0.0"),      \
        ARG_INTEGER("seconds", ARG_OPTIONAL, .token = "IDLETIME", .id = RESTORE_IDLETIME,         \
                    .since = "5.0.0"),                                                            \
        ARG_INTEGER("frequency", ARG_OPTIONAL, .token = "FREQ", .id = RESTORE_FREQ,               \
                    .since = "5.0.0"))

static const struct command rows[] = {
    {.name = "DUMP",
     .run = run_dump,
     .arity = 2,
     .flags = CMD_READONLY,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Tells a value as bytes that RESTORE takes.",
     .tips = ROW_WORDS("nondeterministic_output"),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "RESTORE",
     .run = run_restore,
     .parse = parse_restore,
     .arity = -4,
     .flags = CMD_WRITE | CMD_DENYOOM,
     .acl = ACL_KEYSPACE | ACL_DANGEROUS,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Makes a key of what DUMP told.",
     RESTORE_GRAMMAR},
    {.name = "RESTORE-ASKING",
     .run = run_restore,
     .parse = parse_restore,
     .arity = -4,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_ASKING,
     .acl = ACL_KEYSPACE | ACL_DANGEROUS,
     .scope = SCOPE_KEYS,
     .group = "server",
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "RESTORE for keys that move between nodes of a cluster.",
     .doc_flags = DOC_SYSCMD,
     RESTORE_GRAMMAR},
};
const struct command_family dump_family = COMMAND_FAMILY(rows);

/* cmd_generic.c - what one can do with a key whatever it holds, and walks through all keys. Deadlines
 * are in cmd_expire.c.
 *
 * KEYS, SCAN and RANDOMKEY name no keys: their rows say SCOPE_SELF and the store takes one shard at a
 * time, so that the rest of the server goes on.
 */
#include "server/commands/handler.h"

#include "base/glob.h"
#include "base/number.h"
#include "server/config.h"
#include "server/reply.h"
#include "server/reply_errors.h"

#include <stdio.h>
#include <tuco/mem.h>

/* ---- existence and type ---- */

static void delete_keys(struct call *call, bool lazy)
{
    int64_t count = 0;
    for (size_t i = 1; i < call->argc; i++)
        count += keyspace_delete(call->tx, handler_key_ahead(call, i - 1, i), lazy);
    reply_integer(call->reply, count);
}

static void run_del(struct call *call)
{
    delete_keys(call, handler_config(call)->lazyfree_lazy_user_del);
}

static void run_unlink(struct call *call)
{
    delete_keys(call, true);
}

static void run_exists(struct call *call)
{
    int64_t count = 0;
    for (size_t i = 1; i < call->argc; i++)
        count += keyspace_exists(call->tx, handler_key_ahead(call, i - 1, i));
    reply_integer(call->reply, count);
}

static void run_touch(struct call *call)
{
    int64_t count = 0;
    for (size_t i = 1; i < call->argc; i++)
        count += keyspace_touch(call->tx, handler_key_ahead(call, i - 1, i));
    reply_integer(call->reply, count);
}

static void run_type(struct call *call)
{
    reply_simple(call->reply, keyspace_type_name(keyspace_type(call->tx, handler_first_key(call))));
}

/* ---- names and places ---- */

static void run_rename(struct call *call)
{
    enum store_result result =
        keyspace_rename(call->tx, handler_key(call, 0, 1), handler_key(call, 1, 2), false);
    if (result == STORE_OK)
        reply_ok(call->reply);
    else
        handler_error(call, result);
}

static void run_renamenx(struct call *call)
{
    enum store_result result =
        keyspace_rename(call->tx, handler_key(call, 0, 1), handler_key(call, 1, 2), true);
    if (result == STORE_OK || result == STORE_NOT_MET)
        reply_integer(call->reply, result == STORE_OK);
    else
        handler_error(call, result);
}

/* Of COPY and MOVE: what is missing, or in the way, is no error. */
static void reply_moved(const struct call *call, enum store_result result)
{
    if (result == STORE_OK || result == STORE_MISSING || result == STORE_EXISTS)
        reply_integer(call->reply, result == STORE_OK);
    else
        handler_error(call, result);
}

static void run_move(struct call *call)
{
    uint32_t db;
    const char *error = handler_database(call, call->argv[2], &db);
    if (error != NULL)
        reply_error(call->reply, error);
    else
        reply_moved(call, keyspace_move(call->tx, handler_first_key(call), db));
}

enum { COPY_DB = 1, COPY_REPLACE };

/* Whether there is such a database only the call knows, and it counts before the words after it: so
 * COPY matches its options itself. */
static const char *check_database(struct slice word, struct args *out)
{
    uint32_t db;
    return handler_database(out->context, word, &db);
}

static void run_copy(struct call *call)
{
    const char *error = NULL;
    uint32_t db = call->tx->db;
    bool replace = false;
    if (call->argc > 3) {
        call->args->context = call;
        if (!args_match(call->command, call->argv, call->argc, call->args, &error)) {
            reply_error(call->reply, error);
            return;
        }
        if (args_has(call->args, COPY_DB))
            (void)handler_database(call, call->argv[args_at(call->args, COPY_DB)], &db);
        replace = args_has(call->args, COPY_REPLACE);
    }
    reply_moved(call, keyspace_copy(call->tx, handler_key(call, 0, 1), handler_key(call, 1, 2), db,
                                    replace));
}

/* ---- OBJECT ---- */

static bool object(struct call *call, struct object_info *info)
{
    if (keyspace_object(call->tx, handler_key(call, 0, 2), info) == STORE_OK)
        return true;
    reply_null(call->reply);
    return false;
}

static void run_object_encoding(struct call *call)
{
    struct object_info info;
    if (object(call, &info))
        reply_bulk_string(call->reply, info.encoding);
}

static void run_object_refcount(struct call *call)
{
    struct object_info info;
    if (object(call, &info))
        reply_integer(call->reply, 1); /* values are never shared */
}

static void run_object_idletime(struct call *call)
{
    struct object_info info;
    if (!object(call, &info))
        return;
    if (keyspace_clock_is_lfu(call->tx->keyspace))
        reply_error(call->reply, ERR_IDLE_BUT_LFU);
    else
        reply_integer(call->reply, (int64_t)info.idle_s);
}

static void run_object_freq(struct call *call)
{
    struct object_info info;
    if (!object(call, &info))
        return;
    if (!keyspace_clock_is_lfu(call->tx->keyspace))
        reply_error(call->reply, ERR_FREQ_NOT_LFU);
    else
        reply_integer(call->reply, info.frequency);
}

static void run_object_help(struct call *call)
{
    static const char *const lines[] = {
        "ENCODING <key>",
        "    How the value of <key> is represented in memory.",
        "FREQ <key>",
        "    How often <key> was used lately: a counter that grows as the logarithm of the uses.",
        "    Only under an LFU maxmemory-policy.",
        "IDLETIME <key>",
        "    Seconds since <key> was last used. Not under an LFU maxmemory-policy.",
        "REFCOUNT <key>",
        "    The number of references to the value of <key>.",
    };
    handler_help(call, lines, ARG_COUNT(lines));
}

/* ---- all keys ---- */

struct key_list {
    struct reply *reply;
    struct slice pattern;
    bool any; /* the pattern matches everything */
    size_t count;
};

static void list_key(void *context, struct slice key, enum store_type type)
{
    struct key_list *list = context;
    if (!list->any && !glob_match(list->pattern, key, false))
        return;
    reply_bulk(list->reply, key);
    list->count++;
}

static void run_keys(struct call *call)
{
    struct key_list list = {.reply = call->reply, .pattern = call->argv[1]};
    list.any = glob_is_any(list.pattern);
    struct reply_mark mark = reply_deferred_begin(call->reply);
    keyspace_each(call->tx, list_key, &list);
    reply_deferred_array(call->reply, mark, list.count);
}

static void run_randomkey(struct call *call)
{
    struct slice key;
    if (!keyspace_random(call->tx, &key)) {
        reply_null(call->reply);
        return;
    }
    reply_bulk(call->reply, key);
    tu_free((void *)key.data);
}

enum { SCAN_MATCH = 1, SCAN_COUNT, SCAN_TYPE };

/* Positions are below this; a larger cursor is well-formed but past the end. */
#define CURSOR_END (UINT64_C(1) << 48)

static bool type_by_name(struct slice name, enum store_type *type)
{
    for (int t = TYPE_STRING; t < TYPE_MODULE; t++) {
        if (slice_equal_nocase(name, slice_of(keyspace_type_name((enum store_type)t)))) {
            *type = (enum store_type)t;
            return true;
        }
    }
    return false;
}

static const char *check_cursor(struct slice word, struct args *out)
{
    uint64_t cursor;
    return handler_cursor(word, &cursor) ? NULL : ERR_CURSOR;
}

static const char *check_type(struct slice word, struct args *out)
{
    enum store_type type;
    if (type_by_name(word, &type))
        return NULL;
    int shown = word.size < 128 ? (int)word.size : 128;
    snprintf(out->message, sizeof(out->message), ERR_TYPE_NAME, shown, word.data);
    return out->message;
}

static const char *check_count(struct slice word, struct args *out)
{
    int64_t count;
    if (!number_parse_int64(word, &count))
        return ERR_NOT_INTEGER;
    return count < 1 ? ERR_SYNTAX : NULL;
}

/* Found keys are kept until the cursor, which comes first in the reply, is known. They lie one after
 * the other: size, then bytes. */
struct scan {
    struct slice pattern;
    bool any;
    enum store_type type; /* TYPE_NONE: all */
    char *bytes;
    size_t size, capacity, count;
    bool failed; /* out of memory */
};

static void scan_key(void *context, struct slice key, enum store_type type)
{
    struct scan *scan = context;
    if ((scan->type != TYPE_NONE && type != scan->type) ||
        (!scan->any && !glob_match(scan->pattern, key, false)) || scan->failed)
        return;
    size_t need = scan->size + sizeof(key.size) + key.size;
    if (need > scan->capacity) {
        size_t capacity = need > 2 * scan->capacity ? need + 512 : 2 * scan->capacity;
        char *bytes = tu_realloc(scan->bytes, capacity);
        if (bytes == NULL) {
            scan->failed = true;
            return;
        }
        scan->bytes = bytes;
        scan->capacity = capacity;
    }
    memcpy(scan->bytes + scan->size, &key.size, sizeof(key.size));
    memcpy(scan->bytes + scan->size + sizeof(key.size), key.data, key.size);
    scan->size = need;
    scan->count++;
}

static void reply_scan(struct call *call, const struct scan *scan, uint64_t cursor)
{
    reply_array(call->reply, 2);
    char digits[NUMBER_INT64_MAX_SIZE];
    reply_bulk(call->reply, (struct slice){digits, number_format_uint64(digits, cursor)});
    reply_array(call->reply, scan->count);
    for (size_t at = 0; at < scan->size;) {
        size_t size;
        memcpy(&size, scan->bytes + at, sizeof(size));
        at += sizeof(size);
        reply_bulk(call->reply, (struct slice){scan->bytes + at, size});
        at += size;
    }
}

static void run_scan(struct call *call)
{
    struct scan scan = {.any = true, .type = TYPE_NONE};
    const struct args *args = call->args;
    uint64_t cursor = 0;
    int64_t count = 10;
    (void)handler_cursor(call->argv[1], &cursor); /* checked, like the others */
    if (args_has(args, SCAN_TYPE))
        (void)type_by_name(call->argv[args_at(args, SCAN_TYPE)], &scan.type);
    if (args_has(args, SCAN_COUNT))
        (void)number_parse_int64(call->argv[args_at(args, SCAN_COUNT)], &count);
    if (args_has(args, SCAN_MATCH)) {
        scan.pattern = call->argv[args_at(args, SCAN_MATCH)];
        scan.any = glob_is_any(scan.pattern);
    }
    if (cursor >= CURSOR_END)
        cursor = 0;
    else
        cursor = keyspace_scan(call->tx, cursor, (uint64_t)count, scan_key, &scan);
    if (scan.failed)
        handler_error(call, STORE_NO_MEMORY);
    else
        reply_scan(call, &scan, cursor);
    tu_free(scan.bytes);
}

/* ---- rows ---- */

static const struct command rows[] = {
    {.name = "COPY",
     .run = run_copy,
     .parse = handler_parses_itself,
     .arity = -3,
     .flags = CMD_WRITE | CMD_DENYOOM,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "6.2.0",
     .complexity = "O(N)",
     .summary = "Copies a value to another key or database.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS), KEY_AT(2, KEY_OW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("source", 0), ARG_KEY("destination", 1),
              ARG_INTEGER("destination-db", ARG_OPTIONAL, .token = "DB", .id = COPY_DB,
                          .check = check_database),
              ARG_TOKEN("replace", "REPLACE", ARG_OPTIONAL, .id = COPY_REPLACE))},
    {.name = "DEL",
     .run = run_del,
     .arity = -2,
     .flags = CMD_WRITE,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(N)",
     .summary = "Deletes keys.",
     .tips = ROW_WORDS("request_policy:multi_shard", "response_policy:agg_sum"),
     ROW_KEYS(KEYS_FROM(1, 1, KEY_RM | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0, ARG_MULTIPLE))},
    {.name = "EXISTS",
     .run = run_exists,
     .arity = -2,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(N)",
     .summary = "Counts how many of the given keys exist.",
     .tips = ROW_WORDS("request_policy:multi_shard", "response_policy:agg_sum"),
     .history = ROW_WORDS("3.0.3", "Takes more than one key."),
     ROW_KEYS(KEYS_FROM(1, 1, KEY_RO)),
     ROW_ARGS(ARG_KEY("key", 0, ARG_MULTIPLE))},
    {.name = "KEYS",
     .run = run_keys,
     .arity = 2,
     .flags = CMD_READONLY,
     .acl = ACL_DANGEROUS | ACL_KEYSPACE,
     .scope = SCOPE_SELF,
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(N)",
     .summary = "Lists all keys whose names match a pattern.",
     .tips = ROW_WORDS("request_policy:all_shards", "nondeterministic_output_order"),
     ROW_ARGS(ARG_PATTERN("pattern"))},
    {.name = "MOVE",
     .run = run_move,
     .arity = 3,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Moves a key to another database.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("db"))},
    {.name = "OBJECT",
     .arity = -2,
     .scope = SCOPE_NONE,
     .group = "generic",
     .since = "2.2.3",
     .complexity = "Depends on subcommand.",
     .summary = "Groups the commands that look into the representation of values.",
     ROW_SUBCOMMANDS({.name = "ENCODING",
                      .run = run_object_encoding,
                      .arity = 3,
                      .flags = CMD_READONLY,
                      .acl = ACL_KEYSPACE,
                      .scope = SCOPE_KEYS,
                      .group = "generic",
                      .since = "2.2.3",
                      .complexity = "O(1)",
                      .summary = "Tells how a value is represented in memory.",
                      .tips = ROW_WORDS("nondeterministic_output"),
                      ROW_KEYS(KEY_AT(2, KEY_RO)),
                      ROW_ARGS(ARG_KEY("key", 0))},
                     {.name = "FREQ",
                      .run = run_object_freq,
                      .arity = 3,
                      .flags = CMD_READONLY,
                      .acl = ACL_KEYSPACE,
                      .scope = SCOPE_KEYS,
                      .group = "generic",
                      .since = "4.0.0",
                      .complexity = "O(1)",
                      .summary = "Tells how often a key is used, as a logarithmic counter.",
                      .tips = ROW_WORDS("nondeterministic_output"),
                      ROW_KEYS(KEY_AT(2, KEY_RO)),
                      ROW_ARGS(ARG_KEY("key", 0))},
                     {.name = "HELP",
                      .run = run_object_help,
                      .arity = 2,
                      .flags = CMD_LOADING | CMD_STALE,
                      .acl = ACL_KEYSPACE,
                      .scope = SCOPE_NONE,
                      .group = "generic",
                      .since = "6.2.0",
                      .complexity = "O(1)",
                      .summary = "Explains the subcommands of OBJECT."},
                     {.name = "IDLETIME",
                      .run = run_object_idletime,
                      .arity = 3,
                      .flags = CMD_READONLY,
                      .acl = ACL_KEYSPACE,
                      .scope = SCOPE_KEYS,
                      .group = "generic",
                      .since = "2.2.3",
                      .complexity = "O(1)",
                      .summary = "Tells how many seconds ago a key was last used.",
                      .tips = ROW_WORDS("nondeterministic_output"),
                      ROW_KEYS(KEY_AT(2, KEY_RO)),
                      ROW_ARGS(ARG_KEY("key", 0))},
                     {.name = "REFCOUNT",
                      .run = run_object_refcount,
                      .arity = 3,
                      .flags = CMD_READONLY,
                      .acl = ACL_KEYSPACE,
                      .scope = SCOPE_KEYS,
                      .group = "generic",
                      .since = "2.2.3",
                      .complexity = "O(1)",
                      .summary = "Tells how many references to a value there are.",
                      .tips = ROW_WORDS("nondeterministic_output"),
                      ROW_KEYS(KEY_AT(2, KEY_RO)),
                      ROW_ARGS(ARG_KEY("key", 0))})},
    {.name = "RANDOMKEY",
     .run = run_randomkey,
     .arity = 1,
     .flags = CMD_READONLY,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_SELF,
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Names any key of the database.",
     .tips = ROW_WORDS("request_policy:all_shards", "response_policy:special",
                       "nondeterministic_output")},
    {.name = "RENAME",
     .run = run_rename,
     .arity = 3,
     .flags = CMD_WRITE,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Gives a key another name and replaces what was there.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_OW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_KEY("newkey", 1))},
    {.name = "RENAMENX",
     .run = run_renamenx,
     .arity = 3,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Gives a key another name if that name is free.",
     .history = ROW_WORDS("3.2.0", "The same name twice is no error any more."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_OW | KEY_INSERT)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_KEY("newkey", 1))},
    {.name = "SCAN",
     .run = run_scan,
     .arity = -2,
     .flags = CMD_READONLY,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_SELF,
     .group = "generic",
     .since = "2.8.0",
     .complexity = "O(1)",
     .summary = "Walks through the keys of the database, some with each call.",
     .tips =
         ROW_WORDS("nondeterministic_output", "request_policy:special", "response_policy:special"),
     .history = ROW_WORDS("6.0.0", "Option TYPE."),
     ROW_ARGS(ARG_INTEGER("cursor", .check = check_cursor),
              ARG_PATTERN("pattern", ARG_OPTIONAL, .token = "MATCH", .id = SCAN_MATCH),
              ARG_INTEGER("count", ARG_OPTIONAL, .token = "COUNT", .id = SCAN_COUNT,
                          .check = check_count),
              ARG_STRING("type", ARG_OPTIONAL, .token = "TYPE", .id = SCAN_TYPE,
                         .check = check_type, .since = "6.0.0"))},
    {.name = "TOUCH",
     .run = run_touch,
     .arity = -2,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "3.2.1",
     .complexity = "O(N)",
     .summary = "Marks keys as just used and counts those that exist.",
     .tips = ROW_WORDS("request_policy:multi_shard", "response_policy:agg_sum"),
     ROW_KEYS(KEYS_FROM(1, 1, KEY_RO)),
     ROW_ARGS(ARG_KEY("key", 0, ARG_MULTIPLE))},
    {.name = "TYPE",
     .run = run_type,
     .arity = 2,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Tells the type of the value of a key.",
     ROW_KEYS(KEY_AT(1, KEY_RO)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "UNLINK",
     .run = run_unlink,
     .arity = -2,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_KEYSPACE,
     .scope = SCOPE_KEYS,
     .group = "generic",
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Deletes keys and frees their memory in the background.",
     .tips = ROW_WORDS("request_policy:multi_shard", "response_policy:agg_sum"),
     ROW_KEYS(KEYS_FROM(1, 1, KEY_RM | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0, ARG_MULTIPLE))},
};
const struct command_family generic_family = COMMAND_FAMILY(rows);

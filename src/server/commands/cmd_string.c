/* cmd_string.c - strings as wholes: get, set, and both at once. Parts of strings and numbers are in
 * cmd_string_edit.c.
 *
 * SET, GETEX and MSETEX share the options of their grammars, hence the ids. Redis looks at all options
 * first, then at the value of the expiry, then at the key: so do these.
 */
#include "server/commands/handler.h"

#include "base/number.h"
#include "server/config.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/types/string.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <tuco/mem.h>

enum {
    SET_NX = 1,
    SET_XX,
    SET_IFEQ,
    SET_IFNE,
    SET_IFDEQ,
    SET_IFDNE,
    SET_GET,
    SET_EX, /* these four in this order: handler_deadline_option */
    SET_PX,
    SET_EXAT,
    SET_PXAT,
    SET_KEEPTTL,
    SET_PERSIST,
    SET_NUMKEYS,
    SET_DATA,
};

/* ---- reading ---- */

static void reply_value(const struct call *call, enum store_result result,
                        const struct string_value *value)
{
    if (result == STORE_OK)
        reply_bulk(call->reply, value->bytes);
    else if (result == STORE_MISSING)
        reply_null(call->reply);
    else
        handler_error(call, result);
}

static void run_get(struct call *call)
{
    struct string_value value;
    reply_value(call, string_get(call->tx, handler_first_key(call), &value), &value);
}

static void run_getdel(struct call *call)
{
    struct string_value value;
    reply_value(call, string_get_delete(call->tx, handler_first_key(call), &value), &value);
}

static void run_mget(struct call *call)
{
    reply_array(call->reply, call->argc - 1);
    for (size_t i = 1; i < call->argc; i++) {
        struct string_value value;
        if (string_get(call->tx, handler_key_ahead(call, i - 1, i), &value) == STORE_OK)
            reply_bulk(call->reply, value.bytes);
        else
            reply_null(call->reply);
    }
}

static void run_getrange(struct call *call)
{
    int64_t start, end;
    struct string_value value;
    if (!handler_integer(call, call->argv[2], &start) ||
        !handler_integer(call, call->argv[3], &end))
        return;
    reply_value(call, string_get_range(call->tx, handler_first_key(call), start, end, &value),
                &value);
}

static void run_strlen(struct call *call)
{
    size_t size;
    enum store_result result = string_size(call->tx, handler_first_key(call), &size);
    if (result == STORE_OK)
        reply_integer(call->reply, (int64_t)size);
    else
        handler_error(call, result);
}

/* ---- options ---- */

/* The deadline that the options ask for; 0: none. */
static bool option_deadline(const struct call *call, int64_t *at_ms)
{
    struct slice word;
    unsigned form;
    *at_ms = 0;
    return !handler_deadline_option(call, SET_EX, &word, &form) ||
           handler_deadline(call, word, form, at_ms);
}

/* The condition that the options ask for. */
static void option_condition(const struct call *call, struct string_set_options *options)
{
    static const struct {
        unsigned id;
        enum string_set_when when;
    } conditions[] = {
        {SET_NX, STRING_SET_NX},     {SET_XX, STRING_SET_XX},       {SET_IFEQ, STRING_SET_IFEQ},
        {SET_IFNE, STRING_SET_IFNE}, {SET_IFDEQ, STRING_SET_IFDEQ}, {SET_IFDNE, STRING_SET_IFDNE},
    };
    for (size_t i = 0; i < ARG_COUNT(conditions); i++)
        if (args_has(call->args, conditions[i].id)) {
            options->when = conditions[i].when;
            options->compare = call->argv[args_at(call->args, conditions[i].id)];
        }
}

static const char *check_digest(struct slice word, struct args *out)
{
    bool fits = word.size == 16;
    for (size_t i = 0; fits && i < word.size; i++) {
        char c = word.data[i];
        fits = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
    }
    return fits ? NULL : ERR_DIGEST;
}

static void run_getex(struct call *call)
{
    struct string_value value;
    int64_t at_ms = 0;
    if (call->argc > 2 && !option_deadline(call, &at_ms))
        return;
    if (call->argc > 2 && args_has(call->args, SET_PERSIST))
        at_ms = EXPIRY_NONE;
    reply_value(call, string_get_expire(call->tx, handler_first_key(call), at_ms, &value), &value);
}

/* ---- writing one ---- */

static void set_with_options(struct call *call)
{
    const struct args *args = call->args;
    struct string_value old;
    bool found = false, get = args_has(args, SET_GET);
    struct string_set_options options = {.when = STRING_SET_ALWAYS};
    if (!option_deadline(call, &options.expire_at_ms))
        return;
    options.keep_ttl = args_has(args, SET_KEEPTTL);
    option_condition(call, &options);
    if (get) {
        options.old = &old;
        options.found = &found;
    }
    enum store_result result =
        string_set(call->tx, handler_first_key(call), call->argv[2], &options);
    if (result != STORE_OK && result != STORE_NOT_MET)
        handler_error(call, result);
    else if (get && found)
        reply_bulk(call->reply, old.bytes);
    else if (get || result == STORE_NOT_MET)
        reply_null(call->reply);
    else
        reply_ok(call->reply);
}

static void reply_stored(const struct call *call, enum store_result result)
{
    if (result == STORE_OK)
        reply_ok(call->reply);
    else
        handler_error(call, result);
}

static void run_set(struct call *call)
{
    if (call->argc == 3)
        reply_stored(call, string_set(call->tx, handler_first_key(call), call->argv[2], NULL));
    else
        set_with_options(call);
}

static void set_expiring(struct call *call, unsigned form)
{
    struct string_set_options options = {.when = STRING_SET_ALWAYS};
    if (handler_deadline(call, call->argv[2], form, &options.expire_at_ms))
        reply_stored(call, string_set(call->tx, handler_first_key(call), call->argv[3], &options));
}

static void run_setex(struct call *call)
{
    set_expiring(call, TIME_SECONDS);
}

static void run_psetex(struct call *call)
{
    set_expiring(call, TIME_MILLISECONDS);
}

/* 1: done, 0: the condition failed or there was no key. */
static void reply_done(const struct call *call, enum store_result result)
{
    if (result == STORE_OK || result == STORE_NOT_MET || result == STORE_MISSING)
        reply_integer(call->reply, result == STORE_OK);
    else
        handler_error(call, result);
}

static void run_setnx(struct call *call)
{
    static const struct string_set_options options = {.when = STRING_SET_NX};
    reply_done(call, string_set(call->tx, handler_first_key(call), call->argv[2], &options));
}

static void run_delifeq(struct call *call)
{
    reply_done(call,
               string_delete_if(call->tx, handler_first_key(call), STRING_SET_IFEQ, call->argv[2]));
}

/* A condition is two words, and nothing else is of that length. */
static bool parse_delex(const struct command *command, const struct slice *argv, size_t argc,
                        struct args *out, const char **error)
{
    if (argc == 2 || argc == 4) {
        if (args_match(command, argv, argc, out, error))
            return true;
        if (*error != NULL && strcmp(*error, ERR_SYNTAX) == 0)
            *error = ERR_DELEX_CONDITION;
        return false;
    }
    snprintf(out->message, sizeof(out->message), ERR_ARITY, command->full_name);
    *error = out->message;
    return false;
}

/* Without a condition it is DEL, of a key of any type. */
static void run_delex(struct call *call)
{
    struct string_set_options condition = {.when = STRING_SET_ALWAYS};
    option_condition(call, &condition);
    if (condition.when == STRING_SET_ALWAYS) {
        bool lazy = handler_config(call)->lazyfree_lazy_user_del;
        reply_integer(call->reply, keyspace_delete(call->tx, handler_first_key(call), lazy));
        return;
    }
    enum store_result result =
        string_delete_if(call->tx, handler_first_key(call), condition.when, condition.compare);
    if (result == STORE_WRONG_TYPE)
        reply_error(call->reply, ERR_DELEX_TYPE);
    else
        reply_done(call, result);
}

static void run_digest(struct call *call)
{
    struct string_value digest;
    reply_value(call, string_digest(call->tx, handler_first_key(call), &digest), &digest);
}

static void run_getset(struct call *call)
{
    struct string_value old;
    bool found = false;
    struct string_set_options options = {.old = &old, .found = &found};
    enum store_result result =
        string_set(call->tx, handler_first_key(call), call->argv[2], &options);
    reply_value(call, result == STORE_OK && !found ? STORE_MISSING : result, &old);
}

/* ---- writing many ---- */

/* Collects `count` pairs that begin at argv[first] and stores them. */
static enum store_result set_pairs(struct call *call, size_t first, size_t count,
                                   const struct string_set_options *options)
{
    enum { FEW = 16 };
    struct store_key few_keys[FEW], *keys = few_keys;
    struct slice few_values[FEW], *values = few_values;
    void *block = NULL;
    if (count > FEW) {
        block = tu_alloc(count * (sizeof(*keys) + sizeof(*values)));
        if (block == NULL)
            return STORE_NO_MEMORY;
        keys = block;
        values = (struct slice *)(keys + count);
    }
    for (size_t i = 0; i < count; i++) {
        keys[i] = handler_key_ahead(call, i, first + 2 * i);
        values[i] = call->argv[first + 2 * i + 1];
    }
    enum store_result result = string_set_many(call->tx, keys, values, count, options);
    tu_free(block);
    return result;
}

/* Pairs are all that MSET takes; half a pair is a wrong number of arguments rather than a syntax error. */
static bool parse_pairs(const struct command *command, const struct slice *argv, size_t argc,
                        struct args *out, const char **error)
{
    if (argc % 2 == 1)
        return true;
    snprintf(out->message, sizeof(out->message), ERR_ARITY, command->full_name);
    *error = out->message;
    return false;
}

static void run_mset(struct call *call)
{
    static const struct string_set_options options = {.when = STRING_SET_ALWAYS};
    reply_stored(call, set_pairs(call, 1, (call->argc - 1) / 2, &options));
}

static void run_msetnx(struct call *call)
{
    static const struct string_set_options options = {.when = STRING_SET_NX};
    reply_done(call, set_pairs(call, 1, (call->argc - 1) / 2, &options));
}

static const char *check_numkeys(struct slice word, struct args *out)
{
    int64_t count;
    return number_parse_int64(word, &count) && count > 0 && count <= INT_MAX ? NULL : ERR_NUMKEYS;
}

static void run_msetex(struct call *call)
{
    struct string_set_options options = {.when = STRING_SET_ALWAYS};
    if (!option_deadline(call, &options.expire_at_ms))
        return;
    options.keep_ttl = args_has(call->args, SET_KEEPTTL);
    option_condition(call, &options);
    reply_done(call, set_pairs(call, 2, args_count(call->args, SET_DATA), &options));
}

/* ---- rows ---- */

/* The conditions that Redis 8.4 has beside Valkey's IFEQ. */
#define ROW_UNEQUAL(version)                                                                     \
    ARG_STRING("ifne-value", .token = "IFNE", .id = SET_IFNE, .once = true, .since = (version)), \
        ARG_STRING("ifdeq-digest", .token = "IFDEQ", .id = SET_IFDEQ, .once = true,              \
                   .since = (version), .check = check_digest),                                   \
        ARG_STRING("ifdne-digest", .token = "IFDNE", .id = SET_IFDNE, .once = true,              \
                   .since = (version), .check = check_digest)

static const struct command rows[] = {
    {.name = "DELEX",
     .run = run_delex,
     .parse = parse_delex,
     .arity = -2,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "8.4.0",
     .complexity = "O(1), O(N) with IFDEQ or IFDNE",
     .summary = "Deletes a key, if its string is the one given, or is not.",
     ROW_KEYS(KEY_AT(1, KEY_RM | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0),
              ARG_ONEOF("condition", (ARG_OPTIONAL),
                        ARG_STRING("ifeq-value", .token = "IFEQ", .id = SET_IFEQ),
                        ROW_UNEQUAL(NULL)))},
    {.name = "DELIFEQ",
     .run = run_delifeq,
     .arity = 3,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "9.0.0",
     .complexity = "O(1)",
     .summary = "Deletes a key if its string equals the one given.",
     ROW_KEYS(KEY_AT(1, KEY_RM | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("value"))},
    {.name = "DIGEST",
     .run = run_digest,
     .arity = 2,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "8.4.0",
     .complexity = "O(N)",
     .summary = "Tells a string's digest: XXH3 as 16 hexadecimal digits.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "GET",
     .run = run_get,
     .arity = 2,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Tells the string that a key holds.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "GETDEL",
     .run = run_getdel,
     .arity = 2,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Tells the string that a key holds and deletes the key.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "GETEX",
     .run = run_getex,
     .arity = -2,
     .flags = CMD_WRITE | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Tells the string that a key holds and changes when it expires.",
     ROW_KEYS({.flags = KEY_RW | KEY_ACCESS | KEY_UPDATE,
               .begin = KEY_BEGIN_INDEX,
               .begin_index = 1,
               .find = KEY_FIND_RANGE,
               .last = 0,
               .step = 1,
               .notes = "Written, since the expiry changes."}),
     ROW_ARGS(ARG_KEY("key", 0),
              ARG_ONEOF("expiration", (ARG_OPTIONAL),
                        ARG_INTEGER("seconds", .token = "EX", .id = SET_EX),
                        ARG_INTEGER("milliseconds", .token = "PX", .id = SET_PX),
                        ARG_UNIX_TIME("unix-time-seconds", .token = "EXAT", .id = SET_EXAT),
                        ARG_UNIX_TIME("unix-time-milliseconds", .token = "PXAT", .id = SET_PXAT),
                        ARG_TOKEN("persist", "PERSIST", .id = SET_PERSIST)))},
    {.name = "GETRANGE",
     .run = run_getrange,
     .arity = 4,
     .flags = CMD_READONLY,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "2.4.0",
     .complexity = "O(N)",
     .summary = "Tells part of a string, by first and last byte.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("start"), ARG_INTEGER("end"))},
    {.name = "GETSET",
     .run = run_getset,
     .arity = 3,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Stores a string and tells the one that was there before.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("value"))},
    {.name = "MGET",
     .run = run_mget,
     .arity = -2,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(N)",
     .summary = "Tells the strings of several keys, null for those that hold none.",
     .tips = ROW_WORDS("request_policy:multi_shard"),
     ROW_KEYS(KEYS_FROM(1, 1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0, ARG_MULTIPLE))},
    {.name = "MSET",
     .run = run_mset,
     .parse = parse_pairs,
     .arity = -3,
     .flags = CMD_WRITE | CMD_DENYOOM,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "1.0.1",
     .complexity = "O(N)",
     .summary = "Stores strings in several keys at once.",
     .tips = ROW_WORDS("request_policy:multi_shard", "response_policy:all_succeeded"),
     ROW_KEYS(KEYS_FROM(1, 2, KEY_OW | KEY_UPDATE)),
     ROW_ARGS(ARG_BLOCK("data", (ARG_MULTIPLE), ARG_KEY("key", 0), ARG_STRING("value")))},
    {.name = "MSETEX",
     .run = run_msetex,
     .arity = -4,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "9.1.0",
     .complexity = "O(N)",
     .summary =
         "Stores strings in several keys at once, with one expiry and one condition for all.",
     .tips = ROW_WORDS("request_policy:multi_shard", "response_policy:all_succeeded"),
     ROW_KEYS(KEYS_COUNTED(1, 2, KEY_OW | KEY_UPDATE)),
     ROW_ARGS(ARG_INTEGER("numkeys", .id = SET_NUMKEYS, .check = check_numkeys),
              ARG_BLOCK("data", (ARG_MULTIPLE, .id = SET_DATA, .repeats_by = SET_NUMKEYS),
                        ARG_KEY("key", 0), ARG_STRING("value")),
              ARG_ONEOF("condition", (ARG_OPTIONAL), ARG_TOKEN("nx", "NX", .id = SET_NX),
                        ARG_TOKEN("xx", "XX", .id = SET_XX)),
              ARG_ONEOF("expiration", (ARG_OPTIONAL),
                        ARG_INTEGER("seconds", .token = "EX", .id = SET_EX),
                        ARG_INTEGER("milliseconds", .token = "PX", .id = SET_PX),
                        ARG_UNIX_TIME("unix-time-seconds", .token = "EXAT", .id = SET_EXAT),
                        ARG_UNIX_TIME("unix-time-milliseconds", .token = "PXAT", .id = SET_PXAT),
                        ARG_TOKEN("keepttl", "KEEPTTL", .id = SET_KEEPTTL)))},
    {.name = "MSETNX",
     .run = run_msetnx,
     .parse = parse_pairs,
     .arity = -3,
     .flags = CMD_WRITE | CMD_DENYOOM,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "1.0.1",
     .complexity = "O(N)",
     .summary = "Stores strings in several keys if none of them exists.",
     ROW_KEYS(KEYS_FROM(1, 2, KEY_OW | KEY_INSERT)),
     ROW_ARGS(ARG_BLOCK("data", (ARG_MULTIPLE), ARG_KEY("key", 0), ARG_STRING("value")))},
    {.name = "PSETEX",
     .run = run_psetex,
     .arity = 4,
     .flags = CMD_WRITE | CMD_DENYOOM,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Stores a string that expires after some milliseconds.",
     ROW_KEYS(KEY_AT(1, KEY_OW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("milliseconds"), ARG_STRING("value"))},
    {.name = "SET",
     .run = run_set,
     .arity = -3,
     .flags = CMD_WRITE | CMD_DENYOOM,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Stores a string in a key, whatever the key held before.",
     .history = ROW_WORDS("2.6.12", "Options EX, PX, NX and XX.", "6.0.0", "Option KEEPTTL.",
                          "6.2.0", "Options GET, EXAT and PXAT.", "7.0.0",
                          "GET may stand beside NX.", "8.1.0", "Option IFEQ."),
     ROW_KEYS({.flags = KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_VARIABLE_FLAGS,
               .begin = KEY_BEGIN_INDEX,
               .begin_index = 1,
               .find = KEY_FIND_RANGE,
               .last = 0,
               .step = 1,
               .notes = "Read as well with the option GET."}),
     ROW_ARGS(
         ARG_KEY("key", 0), ARG_STRING("value"),
         ARG_ONEOF("condition", (ARG_OPTIONAL),
                   ARG_TOKEN("nx", "NX", .id = SET_NX, .since = "2.6.12"),
                   ARG_TOKEN("xx", "XX", .id = SET_XX, .since = "2.6.12"),
                   ARG_STRING("comparison-value", .token = "IFEQ", .id = SET_IFEQ, .once = true,
                              .summary = "Stores the value only if the key holds this one.",
                              .since = "8.1.0"),
                   ROW_UNEQUAL("8.4.0")),
         ARG_TOKEN("get", "GET", ARG_OPTIONAL, .id = SET_GET, .since = "6.2.0"),
         ARG_ONEOF(
             "expiration", (ARG_OPTIONAL),
             ARG_INTEGER("seconds", .token = "EX", .id = SET_EX, .since = "2.6.12"),
             ARG_INTEGER("milliseconds", .token = "PX", .id = SET_PX, .since = "2.6.12"),
             ARG_UNIX_TIME("unix-time-seconds", .token = "EXAT", .id = SET_EXAT, .since = "6.2.0"),
             ARG_UNIX_TIME("unix-time-milliseconds", .token = "PXAT", .id = SET_PXAT,
                           .since = "6.2.0"),
             ARG_TOKEN("keepttl", "KEEPTTL", .id = SET_KEEPTTL, .since = "6.0.0")))},
    {.name = "SETEX",
     .run = run_setex,
     .arity = 4,
     .flags = CMD_WRITE | CMD_DENYOOM,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "2.0.0",
     .complexity = "O(1)",
     .summary = "Stores a string that expires after some seconds.",
     ROW_KEYS(KEY_AT(1, KEY_OW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("seconds"), ARG_STRING("value"))},
    {.name = "SETNX",
     .run = run_setnx,
     .arity = 3,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Stores a string if the key does not exist.",
     ROW_KEYS(KEY_AT(1, KEY_OW | KEY_INSERT)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("value"))},
    {.name = "STRLEN",
     .run = run_strlen,
     .arity = 2,
     .flags = CMD_READONLY | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Tells the length of a string in bytes.",
     ROW_KEYS(KEY_AT(1, KEY_RO)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "SUBSTR",
     .run = run_getrange,
     .arity = 4,
     .flags = CMD_READONLY,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(N)",
     .summary = "Tells part of a string, by first and last byte: the old name of GETRANGE.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("start"), ARG_INTEGER("end"))},
};
const struct command_family string_family = COMMAND_FAMILY(rows);

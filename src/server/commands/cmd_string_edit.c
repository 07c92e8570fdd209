/* cmd_string_edit.c - parts of strings, strings as numbers, and the longest common subsequence of two.
 */
#include "server/commands/handler.h"

#include "base/number.h"
#include "server/config.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/types/string.h"

#include <math.h>

/* ---- parts ---- */

static void reply_size(const struct call *call, enum store_result result, size_t size)
{
    if (result == STORE_OK)
        reply_integer(call->reply, (int64_t)size);
    else
        handler_error(call, result);
}

static size_t largest_string(const struct call *call)
{
    return (size_t)handler_config(call)->proto_max_bulk_len;
}

static void run_append(struct call *call)
{
    size_t size = 0;
    enum store_result result = string_append(call->tx, handler_first_key(call), call->argv[2],
                                             largest_string(call), &size);
    reply_size(call, result, size);
}

static void run_setrange(struct call *call)
{
    int64_t offset;
    size_t size = 0;
    if (!handler_integer(call, call->argv[2], &offset))
        return;
    if (offset < 0) {
        reply_error(call->reply, ERR_OFFSET_RANGE);
        return;
    }
    enum store_result result = string_set_range(call->tx, handler_first_key(call), (size_t)offset,
                                                call->argv[3], largest_string(call), &size);
    reply_size(call, result, size);
}

/* ---- numbers ---- */

static void increment(struct call *call, int64_t delta)
{
    int64_t value;
    enum store_result result = string_increment(call->tx, handler_first_key(call), delta, &value);
    if (result == STORE_OK)
        reply_integer(call->reply, value);
    else
        handler_error(call, result);
}

static void run_incr(struct call *call)
{
    increment(call, 1);
}

static void run_decr(struct call *call)
{
    increment(call, -1);
}

static void run_incrby(struct call *call)
{
    int64_t delta;
    if (handler_integer(call, call->argv[2], &delta))
        increment(call, delta);
}

static void run_decrby(struct call *call)
{
    int64_t delta;
    if (!handler_integer(call, call->argv[2], &delta))
        return;
    if (delta == INT64_MIN) /* has no opposite */
        reply_error(call->reply, ERR_DECR_OVERFLOW);
    else
        increment(call, -delta);
}

static void run_incrbyfloat(struct call *call)
{
    long double delta;
    struct string_value value;
    struct store_key key = handler_first_key(call);
    if (!number_parse_long_double(call->argv[2], &delta)) {
        /* here, unlike in INCRBY, the type of the key counts before the number */
        enum store_type type = keyspace_type(call->tx, key);
        reply_error(call->reply,
                    type == TYPE_NONE || type == TYPE_STRING ? ERR_NOT_FLOAT : ERR_WRONG_TYPE);
        return;
    }
    enum store_result result = string_increment_float(call->tx, key, delta, &value);
    if (result == STORE_OK)
        reply_bulk(call->reply, value.bytes);
    else
        handler_error(call, result);
}

/* ---- INCREX: a number within bounds, with a deadline ---- */

enum {
    COUNT_FLOAT = 1,
    COUNT_INT,
    COUNT_LOW,
    COUNT_HIGH,
    COUNT_SATURATE,
    COUNT_EX, /* these four in this order: handler_deadline_option */
    COUNT_PX,
    COUNT_EXAT,
    COUNT_PXAT,
    COUNT_PERSIST,
    COUNT_ENX,
};

static bool count_deadline(const struct call *call, struct string_count *how)
{
    struct slice word;
    unsigned form;
    how->only_without = args_has(call->args, COUNT_ENX);
    if (handler_deadline_option(call, COUNT_EX, &word, &form))
        return handler_deadline(call, word, form, &how->expire_at_ms);
    if (args_has(call->args, COUNT_PERSIST))
        how->expire_at_ms = EXPIRY_NONE;
    if (how->only_without)
        reply_error(call->reply, ERR_SYNTAX);
    return !how->only_without;
}

/* The value of an option, or what it says already. False: replied. */
static bool count_integer_option(const struct call *call, unsigned id, int64_t *out)
{
    return !args_has(call->args, id) ||
           handler_integer(call, call->argv[args_at(call->args, id)], out);
}

static bool count_float_option(const struct call *call, unsigned id, long double *out)
{
    if (!args_has(call->args, id) ||
        number_parse_long_double(call->argv[args_at(call->args, id)], out))
        return true;
    reply_error(call->reply, ERR_NOT_FLOAT);
    return false;
}

static void count_integer(const struct call *call, struct string_count *how)
{
    int64_t delta = 1, before, value;
    how->low = INT64_MIN;
    how->high = INT64_MAX;
    if (!count_integer_option(call, COUNT_INT, &delta) ||
        !count_integer_option(call, COUNT_LOW, &how->low) ||
        !count_integer_option(call, COUNT_HIGH, &how->high) || !count_deadline(call, how))
        return;
    if (how->low > how->high) {
        reply_error(call->reply, ERR_COUNT_BOUNDS);
        return;
    }
    enum store_result result =
        string_count_integer(call->tx, handler_first_key(call), delta, how, &before, &value);
    if (result != STORE_OK && result != STORE_NOT_MET) {
        handler_error(call, result);
        return;
    }
    /* A step from one bound over a far one to the other may be longer than any number. */
    __int128 step = result == STORE_OK ? (__int128)value - before : 0;
    step = step > INT64_MAX ? INT64_MAX : step < INT64_MIN ? INT64_MIN : step;
    reply_array(call->reply, 2);
    reply_integer(call->reply, result == STORE_OK ? value : before);
    reply_integer(call->reply, (int64_t)step);
}

/* A number as INCRBYFLOAT shows it, or a double. */
static void reply_float(const struct call *call, long double value)
{
    char text[NUMBER_LONG_DOUBLE_SIZE];
    if (reply_protocol(call->reply) > 2)
        reply_double(call->reply, (double)value);
    else
        reply_bulk(call->reply, (struct slice){text, number_format_long_double(text, value)});
}

static void count_float(const struct call *call, struct string_count *how)
{
    long double delta = 0, before, value;
    how->float_low = -INFINITY;
    how->float_high = INFINITY;
    if (!count_float_option(call, COUNT_FLOAT, &delta) ||
        !count_float_option(call, COUNT_LOW, &how->float_low) ||
        !count_float_option(call, COUNT_HIGH, &how->float_high) || !count_deadline(call, how))
        return;
    if (how->float_low > how->float_high) {
        reply_error(call->reply, ERR_COUNT_BOUNDS);
        return;
    }
    enum store_result result =
        string_count_float(call->tx, handler_first_key(call), delta, how, &before, &value);
    if (result != STORE_OK && result != STORE_NOT_MET) {
        handler_error(call, result);
        return;
    }
    reply_array(call->reply, 2);
    reply_float(call, result == STORE_OK ? value : before);
    reply_float(call, result == STORE_OK ? value - before : 0);
}

static void run_increx(struct call *call)
{
    struct string_count how = {.saturate = args_has(call->args, COUNT_SATURATE)};
    if (args_has(call->args, COUNT_FLOAT))
        count_float(call, &how);
    else
        count_integer(call, &how);
}

/* ---- LCS ---- */

enum { LCS_LEN = 1, LCS_IDX, LCS_MINMATCHLEN, LCS_WITHMATCHLEN };

static const char *check_integer(struct slice word, struct args *out)
{
    int64_t value;
    return number_parse_int64(word, &value) ? NULL : ERR_NOT_INTEGER;
}

/* The string at the nth key; a missing one is empty. */
static bool lcs_operand(struct call *call, size_t nth, struct string_value *value)
{
    enum store_result result = string_get(call->tx, handler_key(call, nth, nth + 1), value);
    if (result == STORE_MISSING)
        value->bytes = (struct slice){"", 0};
    else if (result == STORE_WRONG_TYPE)
        reply_error(call->reply, ERR_LCS_TYPE);
    return result != STORE_WRONG_TYPE;
}

/* The table of a cell for each pair of bytes may take as much as a string may. */
static bool lcs_size_ok(struct call *call, size_t a, size_t b)
{
    size_t bytes = 0;
    bool too_long = a >= UINT32_MAX - 1 || b >= UINT32_MAX - 1;
    if (!too_long && !__builtin_mul_overflow((a + 1) * sizeof(uint32_t), b + 1, &bytes) &&
        bytes <= largest_string(call))
        return true;
    reply_error(call->reply, too_long ? ERR_LCS_TOO_LONG : ERR_LCS_MEMORY);
    return false;
}

static void reply_matches(struct call *call, const struct string_lcs *lcs)
{
    int64_t least = 0;
    bool with_size = args_has(call->args, LCS_WITHMATCHLEN);
    if (args_has(call->args, LCS_MINMATCHLEN) &&
        !handler_integer(call, call->argv[args_at(call->args, LCS_MINMATCHLEN)], &least))
        return;
    size_t shown = 0;
    for (size_t i = 0; i < lcs->match_count; i++)
        shown += (int64_t)(lcs->matches[i].a_end - lcs->matches[i].a_start) + 1 >= least;
    reply_map(call->reply, 2);
    reply_bulk_string(call->reply, "matches");
    reply_array(call->reply, shown);
    for (size_t i = 0; i < lcs->match_count; i++) {
        const struct string_lcs_match *m = &lcs->matches[i];
        int64_t size = (int64_t)(m->a_end - m->a_start) + 1;
        if (size < least)
            continue;
        reply_array(call->reply, with_size ? 3 : 2);
        reply_array(call->reply, 2);
        reply_integer(call->reply, m->a_start);
        reply_integer(call->reply, m->a_end);
        reply_array(call->reply, 2);
        reply_integer(call->reply, m->b_start);
        reply_integer(call->reply, m->b_end);
        if (with_size)
            reply_integer(call->reply, size);
    }
    reply_bulk_string(call->reply, "len");
    reply_integer(call->reply, (int64_t)lcs->size);
}

/* The types of the keys count before the options, so the options are parsed here. */
static void run_lcs(struct call *call)
{
    struct string_value a, b;
    struct string_lcs lcs;
    const char *error = NULL;
    if (!lcs_operand(call, 0, &a) || !lcs_operand(call, 1, &b))
        return;
    if (!args_match(call->command, call->argv, call->argc, call->args, &error)) {
        reply_error(call->reply, error);
        return;
    }
    if (args_has(call->args, LCS_LEN) && args_has(call->args, LCS_IDX)) {
        reply_error(call->reply, ERR_LCS_LEN_IDX);
        return;
    }
    if (!lcs_size_ok(call, a.bytes.size, b.bytes.size))
        return;
    if (string_lcs(a.bytes, b.bytes, &lcs) != STORE_OK) {
        reply_error(call->reply, ERR_LCS_NO_MEMORY);
        return;
    }
    if (args_has(call->args, LCS_IDX))
        reply_matches(call, &lcs);
    else if (args_has(call->args, LCS_LEN))
        reply_integer(call->reply, (int64_t)lcs.size);
    else
        reply_bulk(call->reply, (struct slice){lcs.text, lcs.size});
    string_lcs_free(&lcs);
}

/* ---- rows ---- */

static const struct command rows[] = {
    {.name = "APPEND",
     .run = run_append,
     .arity = 3,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "2.0.0",
     .complexity = "O(1)",
     .summary = "Adds bytes to the end of a string; a missing key counts as empty.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_INSERT)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("value"))},
    {.name = "DECR",
     .run = run_decr,
     .arity = 2,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Subtracts one from a number; a missing key counts as 0.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "DECRBY",
     .run = run_decrby,
     .arity = 3,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Subtracts an integer from a number; a missing key counts as 0.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("decrement"))},
    {.name = "INCR",
     .run = run_incr,
     .arity = 2,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Adds one to a number; a missing key counts as 0.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "INCRBY",
     .run = run_incrby,
     .arity = 3,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Adds an integer to a number; a missing key counts as 0.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("increment"))},
    {.name = "INCRBYFLOAT",
     .run = run_incrbyfloat,
     .arity = 3,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Adds a decimal fraction to a number; a missing key counts as 0.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_DOUBLE("increment"))},
    {.name = "INCREX",
     .run = run_increx,
     .arity = -2,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "8.8.0",
     .complexity = "O(1)",
     .summary = "Adds to a number that stays within bounds, and changes when it expires.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0),
              ARG_ONEOF("increment", (ARG_OPTIONAL),
                        ARG_DOUBLE("float", .token = "BYFLOAT", .id = COUNT_FLOAT),
                        ARG_INTEGER("integer", .token = "BYINT", .id = COUNT_INT)),
              ARG_DOUBLE("lowerbound", ARG_OPTIONAL, .token = "LBOUND", .id = COUNT_LOW),
              ARG_DOUBLE("upperbound", ARG_OPTIONAL, .token = "UBOUND", .id = COUNT_HIGH),
              ARG_TOKEN("saturate", "SATURATE", ARG_OPTIONAL, .id = COUNT_SATURATE),
              ARG_ONEOF("expiration", (ARG_OPTIONAL),
                        ARG_INTEGER("seconds", .token = "EX", .id = COUNT_EX),
                        ARG_INTEGER("milliseconds", .token = "PX", .id = COUNT_PX),
                        ARG_UNIX_TIME("unix-time-seconds", .token = "EXAT", .id = COUNT_EXAT),
                        ARG_UNIX_TIME("unix-time-milliseconds", .token = "PXAT", .id = COUNT_PXAT),
                        ARG_TOKEN("persist", "PERSIST", .id = COUNT_PERSIST)),
              ARG_TOKEN("enx", "ENX", ARG_OPTIONAL, .id = COUNT_ENX))},
    {.name = "LCS",
     .run = run_lcs,
     .parse = handler_parses_itself,
     .arity = -3,
     .flags = CMD_READONLY,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "7.0.0",
     .complexity = "O(N*M)",
     .summary = "Finds the longest common subsequence of two strings.",
     ROW_KEYS({.flags = KEY_RO | KEY_ACCESS,
               .begin = KEY_BEGIN_INDEX,
               .begin_index = 1,
               .find = KEY_FIND_RANGE,
               .last = 1,
               .step = 1}),
     ROW_ARGS(ARG_KEY("key1", 0), ARG_KEY("key2", 0),
              ARG_TOKEN("len", "LEN", ARG_OPTIONAL, .id = LCS_LEN),
              ARG_TOKEN("idx", "IDX", ARG_OPTIONAL, .id = LCS_IDX),
              ARG_INTEGER("min-match-len", ARG_OPTIONAL, .token = "MINMATCHLEN",
                          .id = LCS_MINMATCHLEN, .check = check_integer),
              ARG_TOKEN("withmatchlen", "WITHMATCHLEN", ARG_OPTIONAL, .id = LCS_WITHMATCHLEN))},
    {.name = "SETRANGE",
     .run = run_setrange,
     .arity = 4,
     .flags = CMD_WRITE | CMD_DENYOOM,
     .acl = ACL_STRING,
     .scope = SCOPE_KEYS,
     .group = "string",
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Overwrites part of a string from an offset on.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("offset"), ARG_STRING("value"))},
};
const struct command_family string_edit_family = COMMAND_FAMILY(rows);

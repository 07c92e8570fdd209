/* cmd_hash.c - hashes: fields, numbers in them, random ones, scans. Deadlines of fields are in cmd_hash_expire.c. */
#include "base/glob.h"
#include "base/number.h"
#include "server/commands/draws.h"
#include "server/commands/handler.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/long_work.h"
#include "store/types/hash.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <tuco/mem.h>

enum { RANDOM_COUNT = 1, RANDOM_VALUES, SCAN_MATCH = 1, SCAN_COUNT, SCAN_NOVALUES };

#define ERR_HASH_NOT_INTEGER "ERR hash value is not an integer"
#define ERR_HASH_NOT_FLOAT   "ERR hash value is not a float"
#define ERR_HASH_NAN         "ERR value is NaN or Infinity"
#define ERR_COUNT_LONG                                                        \
    "ERR value is out of range, value must between -9223372036854775807 and " \
    "9223372036854775807"
#define ERR_COUNT_RANGE "ERR value is out of range"

/* Opens the hash for reading; false: the error has been replied. A missing one is empty. */
static bool open_hash(struct call *call, struct hash_view *v)
{
    if (hash_open(call->tx, handler_first_key(call), LOOKUP_READ, v) != STORE_WRONG_TYPE)
        return true;
    handler_error(call, STORE_WRONG_TYPE);
    return false;
}

/* ---- writing ---- */

static bool check_pairs(struct call *call)
{
    if (call->argc % 2 == 0)
        return true;
    reply_errorf(call->reply, ERR_ARITY, call->command->full_name);
    return false;
}

static void run_hset(struct call *call)
{
    size_t added;
    if (!check_pairs(call))
        return;
    enum store_result rc =
        hash_set(call->tx, handler_first_key(call), call->argv + 2, call->argc / 2 - 1, &added);
    if (rc == STORE_OK)
        reply_integer(call->reply, (int64_t)added);
    else
        handler_error(call, rc);
}

static void run_hmset(struct call *call)
{
    size_t added;
    if (!check_pairs(call))
        return;
    enum store_result rc =
        hash_set(call->tx, handler_first_key(call), call->argv + 2, call->argc / 2 - 1, &added);
    if (rc == STORE_OK)
        reply_ok(call->reply);
    else
        handler_error(call, rc);
}

static void run_hsetnx(struct call *call)
{
    enum store_result rc =
        hash_set_new(call->tx, handler_first_key(call), call->argv[2], call->argv[3]);
    if (rc == STORE_OK || rc == STORE_NOT_MET)
        reply_integer(call->reply, rc == STORE_OK);
    else
        handler_error(call, rc);
}

static void run_hdel(struct call *call)
{
    struct hash_view v;
    if (hash_open(call->tx, handler_first_key(call), LOOKUP_WRITE, &v) == STORE_WRONG_TYPE) {
        handler_error(call, STORE_WRONG_TYPE);
        return;
    }
    for (size_t i = 2; i < call->argc; i++)
        hash_take(&v, call->argv[i]);
    reply_integer(call->reply, (int64_t)v.changed);
    hash_commit(&v, "hdel");
}

static void run_hincrby(struct call *call)
{
    int64_t delta, value;
    if (!handler_integer(call, call->argv[3], &delta))
        return;
    enum store_result rc =
        hash_increment(call->tx, handler_first_key(call), call->argv[2], delta, &value);
    if (rc == STORE_OK)
        reply_integer(call->reply, value);
    else if (rc == STORE_NOT_INTEGER)
        reply_error(call->reply, ERR_HASH_NOT_INTEGER);
    else
        handler_error(call, rc);
}

static void run_hincrbyfloat(struct call *call)
{
    long double delta;
    char text[NUMBER_LONG_DOUBLE_SIZE];
    size_t size;
    if (!number_parse_long_double(call->argv[3], &delta)) {
        reply_error(call->reply, ERR_NOT_FLOAT);
        return;
    }
    if (isinf(delta)) {
        reply_error(call->reply, ERR_HASH_NAN);
        return;
    }
    enum store_result rc =
        hash_increment_float(call->tx, handler_first_key(call), call->argv[2], delta, text, &size);
    if (rc == STORE_OK)
        reply_bulk(call->reply, (struct slice){text, size});
    else if (rc == STORE_NOT_FLOAT)
        reply_error(call->reply, ERR_HASH_NOT_FLOAT);
    else
        handler_error(call, rc);
}

/* ---- reading ---- */

static void reply_field(struct call *call, const struct hash_view *v, struct slice field)
{
    struct hash_text value;
    if (hash_get(v, field, &value))
        reply_bulk(call->reply, value.bytes);
    else
        reply_null(call->reply);
}

static void run_hget(struct call *call)
{
    struct hash_view v;
    if (open_hash(call, &v))
        reply_field(call, &v, call->argv[2]);
}

static void run_hmget(struct call *call)
{
    struct hash_view v;
    if (!open_hash(call, &v))
        return;
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc; i++)
        reply_field(call, &v, call->argv[i]);
}

static void run_hlen(struct call *call)
{
    struct hash_view v;
    if (open_hash(call, &v))
        reply_integer(call->reply, (int64_t)hash_count(&v));
}

static void run_hstrlen(struct call *call)
{
    struct hash_view v;
    struct hash_text value;
    if (open_hash(call, &v))
        reply_integer(call->reply,
                      hash_get(&v, call->argv[2], &value) ? (int64_t)value.bytes.size : 0);
}

static void run_hexists(struct call *call)
{
    struct hash_view v;
    struct hash_text value;
    if (open_hash(call, &v))
        reply_integer(call->reply, hash_get(&v, call->argv[2], &value));
}

static void visit_both(void *context, struct slice field, struct slice value)
{
    reply_bulk(context, field);
    reply_bulk(context, value);
}

static void visit_field(void *context, struct slice field, struct slice value)
{
    reply_bulk(context, field);
}

static void visit_value(void *context, struct slice field, struct slice value)
{
    reply_bulk(context, value);
}

static void visit_pair(void *context, struct slice field, struct slice value)
{
    reply_array(context, 2);
    visit_both(context, field, value);
}

static void run_hgetall(struct call *call)
{
    struct hash_view v;
    if (!open_hash(call, &v))
        return;
    if (!long_work_begin(call->tx, hash_count(&v)))
        return;
    reply_map(call->reply, hash_count(&v));
    hash_each(&v, visit_both, call->reply);
}

static void run_hkeys(struct call *call)
{
    struct hash_view v;
    if (!open_hash(call, &v))
        return;
    if (!long_work_begin(call->tx, hash_count(&v)))
        return;
    reply_array(call->reply, hash_count(&v));
    hash_each(&v, visit_field, call->reply);
}

static void run_hvals(struct call *call)
{
    struct hash_view v;
    if (!open_hash(call, &v))
        return;
    if (!long_work_begin(call->tx, hash_count(&v)))
        return;
    reply_array(call->reply, hash_count(&v));
    hash_each(&v, visit_value, call->reply);
}

/* ---- random fields ---- */

/* The count and WITHVALUES of HRANDFIELD: false, and the error replied, if they are not right. */
static bool random_options(struct call *call, int64_t *count, bool *values)
{
    if (!handler_integer(call, call->argv[2], count))
        return false;
    *values = call->argc == 4;
    if (*count == INT64_MIN)
        reply_error(call->reply, ERR_COUNT_LONG);
    else if (call->argc > 4 || (*values && !slice_equal_nocase(call->argv[3], SLICE("withvalues"))))
        reply_error(call->reply, ERR_SYNTAX);
    else if (*values && (*count < -INT64_MAX / 2 || *count > INT64_MAX / 2))
        reply_error(call->reply, ERR_COUNT_RANGE);
    else
        return true;
    return false;
}

struct hash_draws {
    struct draws draws;
    const struct hash_view *view;
    hash_visit_fn visit;
};

static void draw_fields(const struct draws *draws, uint64_t n, struct reply *r)
{
    const struct hash_draws *d = (const struct hash_draws *)draws;
    hash_random_any(d->view, n, d->visit, r);
}

struct field_copy {
    hash_visit_fn visit;
    struct draws_copy *to;
};

static void copy_field(void *context, struct slice field, struct slice value)
{
    const struct field_copy *copy = context;
    copy->visit(draws_member(copy->to), field, value);
    draws_member_done(copy->to);
}

static void copy_fields(const struct draws *draws, struct draws_copy *to)
{
    const struct hash_draws *d = (const struct hash_draws *)draws;
    hash_each(d->view, copy_field, &(struct field_copy){d->visit, to});
}

static void run_hrandfield(struct call *call)
{
    struct hash_view v;
    int64_t count = 1;
    bool values = false, one = call->argc == 2;
    if ((!one && !random_options(call, &count, &values)) || !open_hash(call, &v))
        return;
    size_t all = hash_count(&v);
    if (one && all == 0) {
        reply_null(call->reply);
        return;
    }
    bool nested = values && reply_protocol(call->reply) > 2;
    uint64_t n = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
    if (all == 0 || (count > 0 && n > all))
        n = all;
    if (!long_work_begin(call->tx, n))
        return;
    hash_visit_fn visit = nested ? visit_pair : values ? visit_both : visit_field;
    if (!one)
        reply_array(call->reply, values && !nested ? 2 * n : n);
    if (n == 0)
        return;
    if (count < 0 || one)
        draws_reply(call, &(struct hash_draws){{all, draw_fields, copy_fields}, &v, visit}.draws,
                    n);
    else
        hash_random_distinct(&v, n, visit, call->reply);
}

/* ---- HSCAN ---- */

struct scan {
    struct reply *reply;
    struct slice pattern;
    bool any, values;
    size_t count;
};

static void scan_field(void *context, struct slice field, struct slice value)
{
    struct scan *s = context;
    if (!s->any && !glob_match(s->pattern, field, false))
        return;
    reply_bulk(s->reply, field);
    s->count++;
    if (s->values) {
        reply_bulk(s->reply, value);
        s->count++;
    }
}

static void scan_nobody(void *context, struct slice field, struct slice value) {}

/* The cursor comes before the fields: a first pass over the same buckets, which visits nobody, tells it. */
static void scan_hash(struct call *call, const struct hash_view *v, uint64_t cursor)
{
    struct handler_scan options = handler_scan_options(call, SCAN_MATCH, SCAN_COUNT);
    struct scan s = {.reply = call->reply,
                     .pattern = options.pattern,
                     .any = options.any,
                     .values = !args_has(call->args, SCAN_NOVALUES)};
    reply_array(call->reply, 2);
    uint64_t next = hash_scan(v, cursor, options.count, scan_nobody, NULL);
    char digits[NUMBER_INT64_MAX_SIZE];
    reply_bulk(call->reply, (struct slice){digits, number_format_uint64(digits, next)});
    struct reply_mark mark = reply_deferred_begin(call->reply);
    hash_scan(v, cursor, options.count, scan_field, &s);
    reply_deferred_array(call->reply, mark, s.count);
}

static void run_hscan(struct call *call)
{
    struct hash_view v;
    uint64_t cursor;
    const char *error;
    if (!handler_cursor(call->argv[2], &cursor)) {
        reply_error(call->reply, ERR_CURSOR);
        return;
    }
    if (!open_hash(call, &v))
        return;
    if (!v.f.entry) {
        reply_array(call->reply, 2);
        reply_bulk_string(call->reply, "0");
        reply_array(call->reply, 0);
    } else if (!args_match(call->command, call->argv, call->argc, call->args, &error)) {
        reply_error(call->reply, error);
    } else {
        scan_hash(call, &v, cursor);
    }
}

/* ---- rows ---- */

static const struct command rows[] = {
    {.name = "HDEL",
     .run = run_hdel,
     .arity = -3,
     .flags = CMD_FAST | CMD_WRITE,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "2.0.0",
     .complexity = "O(N)",
     .summary = "Removes fields, and the hash with the last of them.",
     .history = ROW_WORDS("2.4.0", "Several fields at once."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("field", ARG_MULTIPLE))},
    {.name = "HEXISTS",
     .run = run_hexists,
     .arity = 3,
     .flags = CMD_FAST | CMD_READONLY,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "2.0.0",
     .complexity = "O(1)",
     .summary = "Tells whether a hash has a field.",
     ROW_KEYS(KEY_AT(1, KEY_RO)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("field"))},
    {.name = "HGET",
     .run = run_hget,
     .arity = 3,
     .flags = CMD_FAST | CMD_READONLY,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "2.0.0",
     .complexity = "O(1)",
     .summary = "Tells the value of a field.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("field"))},
    {.name = "HGETALL",
     .run = run_hgetall,
     .arity = 2,
     .flags = CMD_READONLY,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "2.0.0",
     .complexity = "O(N)",
     .summary = "Tells all fields of a hash with their values.",
     .tips = ROW_WORDS("nondeterministic_output_order"),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "HINCRBY",
     .run = run_hincrby,
     .arity = 4,
     .flags = CMD_DENYOOM | CMD_FAST | CMD_WRITE,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "2.0.0",
     .complexity = "O(1)",
     .summary = "Adds a whole number to a field; a missing one counts as 0.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("field"), ARG_INTEGER("increment"))},
    {.name = "HINCRBYFLOAT",
     .run = run_hincrbyfloat,
     .arity = 4,
     .flags = CMD_DENYOOM | CMD_FAST | CMD_WRITE,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Adds a decimal fraction to a field; a missing one counts as 0.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("field"), ARG_DOUBLE("increment"))},
    {.name = "HKEYS",
     .run = run_hkeys,
     .arity = 2,
     .flags = CMD_READONLY,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "2.0.0",
     .complexity = "O(N)",
     .summary = "Tells the names of all fields.",
     .tips = ROW_WORDS("nondeterministic_output_order"),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "HLEN",
     .run = run_hlen,
     .arity = 2,
     .flags = CMD_FAST | CMD_READONLY,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "2.0.0",
     .complexity = "O(1)",
     .summary = "Counts the fields of a hash.",
     ROW_KEYS(KEY_AT(1, KEY_RO)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {.name = "HMGET",
     .run = run_hmget,
     .arity = -3,
     .flags = CMD_FAST | CMD_READONLY,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "2.0.0",
     .complexity = "O(N)",
     .summary = "Tells the values of several fields, null for those that are not there.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("field", ARG_MULTIPLE))},
    {.name = "HMSET",
     .run = run_hmset,
     .parse = handler_parses_itself,
     .arity = -4,
     .flags = CMD_DENYOOM | CMD_FAST | CMD_WRITE,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "2.0.0",
     .complexity = "O(N)",
     .summary = "Sets fields of a hash: the old form of HSET.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0),
              ARG_BLOCK("data", (ARG_MULTIPLE), ARG_STRING("field"), ARG_STRING("value")))},
    {.name = "HRANDFIELD",
     .run = run_hrandfield,
     .parse = handler_parses_itself,
     .arity = -2,
     .flags = CMD_READONLY,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "6.2.0",
     .complexity = "O(N)",
     .summary = "Tells random fields of a hash.",
     .tips = ROW_WORDS("nondeterministic_output"),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0),
              ARG_BLOCK("options", (ARG_OPTIONAL), ARG_INTEGER("count", .id = RANDOM_COUNT),
                        ARG_TOKEN("withvalues", "WITHVALUES", ARG_OPTIONAL, .id = RANDOM_VALUES)))},
    {.name = "HSCAN",
     .run = run_hscan,
     .parse = handler_parses_itself,
     .arity = -3,
     .flags = CMD_READONLY,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "2.8.0",
     .complexity = "O(1)",
     .summary = "Goes through the fields of a hash in small steps.",
     .tips = ROW_WORDS("nondeterministic_output"),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("cursor"),
              ARG_PATTERN("pattern", ARG_OPTIONAL, .token = "MATCH", .id = SCAN_MATCH),
              ARG_INTEGER("count", ARG_OPTIONAL, .token = "COUNT", .id = SCAN_COUNT,
                          .check = handler_check_scan_count),
              ARG_TOKEN("novalues", "NOVALUES", ARG_OPTIONAL, .id = SCAN_NOVALUES))},
    {.name = "HSET",
     .run = run_hset,
     .parse = handler_parses_itself,
     .arity = -4,
     .flags = CMD_DENYOOM | CMD_FAST | CMD_WRITE,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "2.0.0",
     .complexity = "O(1)",
     .summary = "Sets fields of a hash.",
     .history = ROW_WORDS("4.0.0", "Several fields at once."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0),
              ARG_BLOCK("data", (ARG_MULTIPLE), ARG_STRING("field"), ARG_STRING("value")))},
    {.name = "HSETNX",
     .run = run_hsetnx,
     .arity = 4,
     .flags = CMD_DENYOOM | CMD_FAST | CMD_WRITE,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "2.0.0",
     .complexity = "O(1)",
     .summary = "Sets a field of a hash if there is no such field.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_INSERT)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("field"), ARG_STRING("value"))},
    {.name = "HSTRLEN",
     .run = run_hstrlen,
     .arity = 3,
     .flags = CMD_FAST | CMD_READONLY,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "3.2.0",
     .complexity = "O(1)",
     .summary = "Tells the length of a field's value in bytes.",
     ROW_KEYS(KEY_AT(1, KEY_RO)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("field"))},
    {.name = "HVALS",
     .run = run_hvals,
     .arity = 2,
     .flags = CMD_READONLY,
     .acl = ACL_HASH,
     .scope = SCOPE_KEYS,
     .group = "hash",
     .since = "2.0.0",
     .complexity = "O(N)",
     .summary = "Tells the values of all fields.",
     .tips = ROW_WORDS("nondeterministic_output_order"),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0))},
};
const struct command_family hash_family = COMMAND_FAMILY(rows);

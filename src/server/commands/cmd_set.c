/* cmd_set.c - sets: members, random ones, scans, and what several sets make together. */
#include "base/glob.h"
#include "base/number.h"
#include "server/commands/draws.h"
#include "server/commands/handler.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/long_work.h"
#include "store/types/set.h"

#include <tuco/mem.h>

enum { SCAN_MATCH = 1, SCAN_COUNT, CARD_NUMKEYS = 1, CARD_LIMIT };

#define ERR_NUMKEYS_MORE   "ERR Number of keys can't be greater than number of args"
#define ERR_LIMIT_NEGATIVE "ERR LIMIT can't be negative"

/* Opens the set for reading; false: the error has been replied. A missing one is empty. */
static bool open_set(struct call *call, struct set_view *v)
{
    if (set_open(call->tx, handler_first_key(call), LOOKUP_READ, v) != STORE_WRONG_TYPE)
        return true;
    handler_error(call, STORE_WRONG_TYPE);
    return false;
}

static void reply_number(struct call *call, enum store_result rc, size_t n)
{
    if (rc == STORE_OK || rc == STORE_MISSING)
        reply_integer(call->reply, (int64_t)n);
    else
        handler_error(call, rc);
}

static void visit_member(void *context, struct slice member)
{
    reply_bulk(context, member);
}

/* ---- members ---- */

static void run_sadd(struct call *call)
{
    size_t added;
    enum store_result rc =
        set_add(call->tx, handler_first_key(call), call->argv + 2, call->argc - 2, &added);
    reply_number(call, rc, added);
}

static void run_srem(struct call *call)
{
    size_t removed;
    enum store_result rc =
        set_remove(call->tx, handler_first_key(call), call->argv + 2, call->argc - 2, &removed);
    reply_number(call, rc, removed);
}

static void run_smove(struct call *call)
{
    enum store_result rc =
        set_move(call->tx, handler_key(call, 0, 1), handler_key(call, 1, 2), call->argv[3]);
    if (rc == STORE_SAME)
        rc = STORE_OK;
    reply_number(call, rc, rc == STORE_OK);
}

static void run_scard(struct call *call)
{
    struct set_view v;
    if (open_set(call, &v))
        reply_integer(call->reply, (int64_t)set_count(&v));
}

static void run_sismember(struct call *call)
{
    struct set_view v;
    if (open_set(call, &v))
        reply_integer(call->reply, set_contains(&v, call->argv[2]));
}

static void run_smismember(struct call *call)
{
    struct set_view v;
    if (!open_set(call, &v))
        return;
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc; i++)
        reply_integer(call->reply, set_contains(&v, call->argv[i]));
}

static void reply_members(struct call *call, const struct set_view *v)
{
    struct set_iterator it;
    struct slice member;
    set_iterate(v, &it);
    while (set_next(&it, &member))
        reply_bulk(call->reply, member);
}

static void run_smembers(struct call *call)
{
    struct set_view v;
    if (!open_set(call, &v))
        return;
    if (!long_work_begin(call->tx, set_count(&v)))
        return;
    reply_set(call->reply, set_count(&v));
    reply_members(call, &v);
}

/* ---- random ones ---- */

static void begin_set(void *context, size_t count)
{
    reply_set(context, count);
}

static void run_spop(struct call *call)
{
    int64_t count = 1;
    bool many = call->argc > 2;
    struct set_visitor visitor = {many ? begin_set : NULL, visit_member, call->reply};
    if (call->argc > 3) {
        reply_error(call->reply, ERR_SYNTAX);
        return;
    }
    if (many && (!number_parse_int64(call->argv[2], &count) || count < 0)) {
        reply_error(call->reply, ERR_NOT_POSITIVE);
        return;
    }
    enum store_result rc = set_pop(call->tx, handler_first_key(call), (uint64_t)count, &visitor);
    if (rc == STORE_MISSING && many)
        reply_set(call->reply, 0);
    else if (rc == STORE_MISSING)
        reply_null(call->reply);
    else if (rc != STORE_OK)
        handler_error(call, rc);
}

struct set_draws {
    struct draws draws;
    const struct set_view *view;
};

static void draw_members(const struct draws *d, uint64_t n, struct reply *r)
{
    set_random_any(((const struct set_draws *)d)->view, n, visit_member, r);
}

static void copy_members(const struct draws *d, struct draws_copy *to)
{
    struct set_iterator it;
    struct slice member;
    set_iterate(((const struct set_draws *)d)->view, &it);
    while (set_next(&it, &member)) {
        reply_bulk(draws_member(to), member);
        draws_member_done(to);
    }
}

static void reply_random(struct call *call, const struct set_view *v, int64_t count)
{
    size_t all = set_count(v);
    uint64_t n = count < 0 ? 0 - (uint64_t)count : (uint64_t)count;
    if (all == 0 || (count > 0 && n > all))
        n = all;
    if (!long_work_begin(call->tx, n))
        return;
    reply_array(call->reply, n);
    if (n == 0)
        return;
    if (count < 0)
        draws_reply(call, &(struct set_draws){{all, draw_members, copy_members}, v}.draws, n);
    else if (n == all)
        reply_members(call, v);
    else
        set_random_distinct(v, n, visit_member, call->reply);
}

static void run_srandmember(struct call *call)
{
    struct set_view v;
    int64_t count = 1;
    bool many = call->argc > 2;
    if (call->argc > 3) {
        reply_error(call->reply, ERR_SYNTAX);
        return;
    }
    if (many && !handler_integer(call, call->argv[2], &count))
        return;
    if (count == INT64_MIN) {
        reply_error(call->reply, ERR_LONG_RANGE);
        return;
    }
    if (!open_set(call, &v))
        return;
    if (many)
        reply_random(call, &v, count);
    else if (!v.entry)
        reply_null(call->reply);
    else
        set_random_any(&v, 1, visit_member, call->reply);
}

/* ---- SSCAN ---- */

struct scan {
    struct reply *reply;
    struct slice pattern;
    bool any;
    size_t count;
};

static void scan_member(void *context, struct slice member)
{
    struct scan *s = context;
    if (!s->any && !glob_match(s->pattern, member, false))
        return;
    reply_bulk(s->reply, member);
    s->count++;
}

static void scan_nobody(void *context, struct slice member) {}

/* The cursor comes before the members: a first pass over the same buckets, which visits nobody, tells it. */
static void scan_set(struct call *call, const struct set_view *v, uint64_t cursor)
{
    struct handler_scan options = handler_scan_options(call, SCAN_MATCH, SCAN_COUNT);
    struct scan s = {.reply = call->reply, .pattern = options.pattern, .any = options.any};
    reply_array(call->reply, 2);
    uint64_t next = set_scan(v, cursor, options.count, scan_nobody, NULL);
    char digits[NUMBER_INT64_MAX_SIZE];
    reply_bulk(call->reply, (struct slice){digits, number_format_uint64(digits, next)});
    struct reply_mark mark = reply_deferred_begin(call->reply);
    set_scan(v, cursor, options.count, scan_member, &s);
    reply_deferred_array(call->reply, mark, s.count);
}

static void run_sscan(struct call *call)
{
    struct set_view v;
    uint64_t cursor;
    const char *error;
    if (!handler_cursor(call->argv[2], &cursor)) {
        reply_error(call->reply, ERR_CURSOR);
        return;
    }
    if (!open_set(call, &v))
        return;
    if (!v.entry) {
        reply_array(call->reply, 2);
        reply_bulk_string(call->reply, "0");
        reply_array(call->reply, 0);
    } else if (!args_match(call->command, call->argv, call->argc, call->args, &error)) {
        reply_error(call->reply, handler_scan_error(call, error));
    } else {
        scan_set(call, &v, cursor);
    }
}

/* ---- several sets ---- */

/* The keys of a call from number `nth` on, which stand at argv[word] and behind it. */
struct key_list {
    struct store_key *keys;
    size_t count;
    struct store_key few[16];
};

static bool take_keys(struct call *call, size_t nth, size_t word, struct key_list *list)
{
    list->keys = list->few;
    list->count = call->key_count - nth;
    if (list->count > sizeof list->few / sizeof *list->few &&
        (list->keys = tu_alloc(list->count * sizeof *list->keys)) == NULL) {
        handler_error(call, STORE_NO_MEMORY);
        return false;
    }
    for (size_t i = 0; i < list->count; i++)
        list->keys[i] = handler_key(call, nth + i, word + i);
    return true;
}

static void drop_keys(struct key_list *list)
{
    if (list->keys != list->few)
        tu_free(list->keys);
}

struct combined {
    struct reply *reply;
    struct reply_mark mark; /* of the set, begun with its first member */
    size_t count;
};

static void show_combined(void *context, struct slice member)
{
    struct combined *c = context;
    if (c->count++ == 0)
        c->mark = reply_deferred_begin(c->reply);
    reply_bulk(c->reply, member);
}

static void combine(struct call *call, enum set_operator op)
{
    struct key_list list;
    struct combined c = {.reply = call->reply};
    if (!take_keys(call, 0, 1, &list))
        return;
    enum store_result rc = set_combine(call->tx, op, list.keys, list.count, 0, show_combined, &c);
    if (rc != STORE_OK)
        handler_error(call, rc);
    else if (c.count > 0)
        reply_deferred_set(call->reply, c.mark, c.count);
    else
        reply_set(call->reply, 0);
    drop_keys(&list);
}

static void combine_store(struct call *call, enum set_operator op, const char *event)
{
    struct key_list list;
    size_t size = 0;
    if (!take_keys(call, 1, 2, &list))
        return;
    enum store_result rc = set_combine_store(call->tx, op, handler_key(call, 0, 1), list.keys,
                                             list.count, event, &size);
    reply_number(call, rc, size);
    drop_keys(&list);
}

static void run_sunion(struct call *call)
{
    combine(call, SET_UNION);
}

static void run_sinter(struct call *call)
{
    combine(call, SET_INTERSECTION);
}

static void run_sdiff(struct call *call)
{
    combine(call, SET_DIFFERENCE);
}

static void run_sunionstore(struct call *call)
{
    combine_store(call, SET_UNION, "sunionstore");
}

static void run_sinterstore(struct call *call)
{
    combine_store(call, SET_INTERSECTION, "sinterstore");
}

static void run_sdiffstore(struct call *call)
{
    combine_store(call, SET_DIFFERENCE, "sdiffstore");
}

/* ---- SINTERCARD ---- */

static bool parse_sintercard(const struct command *command, const struct slice *argv, size_t argc,
                             struct args *out, const char **error)
{
    int64_t count;
    if (!number_parse_int64(argv[1], &count) || count < 1) {
        *error = ERR_NUMKEYS_ZERO;
        return false;
    }
    if ((uint64_t)count > argc - 2) {
        *error = ERR_NUMKEYS_MORE;
        return false;
    }
    return args_match(command, argv, argc, out, error);
}

static const char *check_limit(struct slice word, struct args *out)
{
    int64_t limit;
    return number_parse_int64(word, &limit) && limit >= 0 ? NULL : ERR_LIMIT_NEGATIVE;
}

static void count_member(void *context, struct slice member)
{
    ++*(size_t *)context;
}

static void run_sintercard(struct call *call)
{
    struct key_list list;
    size_t size = 0;
    int64_t limit = 0;
    if (args_has(call->args, CARD_LIMIT))
        (void)number_parse_int64(call->argv[args_at(call->args, CARD_LIMIT)], &limit);
    if (!take_keys(call, 0, 2, &list))
        return;
    enum store_result rc = set_combine(call->tx, SET_INTERSECTION, list.keys, list.count,
                                       (uint64_t)limit, count_member, &size);
    reply_number(call, rc, size);
    drop_keys(&list);
}

/* ---- rows ---- */

#define SET_ROW(command_name, handler, words, version)                          \
    .name = (command_name), .run = (handler), .arity = (words), .acl = ACL_SET, \
    .scope = SCOPE_KEYS, .group = "set", .since = (version)
#define ROW_KEY_AND_MEMBERS ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("member", ARG_MULTIPLE))
#define ROW_COMBINE                                     \
    .tips = ROW_WORDS("nondeterministic_output_order"), \
    ROW_KEYS(KEYS_FROM(1, 1, KEY_RO | KEY_ACCESS)), ROW_ARGS(ARG_KEY("key", 0, ARG_MULTIPLE))
#define ROW_COMBINE_STORE                                                           \
    ROW_KEYS(KEY_AT(1, KEY_OW | KEY_UPDATE), KEYS_FROM(2, 1, KEY_RO | KEY_ACCESS)), \
        ROW_ARGS(ARG_KEY("destination", 0), ARG_KEY("key", 1, ARG_MULTIPLE))

static const struct command rows[] = {
    {SET_ROW("SADD", run_sadd, -3, "1.0.0"), .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .complexity = "O(1)", .summary = "Adds members to a set.",
     .history = ROW_WORDS("2.4.0", "Several members."), ROW_KEYS(KEY_AT(1, KEY_RW | KEY_INSERT)),
     ROW_KEY_AND_MEMBERS},
    {SET_ROW("SCARD", run_scard, 2, "1.0.0"), .flags = CMD_READONLY | CMD_FAST,
     .complexity = "O(1)", .summary = "Counts the members of a set.", ROW_KEYS(KEY_AT(1, KEY_RO)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {SET_ROW("SDIFF", run_sdiff, -2, "1.0.0"), .flags = CMD_READONLY, .complexity = "O(N)",
     .summary = "Tells the members of the first set that no other has.", ROW_COMBINE},
    {SET_ROW("SDIFFSTORE", run_sdiffstore, -3, "1.0.0"), .flags = CMD_WRITE | CMD_DENYOOM,
     .complexity = "O(N)", .summary = "Stores the members of the first set that no other has.",
     ROW_COMBINE_STORE},
    {SET_ROW("SINTER", run_sinter, -2, "1.0.0"), .flags = CMD_READONLY, .complexity = "O(N*M)",
     .summary = "Tells the members that all sets have.", ROW_COMBINE},
    {SET_ROW("SINTERCARD", run_sintercard, -3, "7.0.0"), .parse = parse_sintercard,
     .flags = CMD_READONLY | CMD_MOVABLE_KEYS, .complexity = "O(N*M)",
     .summary = "Counts the members that all sets have, up to a limit.",
     ROW_KEYS(KEYS_COUNTED(1, 1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_INTEGER("numkeys", .id = CARD_NUMKEYS),
              ARG_KEY("key", 0, ARG_MULTIPLE, .repeats_by = CARD_NUMKEYS),
              ARG_INTEGER("limit", .token = "LIMIT", ARG_OPTIONAL, .id = CARD_LIMIT,
                          .check = check_limit))},
    {SET_ROW("SINTERSTORE", run_sinterstore, -3, "1.0.0"), .flags = CMD_WRITE | CMD_DENYOOM,
     .complexity = "O(N*M)", .summary = "Stores the members that all sets have.",
     ROW_COMBINE_STORE},
    {SET_ROW("SISMEMBER", run_sismember, 3, "1.0.0"), .flags = CMD_READONLY | CMD_FAST,
     .complexity = "O(1)", .summary = "Tells whether a set has a member.",
     ROW_KEYS(KEY_AT(1, KEY_RO)), ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("member"))},
    {SET_ROW("SMEMBERS", run_smembers, 2, "1.0.0"), .flags = CMD_READONLY, .complexity = "O(N)",
     .summary = "Tells all members of a set.", .tips = ROW_WORDS("nondeterministic_output_order"),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)), ROW_ARGS(ARG_KEY("key", 0))},
    {SET_ROW("SMISMEMBER", run_smismember, -3, "6.2.0"), .flags = CMD_READONLY | CMD_FAST,
     .complexity = "O(N)", .summary = "Tells of several members whether a set has them.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)), ROW_KEY_AND_MEMBERS},
    {SET_ROW("SMOVE", run_smove, 4, "1.0.0"), .flags = CMD_WRITE | CMD_FAST, .complexity = "O(1)",
     .summary = "Takes a member from one set and adds it to another.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_RW | KEY_INSERT)),
     ROW_ARGS(ARG_KEY("source", 0), ARG_KEY("destination", 1), ARG_STRING("member"))},
    {SET_ROW("SPOP", run_spop, -2, "1.0.0"), .parse = handler_parses_itself,
     .flags = CMD_WRITE | CMD_FAST, .summary = "Takes random members out of a set, and tells them.",
     .tips = ROW_WORDS("nondeterministic_output"), .history = ROW_WORDS("3.2.0", "The count."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("count", ARG_OPTIONAL, .since = "3.2.0"))},
    {SET_ROW("SRANDMEMBER", run_srandmember, -2, "1.0.0"), .parse = handler_parses_itself,
     .flags = CMD_READONLY, .summary = "Tells random members of a set.",
     .tips = ROW_WORDS("nondeterministic_output"), .history = ROW_WORDS("2.6.0", "The count."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("count", ARG_OPTIONAL, .since = "2.6.0"))},
    {SET_ROW("SREM", run_srem, -3, "1.0.0"), .flags = CMD_WRITE | CMD_FAST, .complexity = "O(N)",
     .summary = "Removes members, and the set with the last of them.",
     .history = ROW_WORDS("2.4.0", "Several members."), ROW_KEYS(KEY_AT(1, KEY_RW | KEY_DELETE)),
     ROW_KEY_AND_MEMBERS},
    {SET_ROW("SSCAN", run_sscan, -3, "2.8.0"), .parse = handler_parses_itself,
     .flags = CMD_READONLY, .complexity = "O(1)",
     .summary = "Tells the members of a set part by part.",
     .tips = ROW_WORDS("nondeterministic_output"), ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("cursor"),
              ARG_PATTERN("pattern", .token = "MATCH", ARG_OPTIONAL, .id = SCAN_MATCH),
              ARG_INTEGER("count", .token = "COUNT", ARG_OPTIONAL, .id = SCAN_COUNT,
                          .check = handler_check_scan_count))},
    {SET_ROW("SUNION", run_sunion, -2, "1.0.0"), .flags = CMD_READONLY, .complexity = "O(N)",
     .summary = "Tells the members that any of the sets has.", ROW_COMBINE},
    {SET_ROW("SUNIONSTORE", run_sunionstore, -3, "1.0.0"), .flags = CMD_WRITE | CMD_DENYOOM,
     .complexity = "O(N)", .summary = "Stores the members that any of the sets has.",
     ROW_COMBINE_STORE},
};
const struct command_family set_family = COMMAND_FAMILY(rows);

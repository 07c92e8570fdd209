/* cmd_list.c - lists: their ends, their elements by index and by value, and moving between them.
 *
 * Redis looks at some arguments before the key and at others after it; where a handler seems to do things in an odd
 * order, that is why.
 */
#include "server/commands/cmd_list.h"

#include "base/number.h"
#include "server/reply.h"
#include "server/reply_errors.h"

#include <stdio.h>

enum {
    LIST_BEFORE = 1,
    LIST_AFTER,
    LIST_FROM_LEFT,
    LIST_FROM_RIGHT,
    LIST_TO_LEFT,
    LIST_TO_RIGHT,
    LIST_NUMKEYS,
    LIST_COUNT,
    LIST_RANK,
    LIST_MAXLEN,
};

static void show_array(void *context, size_t count)
{
    reply_array(context, count);
}

static void show_element(void *context, struct slice element)
{
    reply_bulk(context, element);
}

static struct list_visitor one_element(const struct call *call)
{
    return (struct list_visitor){.each = show_element, .context = call->reply};
}

static struct list_visitor many_elements(const struct call *call)
{
    return (struct list_visitor){show_array, show_element, call->reply};
}

/* What the visitor has not shown. */
static void reply_not_shown(const struct call *call, enum store_result result)
{
    if (result == STORE_MISSING)
        reply_null(call->reply);
    else if (result != STORE_OK)
        handler_error(call, result);
}

static void reply_size(const struct call *call, enum store_result result, size_t size)
{
    if (result == STORE_OK || result == STORE_MISSING)
        reply_integer(call->reply, (int64_t)size);
    else
        handler_error(call, result);
}

static void reply_done(const struct call *call, enum store_result result)
{
    if (result == STORE_OK)
        reply_ok(call->reply);
    else
        handler_error(call, result);
}

/* ---- ends ---- */

static void push(const struct call *call, enum list_end end, bool only_if_exists)
{
    size_t size;
    enum store_result result = list_push(call->tx, handler_first_key(call), end, call->argv + 2,
                                         call->argc - 2, only_if_exists, &size);
    reply_size(call, result, size);
}

static void run_lpush(struct call *call)
{
    push(call, LIST_LEFT, false);
}

static void run_rpush(struct call *call)
{
    push(call, LIST_RIGHT, false);
}

static void run_lpushx(struct call *call)
{
    push(call, LIST_LEFT, true);
}

static void run_rpushx(struct call *call)
{
    push(call, LIST_RIGHT, true);
}

/* A key and at most a count; one word more is a wrong number of arguments rather than a syntax error. */
static bool parse_pop(const struct command *command, const struct slice *argv, size_t argc,
                      struct args *out, const char **error)
{
    if (argc <= 3)
        return true;
    (void)snprintf(out->message, sizeof out->message, ERR_ARITY, command->full_name);
    *error = out->message;
    return false;
}

static void pop(const struct call *call, enum list_end end)
{
    int64_t count = 1;
    bool many = call->argc > 2;
    struct list_visitor shown = many ? many_elements(call) : one_element(call);
    if (many && (!number_parse_int64(call->argv[2], &count) || count < 0)) {
        reply_error(call->reply, ERR_NOT_POSITIVE);
        return;
    }
    enum store_result result =
        list_pop(call->tx, handler_first_key(call), end, (size_t)count, &shown);
    if (many && result == STORE_MISSING)
        reply_null_array(call->reply);
    else
        reply_not_shown(call, result);
}

static void run_lpop(struct call *call)
{
    pop(call, LIST_LEFT);
}

static void run_rpop(struct call *call)
{
    pop(call, LIST_RIGHT);
}

struct popped {
    struct reply *reply;
    struct slice key;
};

static void show_popped(void *context, size_t count)
{
    const struct popped *p = context;
    reply_array(p->reply, 2);
    reply_bulk(p->reply, p->key);
    reply_array(p->reply, count);
}

static void show_popped_element(void *context, struct slice element)
{
    reply_bulk(((const struct popped *)context)->reply, element);
}

bool list_reply_mpop(const struct call *call, size_t first, enum list_end end, size_t count)
{
    for (size_t i = 0; i < call->key_count; i++) {
        struct popped popped = {call->reply, call->argv[first + i]};
        struct list_visitor shown = {show_popped, show_popped_element, &popped};
        enum store_result result =
            list_pop(call->tx, handler_key(call, i, first + i), end, count, &shown);
        if (result == STORE_MISSING)
            continue;
        reply_not_shown(call, result);
        return true;
    }
    return false;
}

static void run_lmpop(struct call *call)
{
    int64_t count = 1;
    enum list_end end = args_has(call->args, LIST_FROM_LEFT) ? LIST_LEFT : LIST_RIGHT;
    if (args_has(call->args, LIST_COUNT))
        (void)number_parse_int64(call->argv[args_at(call->args, LIST_COUNT)], &count);
    if (!list_reply_mpop(call, 2, end, (size_t)count))
        reply_null_array(call->reply);
}

static void move(const struct call *call, enum list_end from, enum list_end to)
{
    struct list_visitor shown = one_element(call);
    reply_not_shown(call, list_move(call->tx, handler_key(call, 0, 1), from,
                                    handler_key(call, 1, 2), to, &shown));
}

static void run_lmove(struct call *call)
{
    move(call, args_has(call->args, LIST_FROM_LEFT) ? LIST_LEFT : LIST_RIGHT,
         args_has(call->args, LIST_TO_LEFT) ? LIST_LEFT : LIST_RIGHT);
}

static void run_rpoplpush(struct call *call)
{
    move(call, LIST_RIGHT, LIST_LEFT);
}

/* ---- by index ---- */

static void run_llen(struct call *call)
{
    size_t size;
    enum store_result result = list_size(call->tx, handler_first_key(call), &size);
    reply_size(call, result, size);
}

/* An index that is looked at after the key: what is wrong with the key is said first. False: replied. */
static bool index_after_key(const struct call *call, struct slice word, int64_t *index,
                            bool missing_is_error)
{
    size_t size;
    if (number_parse_int64(word, index))
        return true;
    enum store_result result = list_size(call->tx, handler_first_key(call), &size);
    if (result == STORE_OK)
        reply_error(call->reply, ERR_NOT_INTEGER);
    else if (missing_is_error)
        handler_error(call, result);
    else
        reply_not_shown(call, result);
    return false;
}

static void run_lindex(struct call *call)
{
    int64_t index;
    struct list_visitor shown = one_element(call);
    if (!index_after_key(call, call->argv[2], &index, false))
        return;
    enum store_result result = list_get(call->tx, handler_first_key(call), index, &shown);
    reply_not_shown(call, result == STORE_OUT_OF_RANGE ? STORE_MISSING : result);
}

static void run_lset(struct call *call)
{
    int64_t index;
    if (index_after_key(call, call->argv[2], &index, true))
        reply_done(call, list_set(call->tx, handler_first_key(call), index, call->argv[3]));
}

static bool take_range(const struct call *call, int64_t *first, int64_t *last)
{
    return handler_integer(call, call->argv[2], first) &&
           handler_integer(call, call->argv[3], last);
}

static void run_lrange(struct call *call)
{
    int64_t first, last;
    struct list_visitor shown = many_elements(call);
    if (!take_range(call, &first, &last))
        return;
    enum store_result result = list_range(call->tx, handler_first_key(call), first, last, &shown);
    if (result == STORE_MISSING)
        reply_array(call->reply, 0);
    else
        reply_not_shown(call, result);
}

static void run_ltrim(struct call *call)
{
    int64_t first, last;
    if (!take_range(call, &first, &last))
        return;
    enum store_result result = list_trim(call->tx, handler_first_key(call), first, last);
    reply_done(call, result == STORE_MISSING ? STORE_OK : result);
}

/* ---- by value ---- */

static void run_lrem(struct call *call)
{
    int64_t count;
    size_t removed;
    if (!handler_integer(call, call->argv[2], &count))
        return;
    if (count == INT64_MIN) {
        reply_error(call->reply, ERR_LONG_RANGE);
        return;
    }
    enum store_result result =
        list_remove(call->tx, handler_first_key(call), count, call->argv[3], &removed);
    reply_size(call, result, removed);
}

static void run_linsert(struct call *call)
{
    size_t size;
    bool after = args_has(call->args, LIST_AFTER);
    enum store_result result =
        list_insert(call->tx, handler_first_key(call), after, call->argv[3], call->argv[4], &size);
    if (result == STORE_NOT_MET)
        reply_integer(call->reply, -1);
    else
        reply_size(call, result, size);
}

static const char *check_rank(struct slice word, struct args *out)
{
    int64_t rank;
    if (!number_parse_int64(word, &rank))
        return ERR_NOT_INTEGER;
    return rank == INT64_MIN ? ERR_LONG_RANGE : rank == 0 ? ERR_RANK_ZERO : NULL;
}

static bool is_natural(struct slice word)
{
    int64_t n;
    return number_parse_int64(word, &n) && n >= 0;
}

static const char *check_matches(struct slice word, struct args *out)
{
    return is_natural(word) ? NULL : ERR_COUNT_NEGATIVE;
}

static const char *check_maxlen(struct slice word, struct args *out)
{
    return is_natural(word) ? NULL : ERR_MAXLEN_NEGATIVE;
}

/* The value of an option, which its check has passed. */
static int64_t option(const struct call *call, unsigned id, int64_t otherwise)
{
    int64_t value = otherwise;
    if (call->argc > 3 && args_has(call->args, id))
        (void)number_parse_int64(call->argv[args_at(call->args, id)], &value);
    return value;
}

struct positions {
    struct reply *reply;
    struct reply_mark mark; /* of an array, begun with its first element */
    bool many;
    size_t count;
};

static void show_position(void *context, size_t index)
{
    struct positions *p = context;
    if (p->count++ == 0 && p->many)
        p->mark = reply_deferred_begin(p->reply);
    reply_integer(p->reply, (int64_t)index);
}

static void run_lpos(struct call *call)
{
    struct positions found = {.reply = call->reply};
    found.many = call->argc > 3 && args_has(call->args, LIST_COUNT);
    struct list_search search = {
        .value = call->argv[2],
        .rank = option(call, LIST_RANK, 1),
        .count = (uint64_t)option(call, LIST_COUNT, 1),
        .maxlen = (uint64_t)option(call, LIST_MAXLEN, 0),
    };
    enum store_result result =
        list_search(call->tx, handler_first_key(call), &search, show_position, &found);
    if (result == STORE_WRONG_TYPE)
        handler_error(call, result);
    else if (found.many && found.count > 0)
        reply_deferred_array(call->reply, found.mark, found.count);
    else if (found.many)
        reply_array(call->reply, 0);
    else if (found.count == 0)
        reply_null(call->reply);
}

/* ---- rows ---- */

#define LIST_ROW(command_name, handler, words, version, cost)                    \
    .name = (command_name), .run = (handler), .arity = (words), .acl = ACL_LIST, \
    .scope = SCOPE_KEYS, .group = "list", .since = (version), .complexity = (cost)
#define ENDS(argument, left, right)                                  \
    ARG_ONEOF(argument, (), ARG_TOKEN("left", "LEFT", .id = (left)), \
              ARG_TOKEN("right", "RIGHT", .id = (right)))

static const struct command rows[] = {
    {LIST_ROW("LINDEX", run_lindex, 3, "1.0.0", "O(N)"), .flags = CMD_READONLY,
     .summary = "Tells the element at an index.", ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("index"))},
    {LIST_ROW("LINSERT", run_linsert, 5, "2.2.0", "O(N)"), .flags = CMD_WRITE | CMD_DENYOOM,
     .summary = "Puts an element before or after the first that equals another.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_INSERT)),
     ROW_ARGS(ARG_KEY("key", 0),
              ARG_ONEOF("where", (), ARG_TOKEN("before", "BEFORE", .id = LIST_BEFORE),
                        ARG_TOKEN("after", "AFTER", .id = LIST_AFTER)),
              ARG_STRING("pivot"), ARG_STRING("element"))},
    {LIST_ROW("LLEN", run_llen, 2, "1.0.0", "O(1)"), .flags = CMD_READONLY | CMD_FAST,
     .summary = "Tells the number of elements of a list.", ROW_KEYS(KEY_AT(1, KEY_RO)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {LIST_ROW("LMOVE", run_lmove, 5, "6.2.0", "O(1)"), .flags = CMD_WRITE | CMD_DENYOOM,
     .summary = "Takes an element from an end of one list, puts it at an end of another, tells it.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_RW | KEY_INSERT)),
     ROW_ARGS(ARG_KEY("source", 0), ARG_KEY("destination", 1),
              ENDS("wherefrom", LIST_FROM_LEFT, LIST_FROM_RIGHT),
              ENDS("whereto", LIST_TO_LEFT, LIST_TO_RIGHT))},
    {LIST_ROW("LMPOP", run_lmpop, -4, "7.0.0", "O(N+M)"), .flags = CMD_WRITE | CMD_MOVABLE_KEYS,
     .summary = "Takes elements from an end of the first list that there is.",
     ROW_KEYS(KEYS_COUNTED(1, 1, KEY_RW | KEY_ACCESS | KEY_DELETE)),
     ROW_ARGS(ARG_INTEGER("numkeys", .id = LIST_NUMKEYS, .check = handler_check_numkeys),
              ARG_KEY("key", 0, ARG_MULTIPLE, .repeats_by = LIST_NUMKEYS),
              ENDS("where", LIST_FROM_LEFT, LIST_FROM_RIGHT),
              ARG_INTEGER("count", .token = "COUNT", ARG_OPTIONAL, .id = LIST_COUNT, .once = true,
                          .check = handler_check_pop_count))},
    {LIST_ROW("LPOP", run_lpop, -2, "1.0.0", "O(N)"), .parse = parse_pop,
     .flags = CMD_WRITE | CMD_FAST, .summary = "Takes elements from the beginning of a list.",
     .history = ROW_WORDS("6.2.0", "The count."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("count", ARG_OPTIONAL, .since = "6.2.0"))},
    {LIST_ROW("LPOS", run_lpos, -3, "6.0.6", "O(N)"), .flags = CMD_READONLY,
     .summary = "Tells where in a list elements of a value are.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(
         ARG_KEY("key", 0), ARG_STRING("element"),
         ARG_INTEGER("rank", .token = "RANK", ARG_OPTIONAL, .id = LIST_RANK, .check = check_rank),
         ARG_INTEGER("num-matches", .token = "COUNT", ARG_OPTIONAL, .id = LIST_COUNT,
                     .check = check_matches),
         ARG_INTEGER("len", .token = "MAXLEN", ARG_OPTIONAL, .id = LIST_MAXLEN,
                     .check = check_maxlen))},
    {LIST_ROW("LPUSH", run_lpush, -3, "1.0.0", "O(1)"), .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .summary = "Puts elements at the beginning of a list, one after the other.",
     .history = ROW_WORDS("2.4.0", "Several elements."), ROW_KEYS(KEY_AT(1, KEY_RW | KEY_INSERT)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("element", ARG_MULTIPLE))},
    {LIST_ROW("LPUSHX", run_lpushx, -3, "2.2.0", "O(1)"),
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .summary = "Puts elements at the beginning of a list if there is one.",
     .history = ROW_WORDS("4.0.0", "Several elements."), ROW_KEYS(KEY_AT(1, KEY_RW | KEY_INSERT)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("element", ARG_MULTIPLE))},
    {LIST_ROW("LRANGE", run_lrange, 4, "1.0.0", "O(S+N)"), .flags = CMD_READONLY,
     .summary = "Tells the elements from one index to another.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("start"), ARG_INTEGER("stop"))},
    {LIST_ROW("LREM", run_lrem, 4, "1.0.0", "O(N+M)"), .flags = CMD_WRITE,
     .summary = "Removes elements that equal a value, from either end on.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("count"), ARG_STRING("element"))},
    {LIST_ROW("LSET", run_lset, 4, "1.0.0", "O(N)"), .flags = CMD_WRITE | CMD_DENYOOM,
     .summary = "Replaces the element at an index.", ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("index"), ARG_STRING("element"))},
    {LIST_ROW("LTRIM", run_ltrim, 4, "1.0.0", "O(N)"), .flags = CMD_WRITE,
     .summary = "Keeps only the elements from one index to another.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("start"), ARG_INTEGER("stop"))},
    {LIST_ROW("RPOP", run_rpop, -2, "1.0.0", "O(N)"), .parse = parse_pop,
     .flags = CMD_WRITE | CMD_FAST, .summary = "Takes elements from the end of a list.",
     .history = ROW_WORDS("6.2.0", "The count."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_INTEGER("count", ARG_OPTIONAL, .since = "6.2.0"))},
    {LIST_ROW("RPOPLPUSH", run_rpoplpush, 3, "1.2.0", "O(1)"), .flags = CMD_WRITE | CMD_DENYOOM,
     .summary = "Takes the last element of a list, puts it at the beginning of another, tells it.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_RW | KEY_INSERT)),
     ROW_ARGS(ARG_KEY("source", 0), ARG_KEY("destination", 1))},
    {LIST_ROW("RPUSH", run_rpush, -3, "1.0.0", "O(1)"), .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .summary = "Puts elements at the end of a list, one after the other.",
     .history = ROW_WORDS("2.4.0", "Several elements."), ROW_KEYS(KEY_AT(1, KEY_RW | KEY_INSERT)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("element", ARG_MULTIPLE))},
    {LIST_ROW("RPUSHX", run_rpushx, -3, "2.2.0", "O(1)"),
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST,
     .summary = "Puts elements at the end of a list if there is one.",
     .history = ROW_WORDS("4.0.0", "Several elements."), ROW_KEYS(KEY_AT(1, KEY_RW | KEY_INSERT)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("element", ARG_MULTIPLE))},
};
const struct command_family list_family = COMMAND_FAMILY(rows);

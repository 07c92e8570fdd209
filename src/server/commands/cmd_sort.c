/* cmd_sort.c - SORT. Its patterns name keys that it does not declare, so it locks what it needs itself: all shards when
 * there are such patterns, else those of its key and of the destination. */
#include "server/commands/handler.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/long_work.h"
#include "store/types/sort.h"

#include <tuco/mem.h>

#define ERR_SORT_NUMBER "ERR One or more scores can't be converted into double"

struct sort_call {
    struct sort_options options;
    struct slice *get;
    size_t store; /* word of the destination; 0: none */
};

/* Takes the option at argv[at]: the words it has, or 0 and the error replied. */
static size_t take_option(struct call *call, size_t at, bool may_store, struct sort_call *s)
{
    struct sort_options *o = &s->options;
    struct slice word = call->argv[at];
    size_t left = call->argc - at - 1;
    if (slice_equal_nocase(word, SLICE("asc")) || slice_equal_nocase(word, SLICE("desc"))) {
        o->descending = slice_equal_nocase(word, SLICE("desc"));
        return 1;
    }
    if (slice_equal_nocase(word, SLICE("alpha"))) {
        o->alpha = true;
        return 1;
    }
    if (slice_equal_nocase(word, SLICE("limit")) && left >= 2)
        return handler_integer(call, call->argv[at + 1], &o->offset) &&
                       handler_integer(call, call->argv[at + 2], &o->count)
                   ? 3
                   : 0;
    if (slice_equal_nocase(word, SLICE("store")) && left >= 1 && may_store) {
        s->store = at + 1;
        return 2;
    }
    if (slice_equal_nocase(word, SLICE("by")) && left >= 1) {
        if (!o->by.data ||
            sort_has_star(o->by)) /* one without a star says "unsorted", and is final */
            o->by = call->argv[at + 1];
        return 2;
    }
    if (slice_equal_nocase(word, SLICE("get")) && left >= 1) {
        s->get[o->get_count++] = call->argv[at + 1];
        return 2;
    }
    reply_error(call->reply, ERR_SYNTAX);
    return 0;
}

static void begin(void *context, size_t count)
{
    reply_array(context, count);
}

static void show(void *context, struct slice text)
{
    if (text.data)
        reply_bulk(context, text);
    else
        reply_null(context);
}

static void sort_locked(struct call *call, const struct sort_call *s, struct store_key to)
{
    struct sort_visitor visitor = {begin, show, call->reply};
    size_t size;
    enum store_result rc =
        s->store ? sort_store(call->tx, handler_first_key(call), &s->options, to, &size)
                 : sort_show(call->tx, handler_first_key(call), &s->options, &visitor);
    if (rc == STORE_NOT_FLOAT)
        reply_error(call->reply, ERR_SORT_NUMBER);
    else if (rc != STORE_OK)
        handler_error(call, rc);
    else if (s->store)
        reply_integer(call->reply, (int64_t)size);
}

static void sort(struct call *call, bool may_store)
{
    enum { FEW = 8 };
    struct slice few[FEW];
    struct sort_call s = {.options = {.count = -1}, .get = few};
    struct store_key to = {0};
    size_t at = 2, words = 1;
    if (call->argc / 2 > FEW && (s.get = tu_alloc(call->argc / 2 * sizeof *s.get)) == NULL) {
        handler_error(call, STORE_NO_MEMORY);
        return;
    }
    s.options.get = s.get;
    for (; at < call->argc && words > 0; at += words)
        words = take_option(call, at, may_store, &s);
    if (s.store)
        to = (struct store_key){call->argv[s.store],
                                keyspace_hash(call->tx->keyspace, call->argv[s.store])};
    bool lock = !transaction_holds_all(call->tx);
    uint64_t hashes[] = {call->key_hashes[0], to.hash};
    call->tx->turn = lock ? TURN_POSSIBLE : TURN_NONE;
    while (words > 0) {
        if (lock && sort_reads_keys(&s.options))
            transaction_lock_all(call->tx);
        else if (lock)
            transaction_lock(call->tx, hashes, s.store ? 2 : 1);
        sort_locked(call, &s, to);
        if (lock)
            transaction_unlock(call->tx);
        if (call->tx->turn != TURN_POSTPONED)
            break;
        long_work_wait(call->tx);
    }
    long_work_end(call->tx);
    if (s.get != few)
        tu_free(s.get);
}

static void run_sort(struct call *call)
{
    sort(call, true);
}

static void run_sort_ro(struct call *call)
{
    sort(call, false);
}

/* ---- rows ---- */

#define UNKNOWN_KEYS(flag_bits)                                                    \
    {                                                                              \
        .flags = (flag_bits), .begin = KEY_BEGIN_UNKNOWN, .find = KEY_FIND_UNKNOWN \
    }
#define SORT_ROW(command_name, handler, version)                                           \
    .name = (command_name), .run = (handler), .arity = -2, .parse = handler_parses_itself, \
    .acl = ACL_SET | ACL_SORTEDSET | ACL_LIST | ACL_DANGEROUS, .scope = SCOPE_SELF,        \
    .group = "generic", .since = (version), .complexity = "O(N+M*log(M))"
#define SORT_ARGS                                                                               \
    ARG_KEY("key", 0),                                                                          \
        ARG_PATTERN("by-pattern", .token = "BY", .display = "pattern", .key_spec = 2,           \
                    ARG_OPTIONAL),                                                              \
        ARG_BLOCK("limit", (.token = "LIMIT", ARG_OPTIONAL), ARG_INTEGER("offset"),             \
                  ARG_INTEGER("count")),                                                        \
        ARG_PATTERN("get-pattern", .token = "GET", .display = "pattern", .key_spec = 2,         \
                    ARG_OPTIONAL, ARG_MULTIPLE, .multiple_token = true),                        \
        ARG_ONEOF("order", (ARG_OPTIONAL), ARG_TOKEN("asc", "ASC"), ARG_TOKEN("desc", "DESC")), \
        ARG_TOKEN("sorting", "ALPHA", ARG_OPTIONAL)

static const struct command rows[] = {
    {SORT_ROW("SORT", run_sort, "1.0.0"), .flags = CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
     .summary = "Tells, or stores as a list, the elements of a list, set or sorted set in order.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS), UNKNOWN_KEYS(KEY_RO | KEY_ACCESS),
              UNKNOWN_KEYS(KEY_OW | KEY_UPDATE)),
     ROW_ARGS(SORT_ARGS, ARG_KEY("destination", 2, .token = "STORE", ARG_OPTIONAL))},
    {SORT_ROW("SORT_RO", run_sort_ro, "7.0.0"), .flags = CMD_READONLY | CMD_MOVABLE_KEYS,
     .summary = "Tells the elements of a list, set or sorted set in order.",
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS), UNKNOWN_KEYS(KEY_RO | KEY_ACCESS)),
     ROW_ARGS(SORT_ARGS)},
};
const struct command_family sort_family = COMMAND_FAMILY(rows);

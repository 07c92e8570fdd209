/* cmd_list_block.c - lists, waited for: what cmd_list.c does at once, and if there is nothing, later (blocked.h). */
#include "server/blocked.h"
#include "server/client.h"
#include "server/commands/cmd_list.h"
#include "server/reply.h"

#include "base/number.h"

enum {
    BLOCK_FROM_LEFT = 1,
    BLOCK_FROM_RIGHT,
    BLOCK_TO_LEFT,
    BLOCK_TO_RIGHT,
    BLOCK_NUMKEYS,
    BLOCK_COUNT
};

struct popped {
    struct reply *reply;
    struct slice key;
};

static void show_key(void *context, size_t count)
{
    const struct popped *p = context;
    reply_array(p->reply, 2);
    reply_bulk(p->reply, p->key);
}

static void show_popped(void *context, struct slice element)
{
    reply_bulk(((const struct popped *)context)->reply, element);
}

static void wait(struct call *call, size_t first, size_t keys, int64_t timeout_ms)
{
    blocked_wait(call, &(struct blocked_wish){.type = TYPE_LIST,
                                              .first = first,
                                              .count = keys,
                                              .timeout_ms = timeout_ms,
                                              .nothing = reply_null_array});
}

/* ---- BLPOP, BRPOP, BLMPOP ---- */

static void pop(struct call *call, enum list_end end)
{
    int64_t timeout_ms;
    if (!handler_timeout(call, call->argv[call->argc - 1], &timeout_ms))
        return;
    for (size_t i = 0; i < call->key_count; i++) {
        struct popped popped = {call->reply, call->argv[1 + i]};
        struct list_visitor shown = {show_key, show_popped, &popped};
        enum store_result result = list_pop(call->tx, handler_key(call, i, 1 + i), end, 1, &shown);
        if (result == STORE_MISSING)
            continue;
        if (result != STORE_OK)
            handler_error(call, result);
        return;
    }
    wait(call, 1, call->key_count, timeout_ms);
}

static void run_blpop(struct call *call)
{
    pop(call, LIST_LEFT);
}

static void run_brpop(struct call *call)
{
    pop(call, LIST_RIGHT);
}

static void run_blmpop(struct call *call)
{
    int64_t count = 1, timeout_ms;
    enum list_end end = args_has(call->args, BLOCK_FROM_LEFT) ? LIST_LEFT : LIST_RIGHT;
    if (args_has(call->args, BLOCK_COUNT))
        (void)number_parse_int64(call->argv[args_at(call->args, BLOCK_COUNT)], &count);
    if (handler_timeout(call, call->argv[1], &timeout_ms) &&
        !list_reply_mpop(call, 3, end, (size_t)count))
        wait(call, 3, call->key_count, timeout_ms);
}

/* ---- BLMOVE, BRPOPLPUSH ---- */

static void show_moved(void *context, struct slice element)
{
    reply_bulk(context, element);
}

static void move(struct call *call, enum list_end from, enum list_end to)
{
    int64_t timeout_ms;
    struct list_visitor shown = {.each = show_moved, .context = call->reply};
    if (!handler_timeout(call, call->argv[call->argc - 1], &timeout_ms))
        return;
    enum store_result result =
        list_move(call->tx, handler_key(call, 0, 1), from, handler_key(call, 1, 2), to, &shown);
    if (result == STORE_OK)
        return;
    if (result != STORE_MISSING)
        handler_error(call, result);
    else if (client_flags(call->client) & CLIENT_IN_EXEC)
        reply_null(call->reply); /* as LMOVE; when time is over it is a null array */
    else
        blocked_wait(call, &(struct blocked_wish){.type = TYPE_LIST,
                                                  .pushes = true,
                                                  .first = 1,
                                                  .count = 1,
                                                  .timeout_ms = timeout_ms,
                                                  .nothing = reply_null_array});
}

static void run_blmove(struct call *call)
{
    move(call, args_has(call->args, BLOCK_FROM_LEFT) ? LIST_LEFT : LIST_RIGHT,
         args_has(call->args, BLOCK_TO_LEFT) ? LIST_LEFT : LIST_RIGHT);
}

static void run_brpoplpush(struct call *call)
{
    move(call, LIST_RIGHT, LIST_LEFT);
}

/* ---- rows ---- */

#define LIST_ROW(word, fn, words, version, cost)                                         \
    .name = (word), .run = (fn), .arity = (words), .acl = ACL_LIST, .scope = SCOPE_KEYS, \
    .group = "list", .since = (version), .complexity = (cost)
#define ENDS(argument, left, right)                                  \
    ARG_ONEOF(argument, (), ARG_TOKEN("left", "LEFT", .id = (left)), \
              ARG_TOKEN("right", "RIGHT", .id = (right)))
#define ALL_BUT_LAST                                     \
    ROW_KEYS({.flags = KEY_RW | KEY_ACCESS | KEY_DELETE, \
              .begin = KEY_BEGIN_INDEX,                  \
              .begin_index = 1,                          \
              .find = KEY_FIND_RANGE,                    \
              .last = -2,                                \
              .step = 1})
#define FROM_AND_TO \
    ROW_KEYS(KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE), KEY_AT(2, KEY_RW | KEY_INSERT))
#define FRACTION .history = ROW_WORDS("6.0.0", "The timeout may have a fraction.")

static const struct command rows[] = {
    {LIST_ROW("BLMOVE", run_blmove, 6, "6.2.0", "O(1)"),
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_BLOCKING,
     .summary = "Takes an element from an end of one list, or waits for it, puts it at an end of "
                "another, tells it.",
     FROM_AND_TO,
     ROW_ARGS(ARG_KEY("source", 0), ARG_KEY("destination", 1),
              ENDS("wherefrom", BLOCK_FROM_LEFT, BLOCK_FROM_RIGHT),
              ENDS("whereto", BLOCK_TO_LEFT, BLOCK_TO_RIGHT), ARG_DOUBLE("timeout"))},
    {LIST_ROW("BLMPOP", run_blmpop, -5, "7.0.0", "O(N+M)"),
     .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS,
     .summary = "Takes elements from an end of the first list that there is, or waits for one.",
     ROW_KEYS({.flags = KEY_RW | KEY_ACCESS | KEY_DELETE,
               .begin = KEY_BEGIN_INDEX,
               .begin_index = 2,
               .find = KEY_FIND_KEYNUM,
               .keynum_index = 0,
               .first_key = 1,
               .keynum_step = 1}),
     ROW_ARGS(ARG_DOUBLE("timeout"),
              ARG_INTEGER("numkeys", .id = BLOCK_NUMKEYS, .check = handler_check_numkeys),
              ARG_KEY("key", 0, ARG_MULTIPLE, .repeats_by = BLOCK_NUMKEYS),
              ENDS("where", BLOCK_FROM_LEFT, BLOCK_FROM_RIGHT),
              ARG_INTEGER("count", .token = "COUNT", ARG_OPTIONAL, .id = BLOCK_COUNT, .once = true,
                          .check = handler_check_pop_count))},
    {LIST_ROW("BLPOP", run_blpop, -3, "2.0.0", "O(N)"), .flags = CMD_WRITE | CMD_BLOCKING,
     .summary = "Takes the first element of the first list that there is, or waits for one.",
     FRACTION, ALL_BUT_LAST, ROW_ARGS(ARG_KEY("key", 0, ARG_MULTIPLE), ARG_DOUBLE("timeout"))},
    {LIST_ROW("BRPOP", run_brpop, -3, "2.0.0", "O(N)"), .flags = CMD_WRITE | CMD_BLOCKING,
     .summary = "Takes the last element of the first list that there is, or waits for one.",
     FRACTION, ALL_BUT_LAST, ROW_ARGS(ARG_KEY("key", 0, ARG_MULTIPLE), ARG_DOUBLE("timeout"))},
    {LIST_ROW("BRPOPLPUSH", run_brpoplpush, 4, "2.2.0", "O(1)"),
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_BLOCKING,
     .summary = "Takes the last element of a list, or waits for it, puts it at the beginning of "
                "another, tells it.",
     FRACTION, FROM_AND_TO,
     ROW_ARGS(ARG_KEY("source", 0), ARG_KEY("destination", 1), ARG_DOUBLE("timeout"))},
};
const struct command_family list_block_family = COMMAND_FAMILY(rows);

/* cmd_list_block.c - lists, waited for: what cmd_list.c does at once, and if there is nothing, later (blocked.h). */
#include "server/blocked.h"
#include "server/commands/handler.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/types/list.h"

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

static void show_element(void *context, struct slice element)
{
    reply_bulk(((const struct popped *)context)->reply, element);
}

static void pop(struct call *call, enum list_end end)
{
    int64_t timeout_ms;
    if (!handler_timeout(call, call->argv[call->argc - 1], &timeout_ms))
        return;
    for (size_t i = 0; i < call->key_count; i++) {
        struct popped popped = {call->reply, call->argv[1 + i]};
        struct list_visitor shown = {show_key, show_element, &popped};
        enum store_result result = list_pop(call->tx, handler_key(call, i, 1 + i), end, 1, &shown);
        if (result == STORE_MISSING)
            continue;
        if (result != STORE_OK)
            handler_error(call, result);
        return;
    }
    blocked_wait(call, &(struct blocked_wish){.type = TYPE_LIST,
                                              .first = 1,
                                              .count = call->key_count,
                                              .timeout_ms = timeout_ms,
                                              .nothing = reply_null_array});
}

static void run_blpop(struct call *call)
{
    pop(call, LIST_LEFT);
}

static void run_brpop(struct call *call)
{
    pop(call, LIST_RIGHT);
}

#define ALL_BUT_LAST                                     \
    ROW_KEYS({.flags = KEY_RW | KEY_ACCESS | KEY_DELETE, \
              .begin = KEY_BEGIN_INDEX,                  \
              .begin_index = 1,                          \
              .find = KEY_FIND_RANGE,                    \
              .last = -2,                                \
              .step = 1})
#define LIST_ROW(word, fn, words, version, cost)                                         \
    .name = (word), .run = (fn), .arity = (words), .acl = ACL_LIST, .scope = SCOPE_KEYS, \
    .group = "list", .since = (version), .complexity = (cost)

static const struct command rows[] = {
    {LIST_ROW("BLPOP", run_blpop, -3, "2.0.0", "O(N)"), .flags = CMD_WRITE | CMD_BLOCKING,
     .summary = "Takes the first element of the first list that there is, or waits for one.",
     .history = ROW_WORDS("6.0.0", "The timeout may have a fraction."), ALL_BUT_LAST,
     ROW_ARGS(ARG_KEY("key", 0, ARG_MULTIPLE), ARG_DOUBLE("timeout"))},
    {LIST_ROW("BRPOP", run_brpop, -3, "2.0.0", "O(N)"), .flags = CMD_WRITE | CMD_BLOCKING,
     .summary = "Takes the last element of the first list that there is, or waits for one.",
     .history = ROW_WORDS("6.0.0", "The timeout may have a fraction."), ALL_BUT_LAST,
     ROW_ARGS(ARG_KEY("key", 0, ARG_MULTIPLE), ARG_DOUBLE("timeout"))},
};
const struct command_family list_block_family = COMMAND_FAMILY(rows);

/* cmd_stream_read.c - XREAD and XREADGROUP. They read several streams, and say what is wrong with the ids of all before
 * they show anything of the first. */
#include "server/blocked.h"
#include "server/commands/handler.h"

#include "server/commands/stream_words.h"
#include "server/reply.h"
#include "server/reply_errors.h"

#include <tuco/mem.h>

struct reading {
    struct call *call;
    bool for_group, no_ack, may_block;
    int64_t timeout_ms;
    uint64_t count;        /* 0: no limit */
    size_t streams, first; /* how many; the word of the first key */
    struct slice group, consumer;
};

static bool fail(const struct reading *r, const char *error)
{
    reply_error(r->call->reply, error);
    return false;
}

static bool take_streams(struct reading *r, size_t first)
{
    r->first = first;
    r->streams = (r->call->argc - first) / 2;
    if ((r->call->argc - first) % 2 == 0)
        return true;
    reply_errorf(r->call->reply, ERR_STREAM_UNBALANCED, r->call->command->full_name,
                 r->for_group ? "ID or '>'" : "ID or '$'");
    return false;
}

static bool only_for_groups(const struct reading *r, const char *option)
{
    if (!r->for_group)
        reply_errorf(r->call->reply, ERR_STREAM_ONLY_GROUP, option);
    return r->for_group;
}

static bool take_words(struct reading *r)
{
    const struct call *call = r->call;
    for (size_t i = 1; i < call->argc && r->first == 0; i++) {
        int64_t count;
        if (stream_option(call, i, "block", 1)) {
            if (!handler_timeout_ms(call, call->argv[++i], &r->timeout_ms))
                return false;
            r->may_block = true;
        } else if (stream_option(call, i, "count", 1)) {
            if (!handler_integer(call, call->argv[++i], &count))
                return false;
            r->count = count < 0 ? 0 : (uint64_t)count;
        } else if (stream_option(call, i, "streams", 1)) {
            if (!take_streams(r, i + 1))
                return false;
        } else if (stream_option(call, i, "group", 2)) {
            if (!only_for_groups(r, "GROUP"))
                return false;
            r->group = call->argv[++i];
            r->consumer = call->argv[++i];
        } else if (stream_option(call, i, "noack", 0)) {
            if (!only_for_groups(r, "NOACK"))
                return false;
            r->no_ack = true;
        } else {
            return fail(r, ERR_SYNTAX);
        }
    }
    if (r->first == 0)
        return fail(r, ERR_SYNTAX);
    return !r->for_group || r->group.data || fail(r, ERR_STREAM_GROUP_MISSING);
}

/* ---- one stream ---- */

static struct store_key key_of(const struct reading *r, size_t nth)
{
    return handler_key(r->call, nth, r->first + nth);
}

/* The id behind which to read; *is_new for ">". False: it is none, replied. */
static bool start_of(const struct reading *r, const struct stream_object *s, size_t nth,
                     struct id *after, bool *is_new)
{
    struct slice word = r->call->argv[r->first + r->streams + nth];
    char sign = word.size == 1 ? word.data[0] : 0;
    *is_new = sign == '>';
    if (r->for_group && (sign == '$' || sign == '+')) {
        reply_errorf(r->call->reply, ERR_STREAM_MEANINGLESS, sign == '$' ? "$" : "+",
                     sign == '$' ? "$" : "+");
        return false;
    }
    if (sign == '>' && !r->for_group)
        return fail(r, ERR_STREAM_NEW_ONLY);
    if (sign == '>')
        return true;
    if (sign != '$' && sign != '+') {
        bool ok = stream_id_word(r->call, word, after);
        *is_new = ok && r->for_group && id_compare(*after, ID_MAX) == 0; /* as to the peers */
        return ok;
    }
    *after = s ? s->last_id : ID_MIN;
    if (sign == '+') /* the entry of the last id, if it is still there */
        (void)id_previous(after);
    return true;
}

/* False only for a blocked client that is served because another key has expired: a key that is not looked at. */
static bool is_held(const struct reading *r, size_t nth)
{
    return !r->call->serving || transaction_holds(r->call->tx, r->call->key_hashes[nth]);
}

static bool check_stream(const struct reading *r, size_t nth)
{
    const struct stream_object *s = NULL;
    struct store_key key = key_of(r, nth);
    struct id after;
    bool is_new;
    if (!is_held(r, nth))
        return true;
    enum store_result result = stream_read(r->call->tx, key, &s);
    if (result == STORE_WRONG_TYPE)
        return fail(r, ERR_WRONG_TYPE);
    if (r->for_group && (!s || !stream_group_find(s, r->group))) {
        reply_errorf(r->call->reply, ERR_STREAM_READ_NO_GROUP, (int)key.name.size, key.name.data,
                     (int)r->group.size, r->group.data);
        return false;
    }
    return start_of(r, s, nth, &after, &is_new);
}

/* What this consumer has got and not acknowledged, behind an id. */
static void show_history(const struct reading *r, const struct stream_object *s,
                         struct stream_consumer *c, struct id after)
{
    struct reply_mark mark = reply_deferred_begin(r->call->reply);
    struct stream_nack *n;
    size_t shown = 0;
    bool more = id_next(&after);
    while (more && (r->count == 0 || shown < r->count) &&
           (n = id_tree_at_or_after(&c->pending, after, &after))) {
        if (stream_reply_entry_of(r->call, s, after)) {
            n->delivered_ms = r->call->tx->now_ms;
            n->deliveries++;
        } else { /* it was deleted meanwhile */
            reply_array(r->call->reply, 2);
            stream_reply_id(r->call, after);
            reply_null_array(r->call->reply);
        }
        shown++;
        more = id_next(&after);
    }
    reply_deferred_array(r->call->reply, mark, shown);
}

/* What nobody of the group has got. */
static void show_new(const struct reading *r, const struct stream_object *s, struct stream_group *g,
                     struct stream_consumer *c, struct id after)
{
    struct reply_mark mark = reply_deferred_begin(r->call->reply);
    int64_t now_ms = r->call->tx->now_ms;
    size_t shown = 0;
    (void)id_next(&after);
    struct stream_cursor cursor = stream_cursor_over(s, after, ID_MAX, false);
    struct stream_entry e;
    while ((r->count == 0 || shown < r->count) && stream_cursor_next(&cursor, &e)) {
        if (!r->no_ack && !stream_group_deliver(g, c, e.id, now_ms))
            break; /* out of memory: the rest is delivered another time */
        if (id_compare(e.id, g->last_id) > 0)
            stream_group_advance(s, g, e.id);
        if (!r->no_ack)
            c->active_ms = now_ms;
        stream_reply_entry(r->call, &e);
        shown++;
    }
    reply_deferred_array(r->call->reply, mark, shown);
}

struct answer {
    struct reply_mark mark;
    size_t shown;
};

static void begin(const struct reading *r, struct answer *a, size_t nth)
{
    struct reply *reply = r->call->reply;
    if (a->shown++ == 0)
        a->mark = reply_deferred_begin(reply);
    if (reply_protocol(reply) == 2)
        reply_array(reply, 2);
    reply_bulk(reply, r->call->argv[r->first + nth]);
}

static void read_plain(const struct reading *r, size_t nth, struct answer *a)
{
    const struct stream_object *s;
    struct id after;
    bool is_new;
    if (stream_read(r->call->tx, key_of(r, nth), &s) != STORE_OK ||
        !start_of(r, s, nth, &after, &is_new) || s->length == 0 ||
        id_compare(stream_object_edge(s, true), after) <= 0)
        return;
    begin(r, a, nth);
    (void)id_next(&after);
    stream_reply_range(r->call, s, after, ID_MAX, r->count, false);
}

static bool read_for_group(const struct reading *r, size_t nth, struct answer *a)
{
    struct store_key key = key_of(r, nth);
    struct stream_object *s;
    struct id after;
    bool is_new;
    if (stream_write(r->call->tx, key, &s) != STORE_OK || !start_of(r, s, nth, &after, &is_new))
        return true;
    struct stream_group *g = stream_group_find(s, r->group);
    struct stream_consumer *c = g ? stream_consumer_of(r->call, g, key, r->consumer) : NULL;
    if (!c)
        return false;
    if (!is_new) {
        begin(r, a, nth);
        show_history(r, s, c, after);
        stream_group_changed(r->call, key, 1);
    } else if (s->length > 0 && id_compare(stream_object_edge(s, true), g->last_id) > 0) {
        begin(r, a, nth);
        show_new(r, s, g, c, g->last_id);
        stream_group_changed(r->call, key, 1);
    }
    return true;
}

/* ---- waiting ---- */

/* Waits with the words of the call, in which what "$" stands for now takes its place. */
static void wait(struct reading *r)
{
    struct call *call = r->call;
    size_t ids = r->first + r->streams;
    struct slice *argv = NULL;
    if (!call->serving && !r->for_group) {
        argv = tu_alloc(call->argc * sizeof *argv + r->streams * STREAM_ID_TEXT);
        if (!argv) {
            handler_error(call, STORE_NO_MEMORY);
            return;
        }
        memcpy(argv, call->argv, call->argc * sizeof *argv);
        char *text = (char *)(argv + call->argc);
        for (size_t i = 0; i < r->streams; i++, text += STREAM_ID_TEXT) {
            const struct stream_object *s = NULL;
            if (!slice_equal(argv[ids + i], SLICE("$")))
                continue;
            (void)!stream_read(call->tx, key_of(r, i), &s);
            argv[ids + i] = (struct slice){text, stream_id_format(s ? s->last_id : ID_MIN, text)};
        }
    }
    blocked_wait(call, &(struct blocked_wish){.type = TYPE_STREAM,
                                              .on_missing = r->for_group,
                                              .first = r->first,
                                              .count = r->streams,
                                              .timeout_ms = r->timeout_ms,
                                              .argv = argv,
                                              .nothing = reply_null_array});
    tu_free(argv);
}

static void run_read(struct call *call, bool for_group)
{
    struct reading r = {.call = call, .for_group = for_group};
    struct answer a = {.shown = 0};
    if (!take_words(&r))
        return;
    for (size_t i = 0; i < r.streams; i++)
        if (!check_stream(&r, i))
            return;
    for (size_t i = 0; i < r.streams; i++) {
        if (!is_held(&r, i))
            continue;
        if (!for_group)
            read_plain(&r, i, &a);
        else if (!read_for_group(&r, i, &a) && a.shown == 0) {
            handler_error(call, STORE_NO_MEMORY);
            return;
        }
    }
    if (a.shown == 0 && r.may_block)
        wait(&r);
    else if (a.shown == 0)
        reply_null_array(call->reply);
    else if (reply_protocol(call->reply) == 2)
        reply_deferred_array(call->reply, a.mark, a.shown);
    else
        reply_deferred_map(call->reply, a.mark, a.shown);
}

static void run_xread(struct call *call)
{
    run_read(call, false);
}

static void run_xreadgroup(struct call *call)
{
    run_read(call, true);
}

#define READ_STREAMS(at)                    \
    ROW_KEYS({.flags = KEY_RO | KEY_ACCESS, \
              .begin = KEY_BEGIN_KEYWORD,   \
              .begin_keyword = "STREAMS",   \
              .begin_index = (at),          \
              .find = KEY_FIND_RANGE,       \
              .last = -1,                   \
              .step = 1,                    \
              .limit = 2})
#define READ_TAIL                                                               \
    ARG_BLOCK("streams", (.token = "STREAMS"), ARG_KEY("key", 0, ARG_MULTIPLE), \
              ARG_STRING("id", ARG_MULTIPLE))

static const struct command rows[] = {
    {.name = "XREAD",
     .run = run_xread,
     .arity = -4,
     .flags = CMD_READONLY | CMD_BLOCKING | CMD_MOVABLE_KEYS,
     .acl = ACL_STREAM,
     .scope = SCOPE_KEYS,
     .group = "stream",
     .since = "5.0.0",
     .parse = handler_parses_itself,
     .summary = "Tells the entries of streams behind the ids given.",
     READ_STREAMS(1),
     ROW_ARGS(ARG_INTEGER("count", .token = "COUNT", ARG_OPTIONAL),
              ARG_INTEGER("milliseconds", .token = "BLOCK", ARG_OPTIONAL), READ_TAIL)},
    {.name = "XREADGROUP",
     .run = run_xreadgroup,
     .arity = -7,
     .flags = CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS,
     .acl = ACL_STREAM,
     .scope = SCOPE_KEYS,
     .group = "stream",
     .since = "5.0.0",
     .parse = handler_parses_itself,
     .summary = "Gives a consumer of a group new entries of streams, or those it has not "
                "acknowledged.",
     READ_STREAMS(4),
     ROW_ARGS(
         ARG_BLOCK("group-block", (.token = "GROUP"), ARG_STRING("group"), ARG_STRING("consumer")),
         ARG_INTEGER("count", .token = "COUNT", ARG_OPTIONAL),
         ARG_INTEGER("milliseconds", .token = "BLOCK", ARG_OPTIONAL),
         ARG_TOKEN("noack", "NOACK", ARG_OPTIONAL), READ_TAIL)},
};
const struct command_family stream_read_family = COMMAND_FAMILY(rows);

/* stream_info.c - what XINFO tells. The peers' radix tree has a key for each node of entries, and so has our tree; what they
 * call its nodes are about as many. */
#include "server/commands/stream_info.h"

#include "server/commands/stream_words.h"
#include "server/reply.h"
#include "server/reply_errors.h"

void stream_info_help(struct call *call)
{
    static const char *const lines[] = {
        "CONSUMERS <key> <groupname>",
        "    Show consumers of <groupname>.",
        "GROUPS <key>",
        "    Show the stream consumer groups.",
        "STREAM <key> [FULL [COUNT <count>]",
        "    Show information about the stream.",
    };
    handler_help(call, lines, sizeof lines / sizeof *lines);
}

static void name(const struct call *call, const char *text)
{
    reply_bulk_string(call->reply, text);
}

static void named_number(const struct call *call, const char *text, int64_t number)
{
    name(call, text);
    reply_integer(call->reply, number);
}

static void named_id(const struct call *call, const char *text, struct id id)
{
    name(call, text);
    stream_reply_id(call, id);
}

static void numbers(const struct call *call, const struct stream_object *s)
{
    named_number(call, "length", (int64_t)s->length);
    named_number(call, "radix-tree-keys", (int64_t)s->nodes.count);
    named_number(call, "radix-tree-nodes", (int64_t)s->nodes.count + 1);
    named_id(call, "last-generated-id", s->last_id);
    named_id(call, "max-deleted-entry-id", s->max_deleted_id);
    named_number(call, "entries-added", (int64_t)s->entries_added);
    named_id(call, "recorded-first-entry-id", s->first_id);
}

static void edge(const struct call *call, const struct stream_object *s, const char *text,
                 bool last)
{
    name(call, text);
    if (s->length == 0)
        reply_null(call->reply);
    else
        (void)stream_reply_entry_of(call, s, stream_object_edge(s, last));
}

static void reply_read_and_lag(const struct call *call, const struct stream_object *s,
                               const struct stream_group *g)
{
    int64_t lag;
    name(call, "entries-read");
    if (g->entries_read == STREAM_READ_UNKNOWN)
        reply_null(call->reply);
    else
        reply_integer(call->reply, g->entries_read);
    name(call, "lag");
    if (stream_group_lag(s, g, &lag))
        reply_integer(call->reply, lag);
    else
        reply_null(call->reply);
}

/* The pending entries of a group, or of one consumer, at most `count` (0: all). */
static void full_pending(const struct call *call, const struct id_tree *pending, uint64_t count,
                         bool with_consumer)
{
    struct reply *r = call->reply;
    uint64_t left = count == 0 || count > pending->count ? pending->count : count;
    struct stream_nack *n;
    reply_array(r, left);
    for (struct id at = ID_MIN; left > 0 && (n = id_tree_at_or_after(pending, at, &at)); left--) {
        reply_array(r, with_consumer ? 4 : 3);
        stream_reply_id(call, at);
        if (with_consumer)
            reply_bulk(r, n->consumer->named.name);
        reply_integer(r, n->delivered_ms);
        reply_integer(r, (int64_t)n->deliveries);
        (void)id_next(&at);
    }
}

static void full_consumer(const struct call *call, const struct stream_consumer *c, uint64_t count)
{
    reply_map(call->reply, 5);
    name(call, "name");
    reply_bulk(call->reply, c->named.name);
    named_number(call, "seen-time", c->seen_ms);
    named_number(call, "active-time", c->active_ms);
    named_number(call, "pel-count", (int64_t)c->pending.count);
    name(call, "pending");
    full_pending(call, &c->pending, count, false);
}

static void full_group(const struct call *call, const struct stream_object *s,
                       const struct stream_group *g, uint64_t count)
{
    reply_map(call->reply, 7);
    name(call, "name");
    reply_bulk(call->reply, g->named.name);
    named_id(call, "last-delivered-id", g->last_id);
    reply_read_and_lag(call, s, g);
    named_number(call, "pel-count", (int64_t)g->pending.count);
    name(call, "pending");
    full_pending(call, &g->pending, count, true);
    name(call, "consumers");
    reply_array(call->reply, g->consumers.count);
    for (size_t i = 0; i < g->consumers.count; i++)
        full_consumer(call, (const struct stream_consumer *)g->consumers.items[i], count);
}

static void full(const struct call *call, const struct stream_object *s, uint64_t count)
{
    reply_map(call->reply, 9);
    numbers(call, s);
    name(call, "entries");
    stream_reply_range(call, s, ID_MIN, ID_MAX, count, false);
    name(call, "groups");
    size_t groups = stream_groups_count(s->groups);
    reply_array(call->reply, groups);
    for (size_t i = 0; i < groups; i++)
        full_group(call, s, (const struct stream_group *)s->groups->list.items[i], count);
}

/* FULL [COUNT n] behind the key: false: replied. */
static bool take_full(const struct call *call, bool *is_full, int64_t *count)
{
    *is_full = false;
    *count = 10;
    if (call->argc == 3)
        return true;
    *is_full = stream_option(call, 3, "full", 0) &&
               (call->argc == 4 || (call->argc == 6 && stream_option(call, 4, "count", 1)));
    if (!*is_full) {
        reply_errorf(call->reply, ERR_SUBCOMMAND_WORDS, (int)call->argv[1].size, call->argv[1].data,
                     call->command->parent->name);
        return false;
    }
    if (call->argc == 6 && !handler_integer(call, call->argv[5], count))
        return false;
    *count = *count < 0 ? 10 : *count;
    return true;
}

void stream_info_stream(struct call *call)
{
    const struct stream_object *s;
    bool is_full;
    int64_t count;
    enum store_result result = stream_read(call->tx, handler_key(call, 0, 2), &s);
    if (result != STORE_OK) {
        handler_error(call, result);
        return;
    }
    if (!take_full(call, &is_full, &count))
        return;
    if (is_full) {
        full(call, s, (uint64_t)count);
        return;
    }
    reply_map(call->reply, 10);
    numbers(call, s);
    named_number(call, "groups", (int64_t)stream_groups_count(s->groups));
    edge(call, s, "first-entry", false);
    edge(call, s, "last-entry", true);
}

void stream_info_groups(struct call *call)
{
    const struct stream_object *s;
    enum store_result result = stream_read(call->tx, handler_key(call, 0, 2), &s);
    if (result != STORE_OK) {
        handler_error(call, result);
        return;
    }
    size_t groups = stream_groups_count(s->groups);
    reply_array(call->reply, groups);
    for (size_t i = 0; i < groups; i++) {
        const struct stream_group *g = (const struct stream_group *)s->groups->list.items[i];
        reply_map(call->reply, 6);
        name(call, "name");
        reply_bulk(call->reply, g->named.name);
        named_number(call, "consumers", (int64_t)g->consumers.count);
        named_number(call, "pending", (int64_t)g->pending.count);
        named_id(call, "last-delivered-id", g->last_id);
        reply_read_and_lag(call, s, g);
    }
}

void stream_info_consumers(struct call *call)
{
    const struct stream_object *s;
    int64_t now_ms = call->tx->now_ms;
    enum store_result result = stream_read(call->tx, handler_key(call, 0, 2), &s);
    if (result != STORE_OK) {
        handler_error(call, result);
        return;
    }
    const struct stream_group *g = stream_group_find(s, call->argv[3]);
    if (!g) {
        stream_no_group(call);
        return;
    }
    reply_array(call->reply, g->consumers.count);
    for (size_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *c = (const struct stream_consumer *)g->consumers.items[i];
        reply_map(call->reply, 4);
        name(call, "name");
        reply_bulk(call->reply, c->named.name);
        named_number(call, "pending", (int64_t)c->pending.count);
        named_number(call, "idle", c->seen_ms > now_ms ? 0 : now_ms - c->seen_ms);
        named_number(call, "inactive",
                     c->active_ms < 0        ? -1
                     : c->active_ms > now_ms ? 0
                                             : now_ms - c->active_ms);
    }
}

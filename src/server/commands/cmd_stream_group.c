/* cmd_stream_group.c - consumer groups: XGROUP, XACK, XPENDING. Claiming is in cmd_stream_claim.c. */
#include "server/commands/handler.h"

#include "base/number.h"
#include "server/commands/stream_words.h"
#include "server/reply.h"
#include "server/reply_errors.h"

/* ---- XGROUP ---- */

struct group_words {
    bool make;
    int64_t entries_read;
};

static bool bad_words(const struct call *call)
{
    reply_errorf(call->reply, ERR_SUBCOMMAND_WORDS, (int)call->argv[1].size, call->argv[1].data,
                 call->command->parent->name);
    return false;
}

static bool take_group_options(const struct call *call, bool create, struct group_words *w)
{
    *w = (struct group_words){.entries_read = STREAM_READ_UNKNOWN};
    for (size_t i = 5; i < call->argc; i++) {
        if (create && stream_option(call, i, "mkstream", 0)) {
            w->make = true;
        } else if (stream_option(call, i, "entriesread", 1)) {
            if (!handler_integer(call, call->argv[++i], &w->entries_read))
                return false;
            if (w->entries_read < 0 && w->entries_read != STREAM_READ_UNKNOWN) {
                reply_error(call->reply, ERR_STREAM_READ_SIGN);
                return false;
            }
        } else {
            return bad_words(call);
        }
    }
    return true;
}

/* The stream at argv[2], and the group at argv[3] (with `needed`: or the error is replied). False: replied. */
static bool find_group(const struct call *call, bool needed, struct stream_object **s,
                       struct stream_group **g)
{
    enum store_result result = stream_write(call->tx, handler_key(call, 0, 2), s);
    if (result == STORE_MISSING)
        reply_error(call->reply, ERR_STREAM_NEEDED);
    else if (result != STORE_OK)
        handler_error(call, result);
    if (result != STORE_OK)
        return false;
    *g = stream_group_find(*s, call->argv[3]);
    if (!*g && needed)
        stream_no_group(call);
    return *g || !needed;
}

/* "$" or an id; with `any` also "-" and "+". */
static bool take_group_id(const struct call *call, const struct stream_object *s, bool any,
                          struct id *id)
{
    if (!slice_equal(call->argv[4], SLICE("$"))) {
        bool ok = stream_id_parse(call->argv[4], any, 0, id, NULL);
        if (!ok)
            reply_error(call->reply, ERR_STREAM_ID);
        return ok;
    }
    *id = s ? s->last_id : ID_MIN;
    return true;
}

static void run_create(struct call *call)
{
    struct store_key key = handler_key(call, 0, 2);
    struct group_words w;
    struct stream_object *s = NULL;
    struct id id;
    bool made;
    if (!take_group_options(call, true, &w))
        return;
    enum store_result result = stream_write(call->tx, key, &s);
    if (result == STORE_MISSING && !w.make) {
        reply_error(call->reply, ERR_STREAM_NEEDED);
        return;
    }
    if (result == STORE_WRONG_TYPE) {
        handler_error(call, result);
        return;
    }
    if (call->argc > 8) {
        (void)bad_words(call);
        return;
    }
    if (!take_group_id(call, result == STORE_OK ? s : NULL, false, &id))
        return;
    result = stream_write_or_make(call->tx, key, &s, &made);
    if (result != STORE_OK) {
        handler_error(call, result);
    } else if (stream_group_find(s, call->argv[3])) {
        reply_error(call->reply, ERR_STREAM_BUSY);
    } else if (!stream_group_create(s, call->argv[3], id, w.entries_read)) {
        if (made)
            (void)keyspace_delete(call->tx, key, false);
        handler_error(call, STORE_NO_MEMORY);
    } else {
        reply_ok(call->reply);
        stream_changed(call->tx, key, "xgroup-create", 1);
    }
}

static void run_setid(struct call *call)
{
    struct group_words w;
    struct stream_object *s;
    struct stream_group *g;
    struct id id;
    if (!take_group_options(call, false, &w) || !find_group(call, true, &s, &g))
        return;
    if (call->argc > 7) {
        (void)bad_words(call);
        return;
    }
    if (!take_group_id(call, s, true, &id))
        return;
    g->last_id = id;
    g->entries_read = w.entries_read;
    reply_ok(call->reply);
    stream_changed(call->tx, handler_key(call, 0, 2), "xgroup-setid", 1);
}

static void run_destroy(struct call *call)
{
    struct stream_object *s;
    struct stream_group *g;
    if (!find_group(call, false, &s, &g))
        return;
    reply_integer(call->reply, g != NULL);
    if (!g)
        return;
    stream_group_destroy(s, g);
    stream_changed(call->tx, handler_key(call, 0, 2), "xgroup-destroy", 1);
    stream_awaken(call->tx, handler_key(call, 0, 2));
}

static void run_createconsumer(struct call *call)
{
    struct stream_object *s;
    struct stream_group *g;
    if (!find_group(call, true, &s, &g))
        return;
    bool there = stream_consumer_find(g, call->argv[4]) != NULL;
    if (!stream_consumer_of(call, g, handler_key(call, 0, 2), call->argv[4]))
        handler_error(call, STORE_NO_MEMORY);
    else
        reply_integer(call->reply, !there);
}

static void run_delconsumer(struct call *call)
{
    struct stream_object *s;
    struct stream_group *g;
    if (!find_group(call, true, &s, &g))
        return;
    struct stream_consumer *c = stream_consumer_find(g, call->argv[4]);
    reply_integer(call->reply, c ? (int64_t)stream_consumer_destroy(g, c) : 0);
    if (c)
        stream_changed(call->tx, handler_key(call, 0, 2), "xgroup-delconsumer", 1);
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "CREATE <key> <groupname> <id|$> [option]",
        "    Makes a group that has got all up to the id. Options:",
        "    * MKSTREAM",
        "      makes an empty stream if there is none.",
        "    * ENTRIESREAD entries_read",
        "      says how many entries the group has got.",
        "CREATECONSUMER <key> <groupname> <consumer>",
        "    Makes a consumer.",
        "DELCONSUMER <key> <groupname> <consumer>",
        "    Removes a consumer with what it has pending.",
        "DESTROY <key> <groupname>",
        "    Removes a group.",
        "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
        "    Says up to where the group has got all.",
    };
    handler_help(call, lines, sizeof lines / sizeof *lines);
}

/* ---- XACK ---- */

static void run_xack(struct call *call)
{
    struct stream_object *s;
    struct id id;
    int64_t done = 0;
    enum store_result result = stream_write(call->tx, handler_first_key(call), &s);
    if (result == STORE_WRONG_TYPE) {
        handler_error(call, result);
        return;
    }
    struct stream_group *g = result == STORE_OK ? stream_group_find(s, call->argv[2]) : NULL;
    for (size_t i = 3; g && i < call->argc; i++)
        if (!stream_id_word(call, call->argv[i], &id))
            return;
    for (size_t i = 3; g && i < call->argc; i++) {
        (void)stream_id_parse(call->argv[i], false, 0, &id, NULL);
        done += stream_group_acknowledge(g, id);
    }
    reply_integer(call->reply, done);
    if (done > 0)
        stream_group_changed(call, handler_first_key(call), (uint64_t)done);
}

/* An id that the group does not have pending is left alone, even if there is such an entry. */
static void run_xackdel(struct call *call)
{
    enum stream_refs refs;
    struct stream_object *s;
    struct id id;
    uint64_t acknowledged = 0, deleted = 0;
    size_t first;
    if (!stream_ids_words(call, 3, &refs, &first))
        return;
    enum store_result result = stream_write(call->tx, handler_first_key(call), &s);
    if (result == STORE_WRONG_TYPE) {
        handler_error(call, result);
        return;
    }
    struct stream_group *g = result == STORE_OK ? stream_group_find(s, call->argv[2]) : NULL;
    reply_array(call->reply, call->argc - first);
    for (size_t i = first; i < call->argc; i++) {
        (void)stream_id_parse(call->argv[i], false, 0, &id, NULL);
        enum store_result one = STORE_MISSING;
        if (g && stream_group_acknowledge(g, id)) {
            acknowledged++;
            one = stream_object_delete_refs(s, id, refs);
            deleted += one == STORE_OK;
            /* Acknowledged, and there is no entry any more, whoever deleted it. */
            one = one == STORE_MISSING ? STORE_OK : one;
        }
        stream_reply_deleted(call, one);
    }
    if (acknowledged > 0)
        stream_group_changed(call, handler_first_key(call), acknowledged);
    if (deleted > 0)
        stream_changed(call->tx, handler_first_key(call), "xdel", deleted);
}

/* ---- XPENDING ---- */

struct pending_words {
    int64_t idle_ms, count;
    struct id low, high;
    const struct slice *consumer; /* NULL: all */
};

static bool take_pending_words(const struct call *call, struct pending_words *w)
{
    size_t at = 3;
    *w = (struct pending_words){0};
    if (call->argc == 3)
        return true;
    bool idle = call->argc >= 6 && slice_equal_nocase(call->argv[3], SLICE("IDLE"));
    if (call->argc < 6 || call->argc > 9) {
        reply_error(call->reply, ERR_SYNTAX);
        return false;
    }
    if (idle) {
        if (!handler_integer(call, call->argv[4], &w->idle_ms))
            return false;
        if (call->argc < 8) {
            reply_error(call->reply, ERR_SYNTAX);
            return false;
        }
        at += 2;
    }
    if (!handler_integer(call, call->argv[at + 2], &w->count) ||
        !stream_interval_words(call, call->argv[at], call->argv[at + 1], &w->low, &w->high))
        return false;
    w->consumer = call->argc > at + 3 ? &call->argv[at + 3] : NULL;
    return true;
}

static void pending_summary(const struct call *call, const struct stream_group *g)
{
    struct reply *r = call->reply;
    struct id low, high;
    reply_array(r, 4);
    reply_integer(r, (int64_t)g->pending.count);
    if (g->pending.count == 0) {
        reply_null(r);
        reply_null(r);
        reply_null_array(r);
        return;
    }
    (void)id_tree_at_or_after(&g->pending, ID_MIN, &low);
    (void)id_tree_at_or_before(&g->pending, ID_MAX, &high);
    stream_reply_id(call, low);
    stream_reply_id(call, high);
    struct reply_mark mark = reply_deferred_begin(r);
    size_t shown = 0;
    for (size_t i = 0; i < g->consumers.count; i++) {
        const struct stream_consumer *c = (const struct stream_consumer *)g->consumers.items[i];
        if (c->pending.count == 0)
            continue;
        reply_array(r, 2);
        reply_bulk(r, c->named.name);
        reply_bulk_integer(r, (int64_t)c->pending.count);
        shown++;
    }
    reply_deferred_array(r, mark, shown);
}

static void pending_entries(const struct call *call, const struct id_tree *pending,
                            const struct pending_words *w)
{
    struct reply *r = call->reply;
    struct reply_mark mark = reply_deferred_begin(r);
    struct stream_nack *n;
    int64_t shown = 0;
    for (struct id at = w->low; shown < w->count && (n = id_tree_at_or_after(pending, at, &at)) &&
                                id_compare(at, w->high) <= 0;) {
        int64_t idle_ms = call->tx->now_ms - n->delivered_ms;
        if (w->idle_ms == 0 || idle_ms >= w->idle_ms) {
            reply_array(r, 4);
            stream_reply_id(call, at);
            reply_bulk(r, n->consumer->named.name);
            reply_integer(r, idle_ms < 0 ? 0 : idle_ms);
            reply_integer(r, (int64_t)n->deliveries);
            shown++;
        }
        if (!id_next(&at))
            break;
    }
    reply_deferred_array(r, mark, (size_t)shown);
}

static void run_xpending(struct call *call)
{
    struct pending_words w;
    const struct stream_object *s;
    struct stream_group *g;
    if (!take_pending_words(call, &w))
        return;
    enum store_result result = stream_read(call->tx, handler_first_key(call), &s);
    if (result == STORE_WRONG_TYPE) {
        handler_error(call, result);
        return;
    }
    if (result != STORE_OK || !(g = stream_group_find(s, call->argv[2]))) {
        stream_no_key_or_group(call);
        return;
    }
    if (call->argc == 3) {
        pending_summary(call, g);
        return;
    }
    const struct stream_consumer *c = w.consumer ? stream_consumer_find(g, *w.consumer) : NULL;
    if (w.consumer && !c)
        reply_array(call->reply, 0);
    else
        pending_entries(call, c ? &c->pending : &g->pending, &w);
}

/* ---- rows ---- */

#define NEW_ID ARG_ONEOF("id-selector", (), ARG_STRING("id"), ARG_TOKEN("new-id", "$"))

static const struct command rows[] = {
    {STREAM_ROW("XACK", run_xack, -4, "5.0.0", "O(1)"), .flags = CMD_WRITE | CMD_FAST,
     .summary = "Acknowledges entries that a group has pending.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("group"), ARG_STRING("id", ARG_MULTIPLE))},
    {STREAM_ROW("XACKDEL", run_xackdel, -6, "8.2.0", "O(1)"), .parse = handler_parses_itself,
     .flags = CMD_WRITE | CMD_FAST,
     .summary = "Acknowledges entries that a group has pending, and deletes them.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("group"), STREAM_REFS_ARG(NULL), STREAM_IDS_ARG)},
    {.name = "XGROUP",
     .arity = -2,
     .scope = SCOPE_NONE,
     .group = "stream",
     .since = "5.0.0",
     .summary = "Makes, changes and removes groups and their consumers.",
     ROW_SUBCOMMANDS(
         {STREAM_ROW("CREATE", run_create, -5, "5.0.0", "O(1)"), .parse = handler_parses_itself,
          .flags = CMD_WRITE | CMD_DENYOOM, .summary = "Makes a group.",
          .history = ROW_WORDS("7.0.0", "ENTRIESREAD."), ROW_KEYS(KEY_AT(2, KEY_RW | KEY_INSERT)),
          ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("group"), NEW_ID,
                   ARG_TOKEN("mkstream", "MKSTREAM", ARG_OPTIONAL),
                   ARG_INTEGER("entriesread", .token = "ENTRIESREAD", .display = "entries-read",
                               ARG_OPTIONAL))},
         {STREAM_ROW("CREATECONSUMER", run_createconsumer, 5, "6.2.0", "O(1)"),
          .flags = CMD_WRITE | CMD_DENYOOM, .summary = "Makes a consumer of a group.",
          ROW_KEYS(KEY_AT(2, KEY_RW | KEY_INSERT)),
          ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("group"), ARG_STRING("consumer"))},
         {STREAM_ROW("DELCONSUMER", run_delconsumer, 5, "5.0.0", "O(1)"), .flags = CMD_WRITE,
          .summary = "Removes a consumer with what it has pending.",
          ROW_KEYS(KEY_AT(2, KEY_RW | KEY_DELETE)),
          ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("group"), ARG_STRING("consumer"))},
         {STREAM_ROW("DESTROY", run_destroy, 4, "5.0.0", "O(N)"), .flags = CMD_WRITE,
          .summary = "Removes a group.", ROW_KEYS(KEY_AT(2, KEY_RW | KEY_DELETE)),
          ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("group"))},
         {.name = "HELP",
          .run = run_help,
          .arity = 2,
          .flags = CMD_LOADING | CMD_STALE,
          .acl = ACL_STREAM,
          .scope = SCOPE_NONE,
          .group = "stream",
          .since = "5.0.0",
          .complexity = "O(1)",
          .summary = "Lists the subcommands."},
         {STREAM_ROW("SETID", run_setid, -5, "5.0.0", "O(1)"), .parse = handler_parses_itself,
          .flags = CMD_WRITE, .summary = "Says up to where a group has got all.",
          .history = ROW_WORDS("7.0.0", "ENTRIESREAD."), ROW_KEYS(KEY_AT(2, KEY_RW | KEY_UPDATE)),
          ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("group"), NEW_ID,
                   ARG_INTEGER("entriesread", .token = "ENTRIESREAD", .display = "entries-read",
                               ARG_OPTIONAL))})},
    {STREAM_ROW("XPENDING", run_xpending, -3, "5.0.0", "O(N)"), .parse = handler_parses_itself,
     .flags = CMD_READONLY, .summary = "Tells what a group has pending.",
     .tips = ROW_WORDS("nondeterministic_output"),
     .history = ROW_WORDS("6.2.0", "IDLE and exclusive ends."),
     ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(
         ARG_KEY("key", 0), ARG_STRING("group"),
         ARG_BLOCK("filters", (ARG_OPTIONAL),
                   ARG_INTEGER("min-idle-time", .token = "IDLE", .since = "6.2.0", ARG_OPTIONAL),
                   ARG_STRING("start"), ARG_STRING("end"), ARG_INTEGER("count"),
                   ARG_STRING("consumer", ARG_OPTIONAL)))},
};
const struct command_family stream_group_family = COMMAND_FAMILY(rows);

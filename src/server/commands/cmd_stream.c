/* cmd_stream.c - streams: adding, deleting, trimming, ranges, and what XINFO STREAM tells. */
#include "server/commands/handler.h"

#include "base/number.h"
#include "server/commands/stream_info.h"
#include "server/commands/stream_words.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/type_limits.h"

/* ---- adding and trimming ---- */

struct add_words {
    struct stream_addition what;
    bool limit_given;
    bool refs_given;
};

/* MAXLEN or MINID at argv[*at], with its operator and threshold. */
static bool take_strategy(const struct call *call, size_t *at, struct stream_trim *trim, bool by_id)
{
    struct slice next = call->argv[*at + 1];
    bool has_operator =
        call->argc - *at > 2 && (slice_equal(next, SLICE("~")) || slice_equal(next, SLICE("=")));
    if (trim->by != STREAM_TRIM_NONE) {
        reply_error(call->reply, ERR_STREAM_BOTH);
        return false;
    }
    trim->whole_nodes = has_operator && next.data[0] == '~';
    *at += has_operator ? 2 : 1;
    struct slice threshold = call->argv[*at];
    int64_t length = 0;
    if (by_id ? !stream_id_word(call, threshold, &trim->id)
              : !handler_integer(call, threshold, &length))
        return false;
    if (length < 0) {
        reply_error(call->reply, ERR_STREAM_MAXLEN);
        return false;
    }
    trim->length = (uint64_t)length;
    trim->by = by_id ? STREAM_TRIM_ID : STREAM_TRIM_LENGTH;
    return true;
}

static bool take_limit(const struct call *call, size_t *at, struct stream_trim *trim)
{
    int64_t limit;
    if (!handler_integer(call, call->argv[++*at], &limit))
        return false;
    if (limit < 0)
        reply_error(call->reply, ERR_STREAM_LIMIT);
    trim->limit = (uint64_t)limit;
    return limit >= 0;
}

/* One of KEEPREF, DELREF and ACKED, once. */
static bool take_refs(const struct call *call, struct add_words *w)
{
    if (w->refs_given)
        reply_error(call->reply, ERR_SYNTAX);
    bool first = !w->refs_given;
    w->refs_given = true;
    return first;
}

/* A limit that nobody gave: about a hundred nodes. */
static uint64_t usual_limit(const struct call *call)
{
    int64_t entries = type_limit(&keyspace_limits(call->tx->keyspace)->stream_node_max_entries);
    if (entries <= 0)
        return 10000;
    return entries > 10000 ? 1000000 : (uint64_t)entries * 100;
}

static bool check_limit(const struct call *call, bool given, bool xadd, struct stream_trim *trim)
{
    const char *error = NULL;
    if (trim->limit > 0 && trim->by == STREAM_TRIM_NONE)
        error = ERR_STREAM_NO_LIMIT;
    else if (!xadd && trim->by == STREAM_TRIM_NONE)
        error = ERR_STREAM_NO_TRIM;
    else if (given && !trim->whole_nodes)
        error = ERR_STREAM_LIMIT_EXACT;
    else if (!given && trim->whole_nodes)
        trim->limit = usual_limit(call);
    if (error)
        reply_error(call->reply, error);
    return !error;
}

/* The options of XADD, up to the id at *at, or all of XTRIM. False: replied. */
static bool take_options(const struct call *call, bool xadd, struct add_words *w, size_t *at)
{
    struct stream_trim *trim = &w->what.trim;
    for (*at = 2; *at < call->argc; ++*at) {
        bool ok = true, auto_seq;
        if (xadd && slice_equal(call->argv[*at], SLICE("*"))) {
            w->what.form = STREAM_ID_AUTO;
            break;
        }
        if (stream_option(call, *at, "maxlen", 1)) {
            ok = take_strategy(call, at, trim, false);
        } else if (stream_option(call, *at, "minid", 1)) {
            ok = take_strategy(call, at, trim, true);
        } else if (stream_option(call, *at, "limit", 1)) {
            w->limit_given = true;
            ok = take_limit(call, at, trim);
        } else if (xadd && stream_option(call, *at, "nomkstream", 0)) {
            w->what.only_if_exists = true;
        } else if (stream_refs_word(call->argv[*at], &trim->refs)) {
            ok = take_refs(call, w);
        } else if (!xadd) {
            reply_error(call->reply, ERR_SYNTAX);
            return false;
        } else if (!stream_id_parse(call->argv[*at], false, 0, &w->what.id, &auto_seq)) {
            reply_error(call->reply, ERR_STREAM_ID);
            return false;
        } else {
            w->what.form = auto_seq ? STREAM_ID_AUTO_SEQ : STREAM_ID_GIVEN;
            break;
        }
        if (!ok)
            return false;
    }
    return check_limit(call, w->limit_given, xadd, trim);
}

static const char *add_error(enum store_result result)
{
    return result == STORE_OVERFLOW  ? ERR_STREAM_FULL
           : result == STORE_NOT_MET ? ERR_STREAM_ID_SMALL
           : result == STORE_TOO_BIG ? ERR_STREAM_TOO_LARGE
                                     : NULL;
}

static void run_xadd(struct call *call)
{
    struct add_words w = {0};
    size_t at;
    struct id added;
    if (!take_options(call, true, &w, &at))
        return;
    size_t words = call->argc > at + 1 ? call->argc - at - 1 : 0;
    if (words < 2 || words % 2 == 1) {
        reply_errorf(call->reply, ERR_ARITY, call->command->full_name);
        return;
    }
    if (w.what.form == STREAM_ID_GIVEN && id_compare(w.what.id, ID_MIN) == 0) {
        reply_error(call->reply, ERR_STREAM_ID_ZERO);
        return;
    }
    w.what.pairs = call->argv + at + 1;
    w.what.count = words / 2;
    enum store_result result = stream_add(call->tx, handler_first_key(call), &w.what, &added);
    if (result == STORE_OK)
        stream_reply_id(call, added);
    else if (result == STORE_MISSING)
        reply_null(call->reply);
    else if (add_error(result))
        reply_error(call->reply, add_error(result));
    else
        handler_error(call, result);
}

static void reply_count(const struct call *call, enum store_result result, uint64_t count)
{
    if (result == STORE_OK || result == STORE_MISSING)
        reply_integer(call->reply, (int64_t)count);
    else
        handler_error(call, result);
}

static void run_xtrim(struct call *call)
{
    struct add_words w = {0};
    size_t at;
    uint64_t trimmed;
    if (!take_options(call, false, &w, &at))
        return;
    enum store_result result =
        stream_trim(call->tx, handler_first_key(call), &w.what.trim, &trimmed);
    reply_count(call, result, trimmed);
}

static void run_xdel(struct call *call)
{
    struct id id;
    struct stream_object *s;
    uint64_t deleted = 0;
    enum store_result result = stream_write(call->tx, handler_first_key(call), &s);
    for (size_t i = 2; result == STORE_OK && i < call->argc; i++)
        if (!stream_id_word(call, call->argv[i], &id))
            return;
    for (size_t i = 2; result == STORE_OK && i < call->argc; i++) {
        (void)stream_id_parse(call->argv[i], false, 0, &id, NULL);
        deleted += stream_object_delete_refs(s, id, STREAM_KEEPREF) == STORE_OK;
    }
    reply_count(call, result, deleted);
    if (deleted > 0)
        stream_changed(call->tx, handler_first_key(call), "xdel", deleted);
}

static void run_xdelex(struct call *call)
{
    enum stream_refs refs;
    struct stream_object *s;
    struct id id;
    uint64_t deleted = 0;
    size_t first;
    if (!stream_ids_words(call, 2, &refs, &first))
        return;
    enum store_result result = stream_write(call->tx, handler_first_key(call), &s);
    if (result == STORE_WRONG_TYPE) {
        handler_error(call, result);
        return;
    }
    reply_array(call->reply, call->argc - first);
    for (size_t i = first; i < call->argc; i++) {
        (void)stream_id_parse(call->argv[i], false, 0, &id, NULL);
        enum store_result one =
            result == STORE_OK ? stream_object_delete_refs(s, id, refs) : STORE_MISSING;
        stream_reply_deleted(call, one);
        deleted += one == STORE_OK;
    }
    if (deleted > 0)
        stream_changed(call->tx, handler_first_key(call), "xdel", deleted);
}

/* ---- XSETID ---- */

struct set_words {
    struct id last_id, max_deleted_id;
    int64_t entries_added; /* -1: not given */
};

static bool take_set_options(const struct call *call, struct set_words *w)
{
    if (!stream_id_word(call, call->argv[2], &w->last_id))
        return false;
    for (size_t i = 3; i < call->argc; i += 2) {
        const char *error = NULL;
        if (stream_option(call, i, "entriesadded", 1)) {
            if (!handler_integer(call, call->argv[i + 1], &w->entries_added))
                return false;
            error = w->entries_added < 0 ? ERR_STREAM_ADDED_SIGN : NULL;
        } else if (stream_option(call, i, "maxdeletedid", 1)) {
            if (!stream_id_word(call, call->argv[i + 1], &w->max_deleted_id))
                return false;
            if (id_compare(w->last_id, w->max_deleted_id) < 0)
                error = ERR_STREAM_SET_PROVIDED;
        } else {
            error = ERR_SYNTAX;
        }
        if (error) {
            reply_error(call->reply, error);
            return false;
        }
    }
    return true;
}

static void run_xsetid(struct call *call)
{
    struct set_words w = {.entries_added = -1};
    struct stream_object *s;
    const char *error = NULL;
    if (!take_set_options(call, &w))
        return;
    enum store_result result = stream_write(call->tx, handler_first_key(call), &s);
    if (result != STORE_OK) {
        handler_error(call, result);
        return;
    }
    if (id_compare(w.last_id, s->max_deleted_id) < 0)
        error = ERR_STREAM_SET_CURRENT;
    else if (s->length > 0 && id_compare(w.last_id, stream_object_edge(s, true)) < 0)
        error = ERR_STREAM_SET_TOP;
    else if (w.entries_added != -1 && s->length > (uint64_t)w.entries_added)
        error = ERR_STREAM_SET_ADDED;
    if (error) {
        reply_error(call->reply, error);
        return;
    }
    s->last_id = w.last_id;
    if (w.entries_added != -1)
        s->entries_added = (uint64_t)w.entries_added;
    if (id_compare(w.max_deleted_id, ID_MIN) != 0)
        s->max_deleted_id = w.max_deleted_id;
    reply_ok(call->reply);
    stream_changed(call->tx, handler_first_key(call), "xsetid", 1);
}

/* ---- reading ---- */

static void run_xlen(struct call *call)
{
    const struct stream_object *s;
    enum store_result result = stream_read(call->tx, handler_first_key(call), &s);
    reply_count(call, result, result == STORE_OK ? s->length : 0);
}

static void range(const struct call *call, bool backwards)
{
    struct id low, high;
    int64_t count = -1;
    const struct stream_object *s;
    if (!stream_interval_words(call, call->argv[backwards ? 3 : 2], call->argv[backwards ? 2 : 3],
                               &low, &high))
        return;
    for (size_t i = 4; i < call->argc; i += 2) {
        if (!stream_option(call, i, "count", 1)) {
            reply_error(call->reply, ERR_SYNTAX);
            return;
        }
        if (!handler_integer(call, call->argv[i + 1], &count))
            return;
        count = count < 0 ? 0 : count;
    }
    enum store_result result = stream_read(call->tx, handler_first_key(call), &s);
    if (result == STORE_MISSING)
        reply_array(call->reply, 0);
    else if (result != STORE_OK)
        handler_error(call, result);
    else if (count == 0)
        reply_null_array(call->reply);
    else
        stream_reply_range(call, s, low, high, count < 0 ? 0 : (uint64_t)count, backwards);
}

static void run_xrange(struct call *call)
{
    range(call, false);
}

static void run_xrevrange(struct call *call)
{
    range(call, true);
}

/* ---- rows ---- */

#define TRIM_STRATEGY                                                  \
    ARG_ONEOF("strategy", (), ARG_TOKEN("maxlen", "MAXLEN"),           \
              ARG_TOKEN("minid", "MINID", .since = "6.2.0")),          \
        ARG_ONEOF("operator", (ARG_OPTIONAL), ARG_TOKEN("equal", "="), \
                  ARG_TOKEN("approximately", "~")),                    \
        ARG_STRING("threshold"),                                       \
        ARG_INTEGER("count", .token = "LIMIT", .since = "6.2.0", ARG_OPTIONAL)

static const struct command rows[] = {
    {STREAM_ROW("XADD", run_xadd, -5, "5.0.0", "O(1)"), .parse = handler_parses_itself,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .summary = "Adds an entry to a stream.",
     .tips = ROW_WORDS("nondeterministic_output"),
     .history =
         ROW_WORDS("6.2.0", "NOMKSTREAM, MINID and LIMIT.", "7.0.0", "Ids of the form ms-*."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0),
              ARG_TOKEN("nomkstream", "NOMKSTREAM", .since = "6.2.0", ARG_OPTIONAL),
              STREAM_REFS_ARG("8.2.0"), ARG_BLOCK("trim", (ARG_OPTIONAL), TRIM_STRATEGY),
              ARG_ONEOF("id-selector", (), ARG_TOKEN("auto-id", "*"), ARG_STRING("id")),
              ARG_BLOCK("data", (ARG_MULTIPLE), ARG_STRING("field"), ARG_STRING("value")))},
    {STREAM_ROW("XDEL", run_xdel, -3, "5.0.0", "O(1)"), .flags = CMD_WRITE | CMD_FAST,
     .summary = "Deletes entries of a stream.", ROW_KEYS(KEY_AT(1, KEY_RW | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("id", ARG_MULTIPLE))},
    {STREAM_ROW("XDELEX", run_xdelex, -5, "8.2.0", "O(1)"), .parse = handler_parses_itself,
     .flags = CMD_WRITE | CMD_FAST,
     .summary = "Deletes entries of a stream, with or without what groups have pending of them.",
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), STREAM_REFS_ARG(NULL), STREAM_IDS_ARG)},
    {.name = "XINFO",
     .arity = -2,
     .scope = SCOPE_NONE,
     .group = "stream",
     .since = "5.0.0",
     .summary = "Tells about streams, their groups and consumers.",
     ROW_SUBCOMMANDS(
         {STREAM_ROW("CONSUMERS", stream_info_consumers, 4, "5.0.0", "O(1)"), .flags = CMD_READONLY,
          .summary = "Tells the consumers of a group.",
          .tips = ROW_WORDS("nondeterministic_output"), .history = ROW_WORDS("7.2.0", "inactive."),
          ROW_KEYS(KEY_AT(2, KEY_RO | KEY_ACCESS)),
          ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("group"))},
         {STREAM_ROW("GROUPS", stream_info_groups, 3, "5.0.0", "O(1)"), .flags = CMD_READONLY,
          .summary = "Tells the groups of a stream.",
          .history = ROW_WORDS("7.0.0", "entries-read and lag."),
          ROW_KEYS(KEY_AT(2, KEY_RO | KEY_ACCESS)), ROW_ARGS(ARG_KEY("key", 0))},
         {.name = "HELP",
          .run = stream_info_help,
          .arity = 2,
          .flags = CMD_LOADING | CMD_STALE,
          .acl = ACL_STREAM,
          .scope = SCOPE_NONE,
          .group = "stream",
          .since = "5.0.0",
          .complexity = "O(1)",
          .summary = "Lists the subcommands."},
         {STREAM_ROW("STREAM", stream_info_stream, -3, "5.0.0", "O(1)"),
          .parse = handler_parses_itself, .flags = CMD_READONLY,
          .summary = "Tells the numbers of a stream, or with FULL all about it.",
          .history = ROW_WORDS("6.0.0", "FULL.", "7.0.0",
                               "max-deleted-entry-id, entries-added, recorded-first-entry-id, "
                               "entries-read and lag.",
                               "7.2.0", "active-time of consumers."),
          ROW_KEYS(KEY_AT(2, KEY_RO | KEY_ACCESS)),
          ROW_ARGS(ARG_KEY("key", 0),
                   ARG_BLOCK("full-block", (ARG_OPTIONAL), ARG_TOKEN("full", "FULL"),
                             ARG_INTEGER("count", .token = "COUNT", ARG_OPTIONAL)))})},
    {STREAM_ROW("XLEN", run_xlen, 2, "5.0.0", "O(1)"), .flags = CMD_READONLY | CMD_FAST,
     .summary = "Tells the number of entries of a stream.", ROW_KEYS(KEY_AT(1, KEY_RO)),
     ROW_ARGS(ARG_KEY("key", 0))},
    {STREAM_ROW("XRANGE", run_xrange, -4, "5.0.0", "O(N)"), .parse = handler_parses_itself,
     .flags = CMD_READONLY, .summary = "Tells the entries from one id to another.",
     .history = ROW_WORDS("6.2.0", "Exclusive ends."), ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("start"), ARG_STRING("end"),
              ARG_INTEGER("count", .token = "COUNT", ARG_OPTIONAL))},
    {STREAM_ROW("XREVRANGE", run_xrevrange, -4, "5.0.0", "O(N)"), .parse = handler_parses_itself,
     .flags = CMD_READONLY, .summary = "Tells the entries from one id back to another.",
     .history = ROW_WORDS("6.2.0", "Exclusive ends."), ROW_KEYS(KEY_AT(1, KEY_RO | KEY_ACCESS)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("end"), ARG_STRING("start"),
              ARG_INTEGER("count", .token = "COUNT", ARG_OPTIONAL))},
    {STREAM_ROW("XSETID", run_xsetid, -3, "5.0.0", "O(1)"), .parse = handler_parses_itself,
     .flags = CMD_WRITE | CMD_DENYOOM | CMD_FAST, .summary = "Sets the last id of a stream.",
     .history = ROW_WORDS("7.0.0", "ENTRIESADDED and MAXDELETEDID."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(
         ARG_KEY("key", 0), ARG_STRING("last-id"),
         ARG_INTEGER("entries-added", .token = "ENTRIESADDED", .since = "7.0.0", ARG_OPTIONAL),
         ARG_STRING("max-deleted-id", .token = "MAXDELETEDID", .since = "7.0.0", ARG_OPTIONAL))},
    {STREAM_ROW("XTRIM", run_xtrim, -4, "5.0.0", "O(N)"), .parse = handler_parses_itself,
     .flags = CMD_WRITE, .summary = "Deletes entries from the beginning of a stream.",
     .tips = ROW_WORDS("nondeterministic_output"),
     .history = ROW_WORDS("6.2.0", "MINID and LIMIT."), ROW_KEYS(KEY_AT(1, KEY_RW | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_BLOCK("trim", (), TRIM_STRATEGY, STREAM_REFS_ARG("8.2.0")))},
};
const struct command_family stream_family = COMMAND_FAMILY(rows);

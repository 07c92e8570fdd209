/* cmd_stream_claim.c - XCLAIM and XAUTOCLAIM: pending entries are given to another consumer; those whose entry was deleted are
 * no longer pending.
 */
#include "server/commands/handler.h"

#include "base/number.h"
#include "server/commands/stream_words.h"
#include "server/reply.h"
#include "server/reply_errors.h"

struct claim {
    const struct call *call;
    struct stream_object *s;
    struct stream_group *group;
    struct stream_consumer *consumer;
    int64_t min_idle_ms, delivered_ms, retries; /* retries -1: counted on */
    bool force, just_id;
    uint64_t dirty;
};

/* What both look at first. False: replied. */
static bool find_group(const struct call *call, struct claim *c)
{
    enum store_result result = stream_write(call->tx, handler_first_key(call), &c->s);
    if (result == STORE_WRONG_TYPE) {
        handler_error(call, result);
        return false;
    }
    c->group = result == STORE_OK ? stream_group_find(c->s, call->argv[2]) : NULL;
    if (!c->group)
        stream_no_key_or_group(call);
    return c->group != NULL;
}

static bool take_min_idle(const struct call *call, struct claim *c, const char *error)
{
    if (!number_parse_int64(call->argv[4], &c->min_idle_ms)) {
        reply_error(call->reply, error);
        return false;
    }
    c->min_idle_ms = c->min_idle_ms < 0 ? 0 : c->min_idle_ms;
    return true;
}

static bool find_consumer(struct claim *c)
{
    c->consumer =
        stream_consumer_of(c->call, c->group, handler_first_key(c->call), c->call->argv[3]);
    if (!c->consumer)
        handler_error(c->call, STORE_NO_MEMORY);
    return c->consumer != NULL;
}

static bool too_fresh(const struct claim *c, const struct stream_nack *n)
{
    return c->min_idle_ms > 0 && c->call->tx->now_ms - n->delivered_ms < c->min_idle_ms;
}

/* Gives one to the consumer and shows it. False: out of memory, nothing was done. */
static bool give(struct claim *c, struct id id, struct stream_nack *n)
{
    if (!stream_group_hand_over(c->group, id, n, c->consumer))
        return false;
    n->delivered_ms = c->delivered_ms;
    if (c->retries >= 0)
        n->deliveries = (uint64_t)c->retries;
    else if (!c->just_id)
        n->deliveries++;
    c->consumer->active_ms = c->call->tx->now_ms;
    c->dirty++;
    if (c->just_id)
        stream_reply_id(c->call, id);
    else
        (void)stream_reply_entry_of(c->call, c->s, id);
    return true;
}

/* ---- XCLAIM ---- */

/* A number option; what is wrong with it has its own words. */
static bool take_number(const struct call *call, size_t at, const char *name, int64_t *out)
{
    if (number_parse_int64(call->argv[at], out))
        return true;
    reply_errorf(call->reply, ERR_STREAM_CLAIM_NUMBER, name);
    return false;
}

static bool take_claim_options(const struct call *call, size_t at, struct claim *c,
                               struct id *last_id)
{
    int64_t now_ms = call->tx->now_ms, when_ms = -1;
    *last_id = ID_MIN;
    for (; at < call->argc; at++) {
        bool ok = true;
        if (stream_option(call, at, "force", 0)) {
            c->force = true;
        } else if (stream_option(call, at, "justid", 0)) {
            c->just_id = true;
        } else if (stream_option(call, at, "idle", 1)) {
            ok = take_number(call, ++at, "IDLE", &when_ms);
            when_ms = (int64_t)((uint64_t)now_ms - (uint64_t)when_ms);
        } else if (stream_option(call, at, "time", 1)) {
            ok = take_number(call, ++at, "TIME", &when_ms);
        } else if (stream_option(call, at, "retrycount", 1)) {
            ok = take_number(call, ++at, "RETRYCOUNT", &c->retries);
        } else if (stream_option(call, at, "lastid", 1)) {
            ok = stream_id_word(call, call->argv[++at], last_id);
        } else {
            reply_errorf(call->reply, ERR_STREAM_CLAIM_OPTION, (int)call->argv[at].size,
                         call->argv[at].data);
            ok = false;
        }
        if (!ok)
            return false;
    }
    c->delivered_ms = when_ms < 0 || when_ms > now_ms ? now_ms : when_ms;
    return true;
}

/* Whether it was given and shown. */
static bool claim_one(struct claim *c, struct id id)
{
    struct stream_nack *n = id_tree_get(&c->group->pending, id);
    if (!stream_object_has(c->s, id)) {
        c->dirty += stream_group_acknowledge(c->group, id);
        return false;
    }
    if (n)
        return !too_fresh(c, n) && give(c, id, n);
    if (!c->force)
        return false;
    n = stream_group_deliver(c->group, c->consumer, id, c->delivered_ms);
    return n && give(c, id, n);
}

static void run_xclaim(struct call *call)
{
    struct claim c = {.call = call, .retries = -1};
    struct id id, last_id;
    size_t end = 5, shown = 0;
    if (!find_group(call, &c) || !take_min_idle(call, &c, ERR_STREAM_CLAIM_IDLE))
        return;
    while (end < call->argc && stream_id_parse(call->argv[end], false, 0, &id, NULL))
        end++;
    if (!take_claim_options(call, end, &c, &last_id))
        return;
    bool advanced = id_compare(last_id, c.group->last_id) > 0;
    if (advanced)
        c.group->last_id = last_id;
    if (!find_consumer(&c))
        return;
    struct reply_mark mark = reply_deferred_begin(call->reply);
    for (size_t i = 5; i < end; i++) {
        (void)stream_id_parse(call->argv[i], false, 0, &id, NULL);
        shown += claim_one(&c, id);
    }
    reply_deferred_array(call->reply, mark, shown);
    if (c.dirty == 0)
        c.dirty = advanced; /* else it is told with what was claimed */
    if (c.dirty > 0)
        stream_group_changed(call, handler_first_key(call), c.dirty);
}

/* ---- XAUTOCLAIM ---- */

static bool take_auto_options(const struct call *call, struct claim *c, struct id *start,
                              int64_t *count)
{
    struct id end;
    if (!stream_interval_words(call, call->argv[5], SLICE("+"), start, &end))
        return false;
    for (size_t i = 6; i < call->argc; i++) {
        if (stream_option(call, i, "count", 1)) {
            if (!number_parse_int64(call->argv[++i], count) || *count < 1 ||
                *count > INT64_MAX / 16) {
                reply_error(call->reply, ERR_STREAM_COUNT);
                return false;
            }
        } else if (stream_option(call, i, "justid", 0)) {
            c->just_id = true;
        } else {
            reply_error(call->reply, ERR_SYNTAX);
            return false;
        }
    }
    return true;
}

/* Where to stop: `count` entries are claimed or found deleted, or ten times as many looked at. False: at the end of all. */
static bool find_stop(const struct claim *c, struct id start, int64_t count, struct id *stop)
{
    uint64_t left = (uint64_t)count * 10;
    struct stream_nack *n;
    for (*stop = start; (n = id_tree_at_or_after(&c->group->pending, *stop, stop));) {
        if (left-- == 0 || count == 0)
            return true;
        if (!stream_object_has(c->s, *stop) || !too_fresh(c, n))
            count--;
        if (!id_next(stop))
            break;
    }
    return false;
}

static void claim_until(struct claim *c, struct id at, const struct id *stop)
{
    struct reply_mark mark = reply_deferred_begin(c->call->reply);
    struct stream_nack *n;
    size_t shown = 0;
    while ((n = id_tree_at_or_after(&c->group->pending, at, &at)) &&
           (!stop || id_compare(at, *stop) < 0)) {
        if (stream_object_has(c->s, at) && !too_fresh(c, n))
            shown += give(c, at, n);
        if (!id_next(&at))
            break;
    }
    reply_deferred_array(c->call->reply, mark, shown);
}

static void forget_deleted_until(struct claim *c, struct id at, const struct id *stop)
{
    struct reply_mark mark = reply_deferred_begin(c->call->reply);
    size_t shown = 0;
    while (id_tree_at_or_after(&c->group->pending, at, &at) &&
           (!stop || id_compare(at, *stop) < 0)) {
        if (!stream_object_has(c->s, at)) {
            (void)stream_group_acknowledge(c->group, at);
            stream_reply_id(c->call, at);
            c->dirty++;
            shown++;
        }
        if (!id_next(&at))
            break;
    }
    reply_deferred_array(c->call->reply, mark, shown);
}

static void run_xautoclaim(struct call *call)
{
    struct claim c = {.call = call, .retries = -1, .delivered_ms = call->tx->now_ms};
    struct id start, stop;
    int64_t count = 100;
    if (!take_min_idle(call, &c, ERR_STREAM_AUTOCLAIM_IDLE) ||
        !take_auto_options(call, &c, &start, &count) || !find_group(call, &c) || !find_consumer(&c))
        return;
    bool more = find_stop(&c, start, count, &stop);
    reply_array(call->reply, 3);
    stream_reply_id(call, more ? stop : ID_MIN);
    claim_until(&c, start, more ? &stop : NULL);
    forget_deleted_until(&c, start, more ? &stop : NULL);
    if (c.dirty > 0)
        stream_group_changed(call, handler_first_key(call), c.dirty);
}

static const struct command rows[] = {
    {STREAM_ROW("XAUTOCLAIM", run_xautoclaim, -6, "6.2.0", "O(1)"), .flags = CMD_WRITE | CMD_FAST,
     .parse = handler_parses_itself,
     .summary = "Gives a consumer what others have had pending for long.",
     .tips = ROW_WORDS("nondeterministic_output"),
     .history = ROW_WORDS("7.0.0", "Tells the ids of deleted entries."),
     ROW_KEYS(KEY_AT(1, KEY_RW | KEY_DELETE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("group"), ARG_STRING("consumer"),
              ARG_STRING("min-idle-time"), ARG_STRING("start"),
              ARG_INTEGER("count", .token = "COUNT", ARG_OPTIONAL),
              ARG_TOKEN("justid", "JUSTID", ARG_OPTIONAL))},
    {STREAM_ROW("XCLAIM", run_xclaim, -6, "5.0.0", "O(log N)"), .flags = CMD_WRITE | CMD_FAST,
     .parse = handler_parses_itself,
     .summary = "Gives a consumer entries that others have pending.",
     .tips = ROW_WORDS("nondeterministic_output"), ROW_KEYS(KEY_AT(1, KEY_RW | KEY_UPDATE)),
     ROW_ARGS(ARG_KEY("key", 0), ARG_STRING("group"), ARG_STRING("consumer"),
              ARG_STRING("min-idle-time"), ARG_STRING("id", ARG_MULTIPLE),
              ARG_INTEGER("ms", .token = "IDLE", ARG_OPTIONAL),
              ARG_UNIX_TIME("unix-time-milliseconds", .token = "TIME", ARG_OPTIONAL),
              ARG_INTEGER("count", .token = "RETRYCOUNT", ARG_OPTIONAL),
              ARG_TOKEN("force", "FORCE", ARG_OPTIONAL),
              ARG_TOKEN("justid", "JUSTID", ARG_OPTIONAL),
              ARG_STRING("lastid", .token = "LASTID", ARG_OPTIONAL))},
};
const struct command_family stream_claim_family = COMMAND_FAMILY(rows);

/* stream_words.c - see stream_words.h. */
#include "server/commands/stream_words.h"

#include "base/number.h"
#include "server/reply.h"
#include "server/reply_errors.h"
#include "store/effects.h"

/* What is no plain number but one for strtoull: spaces and a sign before the digits; "-1" is the greatest. */
static bool parse_odd(const char *text, uint64_t *out)
{
    while (*text == ' ' || (*text >= '\t' && *text <= '\r'))
        text++;
    bool minus = *text == '-';
    text += minus || *text == '+';
    *out = 0;
    if (*text == '\0')
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(*out, UINT64_C(10), out) ||
            __builtin_add_overflow(*out, (uint64_t)(*text - '0'), out))
            return false;
    if (minus)
        *out = 0 - *out;
    return *text == '\0';
}

static bool parse_part(const char *text, uint64_t *out)
{
    int64_t plain;
    if (!number_parse_int64(slice_of(text), &plain))
        return parse_odd(text, out);
    *out = (uint64_t)plain;
    return plain >= 0;
}

bool stream_id_parse(struct slice word, bool any, uint64_t missing_seq, struct id *out,
                     bool *auto_seq)
{
    char text[128];
    if (auto_seq)
        *auto_seq = false;
    if (word.size > sizeof text - 1)
        return false;
    if (word.size > 0)
        memcpy(text, word.data, word.size);
    text[word.size] = '\0';
    if (text[0] != '\0' && text[1] == '\0' && (text[0] == '-' || text[0] == '+')) {
        *out = text[0] == '-' ? ID_MIN : ID_MAX;
        return any;
    }
    char *dash = strchr(text, '-');
    if (dash)
        *dash = '\0';
    if (!parse_part(text, &out->ms))
        return false;
    out->seq = missing_seq;
    if (!dash)
        return true;
    if (auto_seq && strcmp(dash + 1, "*") == 0) {
        out->seq = 0;
        *auto_seq = true;
        return true;
    }
    return parse_part(dash + 1, &out->seq);
}

bool stream_id_word(const struct call *call, struct slice word, struct id *out)
{
    if (stream_id_parse(word, false, 0, out, NULL))
        return true;
    reply_error(call->reply, ERR_STREAM_ID);
    return false;
}

/* One end; *excluded tells of a "(". */
static bool parse_end(struct slice word, uint64_t missing_seq, struct id *out, bool *excluded)
{
    *excluded = word.size > 1 && word.data[0] == '(';
    if (*excluded)
        word = (struct slice){word.data + 1, word.size - 1};
    return stream_id_parse(word, !*excluded, missing_seq, out, NULL);
}

bool stream_interval_words(const struct call *call, struct slice low_word, struct slice high_word,
                           struct id *low, struct id *high)
{
    bool excluded;
    const char *error = ERR_STREAM_ID;
    if (!parse_end(low_word, 0, low, &excluded))
        goto bad;
    error = ERR_STREAM_START;
    if (excluded && !id_next(low))
        goto bad;
    error = ERR_STREAM_ID;
    if (!parse_end(high_word, UINT64_MAX, high, &excluded))
        goto bad;
    error = ERR_STREAM_END;
    if (excluded && !id_previous(high))
        goto bad;
    return true;
bad:
    reply_error(call->reply, error);
    return false;
}

size_t stream_id_format(struct id id, char text[STREAM_ID_TEXT])
{
    size_t size = number_format_uint64(text, id.ms);
    text[size++] = '-';
    return size + number_format_uint64(text + size, id.seq);
}

void stream_reply_id(const struct call *call, struct id id)
{
    char text[STREAM_ID_TEXT];
    size_t size = stream_id_format(id, text);
    reply_bulk(call->reply, (struct slice){text, size});
}

void stream_reply_entry(const struct call *call, struct stream_entry *e)
{
    struct packed_item name, value;
    reply_array(call->reply, 2);
    stream_reply_id(call, e->id);
    reply_array(call->reply, 2 * e->fields);
    for (size_t i = 0; i < e->fields; i++) {
        stream_entry_pair(e, &name, &value);
        reply_bulk(call->reply, packed_text(&name));
        reply_bulk(call->reply, packed_text(&value));
    }
}

bool stream_reply_entry_of(const struct call *call, const struct stream_object *s, struct id id)
{
    struct stream_cursor c = stream_cursor_over(s, id, id, false);
    struct stream_entry e;
    bool there = stream_cursor_next(&c, &e);
    if (there)
        stream_reply_entry(call, &e);
    return there;
}

void stream_reply_range(const struct call *call, const struct stream_object *s, struct id low,
                        struct id high, uint64_t count, bool backwards)
{
    struct stream_cursor c = stream_cursor_over(s, low, high, backwards);
    struct stream_entry e;
    struct reply_mark mark = reply_deferred_begin(call->reply);
    size_t shown = 0;
    while ((count == 0 || shown < count) && stream_cursor_next(&c, &e)) {
        stream_reply_entry(call, &e);
        shown++;
    }
    reply_deferred_array(call->reply, mark, shown);
}

bool stream_option(const struct call *call, size_t at, const char *word, size_t more)
{
    return call->argc - at > more && slice_equal_nocase(call->argv[at], slice_of(word));
}

bool stream_refs_word(struct slice word, enum stream_refs *refs)
{
    static const char *const words[] = {
        [STREAM_KEEPREF] = "KEEPREF", [STREAM_DELREF] = "DELREF", [STREAM_ACKED] = "ACKED"};
    for (unsigned i = 0; i < ARG_COUNT(words); i++)
        if (slice_equal_nocase(word, slice_of(words[i]))) {
            *refs = (enum stream_refs)i;
            return true;
        }
    return false;
}

bool stream_ids_words(const struct call *call, size_t at, enum stream_refs *refs, size_t *first)
{
    int64_t count = 0;
    struct id id;
    const char *error = NULL;
    *refs = STREAM_KEEPREF;
    at += stream_refs_word(call->argv[at], refs);
    *first = at + 2;
    if (!stream_option(call, at, "ids", 1))
        error = ERR_SYNTAX;
    else if (!number_parse_int64(call->argv[at + 1], &count) || count <= 0)
        error = ERR_STREAM_NUMIDS;
    else if ((uint64_t)count != call->argc - *first)
        error = ERR_STREAM_NUMIDS_MISMATCH;
    if (error) {
        reply_error(call->reply, error);
        return false;
    }
    for (size_t i = *first; i < call->argc; i++)
        if (!stream_id_word(call, call->argv[i], &id))
            return false;
    return true;
}

void stream_reply_deleted(const struct call *call, enum store_result result)
{
    reply_integer(call->reply, result == STORE_OK ? 1 : result == STORE_NOT_MET ? 2 : -1);
}

void stream_no_group(const struct call *call)
{
    struct slice key = call->argv[2], group = call->argv[3];
    reply_errorf(call->reply, ERR_STREAM_NO_GROUP, (int)group.size, group.data, (int)key.size,
                 key.data);
}

void stream_no_key_or_group(const struct call *call)
{
    struct slice key = call->argv[1], group = call->argv[2];
    reply_errorf(call->reply, ERR_STREAM_NO_KEY_OR_GROUP, (int)key.size, key.data, (int)group.size,
                 group.data);
}

struct stream_consumer *stream_consumer_of(const struct call *call, struct stream_group *group,
                                           struct store_key key, struct slice name)
{
    struct stream_consumer *c = stream_consumer_find(group, name);
    if (!c) {
        c = stream_consumer_create(group, name, call->tx->now_ms);
        if (!c)
            return NULL;
        stream_changed(call->tx, key, "xgroup-createconsumer", 1);
    }
    c->seen_ms = call->tx->now_ms;
    return c;
}

void stream_group_changed(const struct call *call, struct store_key key, uint64_t dirty)
{
    effects_dirty(call->tx, key.hash, dirty);
}

/* stream.c - see stream.h. */
#include "store/types/stream.h"

#include "store/effects.h"
#include "store/type_limits.h"
#include "store/types/value.h"

struct stream_limits stream_limits_of(const struct transaction *tx)
{
    const struct type_limits *l = keyspace_limits(tx->keyspace);
    return (struct stream_limits){type_limit(&l->stream_node_max_bytes),
                                  type_limit(&l->stream_node_max_entries)};
}

enum store_result stream_read(struct transaction *tx, struct store_key key,
                              const struct stream_object **out)
{
    struct found f;
    enum store_result rc = value_find(tx, key, TYPE_STREAM, LOOKUP_READ, &f);
    if (rc == STORE_OK)
        *out = value_object(&f);
    return rc;
}

enum store_result stream_write(struct transaction *tx, struct store_key key,
                               struct stream_object **out)
{
    struct found f;
    enum store_result rc = value_find(tx, key, TYPE_STREAM, LOOKUP_WRITE, &f);
    if (rc == STORE_OK)
        *out = value_object(&f);
    return rc;
}

enum store_result stream_write_or_make(struct transaction *tx, struct store_key key,
                                       struct stream_object **out, bool *made)
{
    struct found f;
    *made = false;
    enum store_result rc = stream_write(tx, key, out);
    if (rc != STORE_MISSING)
        return rc;
    struct stream_object *s = stream_object_new();
    if (!s)
        return STORE_NO_MEMORY;
    rc = value_make_object(tx, key, TYPE_STREAM, ENCODING_STREAM, s, &f);
    if (rc != STORE_OK) {
        stream_object_free(s);
        return rc;
    }
    *made = true;
    *out = s;
    return STORE_OK;
}

void stream_changed(struct transaction *tx, struct store_key key, const char *event, uint64_t dirty)
{
    value_changed(tx, key, EVENT_STREAM, event, dirty);
}

/* The id to be given. STORE_OK, or STORE_OVERFLOW, STORE_NOT_MET. */
static enum store_result choose_id(const struct transaction *tx, const struct stream_object *s,
                                   const struct stream_addition *what, struct id *id)
{
    struct id next = s->last_id;
    if (!id_next(&next))
        return STORE_OVERFLOW;
    *id = what->id;
    if (what->form == STREAM_ID_AUTO) {
        *id = (struct id){(uint64_t)tx->now_ms, 0};
        if (id->ms <= s->last_id.ms)
            *id = next;
    } else if (what->form == STREAM_ID_AUTO_SEQ) {
        id->seq = 0;
        if (id->ms == s->last_id.ms && s->last_id.seq == UINT64_MAX)
            return STORE_NOT_MET;
        if (id->ms == s->last_id.ms)
            *id = next;
    }
    return id_compare(*id, s->last_id) > 0 ? STORE_OK : STORE_NOT_MET;
}

void stream_awaken(struct transaction *tx, struct store_key key)
{
    blocking_touch(tx, tx->db, key.name, key.hash, true);
}

enum store_result stream_add(struct transaction *tx, struct store_key key,
                             const struct stream_addition *what, struct id *added)
{
    struct stream_object *s;
    struct stream_limits limits = stream_limits_of(tx);
    bool made = false;
    enum store_result rc =
        what->only_if_exists ? stream_write(tx, key, &s) : stream_write_or_make(tx, key, &s, &made);
    if (rc != STORE_OK)
        return rc;
    rc = choose_id(tx, s, what, added);
    if (rc == STORE_OK)
        rc = stream_object_add(s, *added, what->pairs, what->count, &limits);
    if (rc != STORE_OK) {
        struct found f;
        if (made && value_find(tx, key, TYPE_STREAM, LOOKUP_PEEK, &f) == STORE_OK)
            shard_delete(&f, false);
        return rc;
    }
    stream_changed(tx, key, "xadd", 1);
    stream_awaken(tx, key);
    uint64_t trimmed = stream_object_trim(s, &what->trim);
    if (trimmed > 0)
        stream_changed(tx, key, "xtrim", 0);
    return STORE_OK;
}

enum store_result stream_trim(struct transaction *tx, struct store_key key,
                              const struct stream_trim *trim, uint64_t *trimmed)
{
    struct stream_object *s;
    *trimmed = 0;
    enum store_result rc = stream_write(tx, key, &s);
    if (rc == STORE_OK)
        *trimmed = stream_object_trim(s, trim);
    if (*trimmed > 0)
        stream_changed(tx, key, "xtrim", *trimmed);
    return rc;
}

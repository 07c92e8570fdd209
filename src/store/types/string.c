/* string.c - strings on entries.
 *
 * Most writes replace a value by one of about the same size. Those that stay in the same size class
 * are done in place: no allocation, no table access beyond the lookup. Otherwise a new entry takes
 * the old one's slot. Editing operations (APPEND, SETRANGE) first make the value wide enough, inline
 * or in a blob with slack, then write; a value that was edited is "raw" to OBJECT ENCODING, as the
 * peers have it.
 */
#include "store/types/string.h"

#include "base/check.h"
#include "base/xxh3.h"
#include "store/effects.h"
#include "store/entry.h"
#include "store/lazy_free.h"
#include "store/shard.h"
#include "store/types/string_edit.h"
#include "store/types/value.h"

#include <math.h>
#include <string.h>
#include <tuco/mem.h>

/* A new value on its way in: an integer when it is one in canonical form. */
struct new_value {
    struct slice bytes;
    int64_t integer;
    bool is_integer;
};

static struct new_value classify(struct slice bytes)
{
    struct new_value v = {.bytes = bytes};
    v.is_integer = bytes.size <= NUMBER_INT64_MAX_SIZE && number_parse_int64(bytes, &v.integer);
    return v;
}

static void show(const struct entry *e, struct string_value *out)
{
    if (e->encoding == ENCODING_INT)
        out->bytes =
            (struct slice){out->digits, number_format_int64(out->digits, entry_integer(e))};
    else
        out->bytes = entry_string(e);
}

static void show_digest(const struct entry *e, struct string_value *out)
{
    enum { DIGITS = 16 };
    struct string_value v;
    show(e, &v);
    uint64_t digest = xxh3_64(v.bytes.data, v.bytes.size);
    for (int i = DIGITS; i-- > 0; digest >>= 4)
        out->digits[i] = "0123456789abcdef"[digest & 15];
    out->bytes = (struct slice){out->digits, DIGITS};
}

/* What one of the IFs says of a string. */
static bool condition_holds(const struct entry *e, enum string_set_when when, struct slice compare)
{
    struct string_value v;
    if (when == STRING_SET_IFEQ || when == STRING_SET_IFNE) {
        show(e, &v);
        return slice_equal(v.bytes, compare) == (when == STRING_SET_IFEQ);
    }
    show_digest(e, &v);
    return slice_equal_nocase(v.bytes, compare) == (when == STRING_SET_IFDEQ);
}

static enum store_result check_type(const struct found *f)
{
    if (!f->entry)
        return STORE_MISSING;
    return f->entry->type == TYPE_STRING ? STORE_OK : STORE_WRONG_TYPE;
}

static void drop_entry(struct entry *e)
{
    if (entry_free_effort(e) > ENTRY_LAZY_EFFORT)
        lazy_free_entry(e);
    else
        entry_free(e);
}

/* ---- reading ---- */

enum store_result string_get(struct transaction *tx, struct store_key key, struct string_value *out)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_READ);
    enum store_result rc = check_type(&f);
    if (rc == STORE_OK)
        show(f.entry, out);
    return rc;
}

enum store_result string_digest(struct transaction *tx, struct store_key key,
                                struct string_value *out)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_READ);
    enum store_result rc = check_type(&f);
    if (rc == STORE_OK)
        show_digest(f.entry, out);
    return rc;
}

enum store_result string_size(struct transaction *tx, struct store_key key, size_t *size)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_READ);
    enum store_result rc = check_type(&f);
    *size = rc == STORE_OK ? entry_value_count(f.entry) : 0;
    return rc == STORE_MISSING ? STORE_OK : rc;
}

enum store_result string_get_range(struct transaction *tx, struct store_key key, int64_t start,
                                   int64_t end, struct string_value *out)
{
    out->bytes = (struct slice){out->digits, 0};
    enum store_result rc = string_get(tx, key, out);
    if (rc != STORE_OK)
        return rc == STORE_MISSING ? STORE_OK : rc;
    int64_t size = (int64_t)out->bytes.size;
    bool empty = start < 0 && end < 0 && start > end;
    start = start < 0 ? (start < -size ? 0 : start + size) : start;
    end = end < 0 ? (end < -size ? 0 : end + size) : end;
    end = end >= size ? size - 1 : end;
    if (empty || start > end || size == 0)
        out->bytes.size = 0;
    else
        out->bytes = (struct slice){out->bytes.data + start, (size_t)(end - start + 1)};
    return STORE_OK;
}

/* ---- replacing ---- */

/* Writes the value into the inline bytes the entry has: false if its size class would change. */
static bool write_inline(struct entry *e, const struct new_value *v)
{
    size_t size = v->is_integer ? sizeof v->integer : v->bytes.size;
    if (e->type != TYPE_STRING || (e->flags & ENTRY_BLOCK) || size > ENTRY_INLINE_MAX)
        return false;
    size_t usable = tu_usable_size(e), bytes = entry_bytes(e) - e->value_size + size;
    if (bytes > usable || tu_good_size(bytes) < usable)
        return false;
    e->value_size = (uint16_t)size;
    e->encoding = v->is_integer ? ENCODING_INT : ENCODING_BYTES;
    e->flags &= (uint8_t)~ENTRY_RAW;
    if (v->is_integer)
        entry_set_integer(e, v->integer);
    else if (size > 0)
        memcpy(entry_value(e), v->bytes.data, size);
    return true;
}

/* The same for a value in a blob, as long as at least half of it stays in use. */
static bool write_blob(struct entry *e, const struct new_value *v)
{
    size_t size = v->bytes.size;
    if (e->type != TYPE_STRING || !(e->flags & ENTRY_BLOCK) || v->is_integer ||
        size <= ENTRY_INLINE_MAX)
        return false;
    struct blob *blob = entry_block(e);
    if (size > blob->capacity || size < blob->capacity / 2)
        return false;
    memcpy(blob->bytes, v->bytes.data, size);
    blob->size = size;
    e->flags &= (uint8_t)~ENTRY_RAW;
    return true;
}

static struct entry *make_entry(struct slice key, const struct new_value *v, int64_t at_ms)
{
    return v->is_integer ? entry_new_integer(key, v->integer, at_ms)
                         : entry_new_bytes(key, v->bytes, at_ms);
}

/* Gives the key this value and deadline. With `keep`, the old entry lives until the unlock. */
static enum store_result put_value(struct transaction *tx, struct found *f, struct store_key key,
                                   const struct new_value *v, int64_t at_ms, bool keep)
{
    struct entry *old = f->entry;
    if (old && !keep && entry_expires(old) == (at_ms != EXPIRY_NONE) &&
        (write_inline(old, v) || write_blob(old, v))) {
        int64_t before_ms = entry_expiry(old);
        if (at_ms != EXPIRY_NONE) {
            old = entry_set_expiry(old, at_ms); /* in place: it had one */
            shard_expiry_changed(tx, f, before_ms, key.hash);
        }
        return STORE_OK;
    }
    struct entry *e = make_entry(key.name, v, at_ms);
    if (!e)
        return STORE_NO_MEMORY;
    if (!old) {
        enum store_result rc = shard_insert(tx, tx->db, e, key.hash);
        if (rc != STORE_OK)
            entry_free(e);
        else
            f->entry = e;
        return rc;
    }
    if (keep && !transaction_keep(tx, old)) {
        entry_free(e);
        return STORE_NO_MEMORY;
    }
    shard_replace(tx, f, e, key.hash);
    if (!keep)
        drop_entry(old);
    return STORE_OK;
}

/* A copy of a value that is about to go, for the reply. */
static bool keep_copy(struct transaction *tx, const struct entry *e, struct string_value *out)
{
    struct entry *copy = entry_copy(e, (struct slice){0}, EXPIRY_NONE);
    if (!copy)
        return false;
    if (!transaction_keep(tx, copy)) {
        entry_free(copy);
        return false;
    }
    show(copy, out);
    return true;
}

/* The conditions of SET, after GET's part: STORE_OK to go on. */
static enum store_result check_condition(const struct found *f, const struct string_set_options *o)
{
    if (o->old) {
        *o->found = f->entry != NULL;
        if (f->entry && f->entry->type != TYPE_STRING)
            return STORE_WRONG_TYPE;
        if (f->entry)
            show(f->entry, o->old);
    }
    switch (o->when) {
    case STRING_SET_NX: return f->entry ? STORE_NOT_MET : STORE_OK;
    case STRING_SET_XX: return f->entry ? STORE_OK : STORE_NOT_MET;
    case STRING_SET_ALWAYS: return STORE_OK;
    default: break;
    }
    if (!f->entry)
        return o->when == STRING_SET_IFEQ || o->when == STRING_SET_IFDEQ ? STORE_NOT_MET : STORE_OK;
    if (f->entry->type != TYPE_STRING)
        return STORE_WRONG_TYPE;
    return condition_holds(f->entry, o->when, o->compare) ? STORE_OK : STORE_NOT_MET;
}

/* SET with a deadline that has passed: whatever was there is gone. */
static enum store_result set_expired(struct transaction *tx, struct found *f, struct store_key key,
                                     const struct string_set_options *o)
{
    if (!f->entry)
        return STORE_OK;
    if (o->old && !keep_copy(tx, f->entry, o->old))
        return STORE_NO_MEMORY;
    return shard_set_expiry(tx, f, key, o->expire_at_ms);
}

enum store_result string_set(struct transaction *tx, struct store_key key, struct slice value,
                             const struct string_set_options *options)
{
    static const struct string_set_options plain = {.when = STRING_SET_ALWAYS};
    const struct string_set_options *o = options ? options : &plain;
    struct found f = shard_lookup(tx, tx->db, key, o->old ? LOOKUP_READ : LOOKUP_WRITE);
    enum store_result rc = check_condition(&f, o);
    if (rc != STORE_OK)
        return rc;
    int64_t at_ms = EXPIRY_NONE;
    if (o->expire_at_ms != 0) {
        at_ms = o->expire_at_ms;
        if (at_ms <= tx->now_ms)
            return set_expired(tx, &f, key, o);
    } else if (o->keep_ttl && f.entry) {
        at_ms = entry_expiry(f.entry);
    }
    struct new_value v = classify(value);
    /* An old value in `digits` needs no entry to live in. */
    bool keep = o->old && f.entry && f.entry->encoding != ENCODING_INT;
    rc = put_value(tx, &f, key, &v, at_ms, keep);
    if (rc != STORE_OK)
        return rc;
    effects_notify(tx, tx->db, EVENT_STRING, "set", key.name);
    effects_changed(tx, tx->db, key.name, key.hash, 1);
    if (o->expire_at_ms != 0)
        effects_notify(tx, tx->db, EVENT_GENERIC, "expire", key.name);
    return STORE_OK;
}

enum store_result string_set_many(struct transaction *tx, const struct store_key *keys,
                                  const struct slice *values, size_t count,
                                  const struct string_set_options *options)
{
    struct string_set_options each = options ? *options : (struct string_set_options){0};
    for (size_t i = 0; i < count && each.when != STRING_SET_ALWAYS; i++) {
        bool exists = shard_lookup(tx, tx->db, keys[i], LOOKUP_PEEK).entry != NULL;
        if (exists != (each.when == STRING_SET_XX))
            return STORE_NOT_MET;
    }
    each.when = STRING_SET_ALWAYS; /* also for a key that is named twice */
    enum store_result rc = STORE_OK;
    for (size_t i = 0; i < count && rc == STORE_OK; i++) {
        uint64_t dirty = tx->dirty;
        rc = string_set(tx, keys[i], values[i], &each);
        if (rc == STORE_OK && tx->dirty == dirty) /* its deadline is past; it counts all the same */
            effects_changed(tx, tx->db, keys[i].name, keys[i].hash, 1);
    }
    return rc;
}

/* ---- get and ... ---- */

enum store_result string_get_delete(struct transaction *tx, struct store_key key,
                                    struct string_value *out)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_READ);
    enum store_result rc = check_type(&f);
    if (rc != STORE_OK)
        return rc;
    show(f.entry, out);
    if (!transaction_keep(tx, f.entry))
        return STORE_NO_MEMORY;
    shard_take(&f);
    effects_notify(tx, tx->db, EVENT_GENERIC, "del", key.name);
    effects_changed(tx, tx->db, key.name, key.hash, 1);
    return STORE_OK;
}

enum store_result string_get_expire(struct transaction *tx, struct store_key key, int64_t at_ms,
                                    struct string_value *out)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_READ);
    enum store_result rc = check_type(&f);
    if (rc != STORE_OK)
        return rc;
    bool goes = at_ms > 0 && at_ms <= tx->now_ms;
    if (goes && !keep_copy(tx, f.entry, out))
        return STORE_NO_MEMORY;
    if (at_ms > 0 || (at_ms == EXPIRY_NONE && entry_expires(f.entry)))
        rc = shard_set_expiry(tx, &f, key, at_ms);
    if (rc == STORE_OK && !goes)
        show(f.entry, out);
    return rc;
}

enum store_result string_delete_if(struct transaction *tx, struct store_key key,
                                   enum string_set_when when, struct slice compare)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_WRITE);
    enum store_result rc = check_type(&f);
    if (rc != STORE_OK)
        return rc;
    if (!condition_holds(f.entry, when, compare))
        return STORE_NOT_MET;
    shard_delete(&f, true);
    effects_notify(tx, tx->db, EVENT_GENERIC, "del", key.name);
    effects_changed(tx, tx->db, key.name, key.hash, 1);
    return STORE_OK;
}

/* ---- editing ---- */

/* Slack for a blob of `size` bytes that is growing: it will probably grow again. */
static size_t with_slack(size_t size)
{
    return size < (1u << 20) ? size * 2 : size + size / 4;
}

/* The string as a blob of at least `size` bytes. */
static char *edit_blob(struct found *f, size_t size)
{
    struct entry *e = f->entry;
    struct slice now = entry_string(e);
    if (e->flags & ENTRY_BLOCK) {
        struct blob *blob = entry_block(e);
        if (size > blob->capacity) {
            blob = tu_realloc(blob, sizeof *blob + with_slack(size));
            if (!blob)
                return NULL;
            blob->capacity = tu_usable_size(blob) - sizeof *blob;
            entry_set_block(e, blob);
        }
        blob->size = size > blob->size ? size : blob->size;
        return blob->bytes;
    }
    struct blob *blob = blob_new(with_slack(size));
    if (!blob)
        return NULL;
    memcpy(blob->bytes, now.data, now.size);
    blob->size = size;
    e = entry_resize_value(e, sizeof blob);
    if (!e) {
        tu_free(blob);
        return NULL;
    }
    shard_entry_moved(f, e);
    e->flags |= ENTRY_BLOCK;
    entry_set_block(e, blob);
    return blob->bytes;
}

/* Turns an integer into its text. */
static bool edit_integer(struct found *f)
{
    char digits[NUMBER_INT64_MAX_SIZE];
    size_t size = number_format_int64(digits, entry_integer(f->entry));
    struct entry *e = entry_resize_value(f->entry, size);
    if (!e)
        return false;
    shard_entry_moved(f, e);
    memcpy(entry_value(e), digits, size);
    e->encoding = ENCODING_BYTES;
    return true;
}

/* Makes a string that is there at least `size` bytes long and writable: its bytes, of which those
 * behind the old end are undefined. NULL: out of memory, the value unchanged. */
static char *edit(struct found *f, size_t size)
{
    if (f->entry->encoding == ENCODING_INT && !edit_integer(f))
        return NULL;
    struct entry *e = f->entry;
    e->flags |= ENTRY_RAW;
    if ((e->flags & ENTRY_BLOCK) || size > ENTRY_INLINE_MAX)
        return edit_blob(f, size);
    if (size > e->value_size) {
        e = entry_resize_value(e, size);
        if (!e)
            return NULL;
        shard_entry_moved(f, e);
    }
    return (char *)entry_value(e);
}

static void edited(struct transaction *tx, struct store_key key, const char *event)
{
    effects_notify(tx, tx->db, EVENT_STRING, event, key.name);
    effects_changed(tx, tx->db, key.name, key.hash, 1);
}

enum store_result string_append(struct transaction *tx, struct store_key key, struct slice tail,
                                size_t max_size, size_t *size)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_WRITE);
    enum store_result rc = check_type(&f);
    if (rc == STORE_WRONG_TYPE)
        return rc;
    size_t before = f.entry ? entry_value_count(f.entry) : 0;
    if (tail.size > max_size || before > max_size - tail.size)
        return STORE_TOO_BIG;
    if (!f.entry) {
        struct new_value v = classify(tail);
        rc = put_value(tx, &f, key, &v, EXPIRY_NONE, false);
        if (rc != STORE_OK)
            return rc;
    } else {
        char *bytes = edit(&f, before + tail.size);
        if (!bytes)
            return STORE_NO_MEMORY;
        if (tail.size > 0)
            memcpy(bytes + before, tail.data, tail.size);
    }
    *size = before + tail.size;
    edited(tx, key, "append");
    return STORE_OK;
}

enum store_result string_set_range(struct transaction *tx, struct store_key key, size_t offset,
                                   struct slice bytes, size_t max_size, size_t *size)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_WRITE);
    enum store_result rc = check_type(&f);
    if (rc == STORE_WRONG_TYPE)
        return rc;
    *size = f.entry ? entry_value_count(f.entry) : 0;
    if (bytes.size == 0)
        return STORE_OK;
    if (bytes.size > max_size || offset > max_size - bytes.size)
        return STORE_TOO_BIG;
    bool is_new = !f.entry;
    if (is_new) {
        struct new_value nothing = {.bytes = {"", 0}};
        rc = put_value(tx, &f, key, &nothing, EXPIRY_NONE, false);
        if (rc != STORE_OK)
            return rc;
        f = shard_lookup(tx, tx->db, key, LOOKUP_PEEK); /* with its slot */
    }
    size_t end = offset + bytes.size;
    char *to = edit(&f, end);
    if (!to) {
        if (is_new)
            shard_delete(&f, false);
        return STORE_NO_MEMORY;
    }
    if (offset > *size)
        memset(to + *size, 0, offset - *size);
    memcpy(to + offset, bytes.data, bytes.size);
    *size = end > *size ? end : *size;
    edited(tx, key, "setrange");
    return STORE_OK;
}

enum store_result string_edit(struct transaction *tx, struct store_key key, size_t size,
                              struct found *f, unsigned char **bytes, size_t *before)
{
    *f = shard_lookup(tx, tx->db, key, LOOKUP_WRITE);
    enum store_result rc = check_type(f);
    if (rc == STORE_WRONG_TYPE)
        return rc;
    bool is_new = !f->entry;
    if (is_new) {
        rc = value_make_bytes(tx, key, TYPE_STRING, ENCODING_BYTES, 0, f);
        if (rc != STORE_OK)
            return rc;
    }
    *before = entry_value_count(f->entry);
    char *all = edit(f, size > *before ? size : *before);
    if (!all) {
        if (is_new)
            shard_delete(f, false);
        return STORE_NO_MEMORY;
    }
    if (size > *before)
        memset(all + *before, 0, size - *before);
    *bytes = (unsigned char *)all;
    return STORE_OK;
}

enum store_result string_put_raw(struct transaction *tx, struct store_key key, struct slice bytes)
{
    struct entry *e = entry_new_bytes(key.name, bytes, EXPIRY_NONE);
    if (!e)
        return STORE_NO_MEMORY;
    e->flags |= ENTRY_RAW;
    enum store_result rc = value_put(tx, key, e);
    if (rc != STORE_OK)
        entry_free(e);
    return rc;
}

/* ---- counting ---- */

/* The number at a key that may be missing: 0. */
static enum store_result read_integer(const struct found *f, int64_t *value)
{
    *value = 0;
    enum store_result rc = check_type(f);
    if (rc != STORE_OK)
        return rc == STORE_MISSING ? STORE_OK : rc;
    if (f->entry->encoding == ENCODING_INT)
        *value = entry_integer(f->entry);
    else if (!number_parse_int64(entry_string(f->entry), value))
        return STORE_NOT_INTEGER;
    return STORE_OK;
}

static enum store_result read_float(const struct found *f, long double *value)
{
    *value = 0;
    enum store_result rc = check_type(f);
    if (rc != STORE_OK)
        return rc == STORE_MISSING ? STORE_OK : rc;
    if (f->entry->encoding == ENCODING_INT)
        *value = (long double)entry_integer(f->entry);
    else if (!number_parse_long_double(entry_string(f->entry), value))
        return STORE_NOT_FLOAT;
    return STORE_OK;
}

/* Stores a sum with the deadline that `how` wants for it. */
static enum store_result put_count(struct transaction *tx, struct found *f, struct store_key key,
                                   const struct new_value *v, const struct string_count *how,
                                   const char *event)
{
    int64_t before_ms = f->entry ? entry_expiry(f->entry) : EXPIRY_NONE, at_ms = before_ms;
    if (how->expire_at_ms != 0 && !(how->only_without && before_ms != EXPIRY_NONE))
        at_ms = how->expire_at_ms;
    if (at_ms != before_ms && at_ms != EXPIRY_NONE && at_ms <= tx->now_ms)
        return f->entry ? shard_set_expiry(tx, f, key, at_ms) : STORE_OK;
    enum store_result rc = put_value(tx, f, key, v, at_ms, false);
    if (rc != STORE_OK)
        return rc;
    edited(tx, key, event);
    if (at_ms != before_ms)
        effects_notify(tx, tx->db, EVENT_GENERIC, at_ms == EXPIRY_NONE ? "persist" : "expire",
                       key.name);
    return STORE_OK;
}

enum store_result string_count_integer(struct transaction *tx, struct store_key key, int64_t delta,
                                       const struct string_count *how, int64_t *before,
                                       int64_t *value)
{
    struct found f = shard_lookup(tx, tx->db, key, LOOKUP_WRITE);
    enum store_result rc = read_integer(&f, before);
    if (rc != STORE_OK)
        return rc;
    __int128 sum = (__int128)*before + delta;
    if (sum < how->low || sum > how->high) {
        if (!how->saturate)
            return STORE_NOT_MET;
        sum = sum < how->low ? how->low : how->high;
    }
    struct new_value v = {.integer = (int64_t)sum, .is_integer = true};
    *value = v.integer;
    return put_count(tx, &f, key, &v, how, "incrby");
}

/* string_count_float; *f is the key's place afterwards. */
static enum store_result count_float(struct transaction *tx, struct found *f, struct store_key key,
                                     long double delta, const struct string_count *how,
                                     long double *before, long double *value)
{
    char text[NUMBER_LONG_DOUBLE_SIZE];
    *f = shard_lookup(tx, tx->db, key, LOOKUP_WRITE);
    enum store_result rc = read_float(f, before);
    if (rc != STORE_OK)
        return rc;
    long double sum = *before + delta;
    if (sum < how->float_low || sum > how->float_high) {
        if (!how->saturate)
            return STORE_NOT_MET;
        sum = sum < how->float_low ? how->float_low : how->float_high;
    }
    if (isnan(sum) || isinf(sum))
        return STORE_NAN;
    size_t size = number_format_long_double(text, sum);
    /* The sum stays text even when it is whole, as with the peers. */
    struct new_value v = {.bytes = {text, size}};
    *value = sum;
    return put_count(tx, f, key, &v, how, "incrbyfloat");
}

enum store_result string_count_float(struct transaction *tx, struct store_key key,
                                     long double delta, const struct string_count *how,
                                     long double *before, long double *value)
{
    struct found f;
    return count_float(tx, &f, key, delta, how, before, value);
}

enum store_result string_increment(struct transaction *tx, struct store_key key, int64_t delta,
                                   int64_t *value)
{
    static const struct string_count any = {.low = INT64_MIN, .high = INT64_MAX};
    int64_t before;
    enum store_result rc = string_count_integer(tx, key, delta, &any, &before, value);
    return rc == STORE_NOT_MET ? STORE_OVERFLOW : rc;
}

enum store_result string_increment_float(struct transaction *tx, struct store_key key,
                                         long double delta, struct string_value *out)
{
    static const struct string_count any = {.float_low = -INFINITY, .float_high = INFINITY};
    struct found f;
    long double before, value;
    enum store_result rc = count_float(tx, &f, key, delta, &any, &before, &value);
    if (rc == STORE_OK)
        show(f.entry, out);
    return rc;
}

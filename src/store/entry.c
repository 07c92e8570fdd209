/* entry.c - making, moving and freeing entries.
 *
 * One allocation instead of a key object, a value object and a table node is what makes a small key
 * cheap: one cache miss to find out whether it is the right one, and its value is there. The price
 * is that an expiry, which sits in front of the key so that reading it needs no arithmetic, moves the
 * rest when it comes or goes. Values beyond ENTRY_INLINE_MAX live in blobs, so that such a move, or
 * an access clock, never copies much.
 */
#include "store/entry.h"

#include "base/check.h"
#include "base/number.h"
#include "store/types/type_ops.h"

#include <tuco/mem.h>

struct blob *blob_new(size_t capacity)
{
    struct blob *b = tu_alloc(sizeof *b + capacity);
    if (b) {
        b->size = 0;
        b->capacity = tu_usable_size(b) - sizeof *b;
    }
    return b;
}

static size_t bytes_for(size_t key_size, size_t value_size, bool expires)
{
    return sizeof(struct entry) + (expires ? 8u : 0u) + (key_size >= ENTRY_LONG_KEY ? 4u : 0u) +
           key_size + value_size;
}

struct entry *entry_new(struct slice key, enum store_type type, enum entry_encoding encoding,
                        size_t value_size, int64_t at_ms)
{
    tu_assert(value_size <= UINT16_MAX && key.size <= UINT32_MAX);
    bool expires = at_ms != EXPIRY_NONE;
    struct entry *e = tu_alloc(bytes_for(key.size, value_size, expires));
    if (!e)
        return NULL;
    e->type = type;
    e->encoding = encoding;
    e->clock = 0;
    e->flags = expires ? ENTRY_EXPIRES : 0;
    e->key_size = (uint8_t)(key.size < ENTRY_LONG_KEY ? key.size : ENTRY_LONG_KEY);
    e->value_size = (uint16_t)value_size;
    unsigned char *p = e->bytes;
    if (expires) {
        memcpy(p, &at_ms, 8);
        p += 8;
    }
    if (key.size >= ENTRY_LONG_KEY) {
        uint32_t size = (uint32_t)key.size;
        memcpy(p, &size, 4);
        p += 4;
    }
    if (key.size > 0)
        memcpy(p, key.data, key.size);
    return e;
}

struct entry *entry_new_integer(struct slice key, int64_t value, int64_t at_ms)
{
    struct entry *e = entry_new(key, TYPE_STRING, ENCODING_INT, sizeof value, at_ms);
    if (e)
        entry_set_integer(e, value);
    return e;
}

static struct entry *new_with_blob(struct slice key, struct slice value, int64_t at_ms)
{
    struct blob *blob = blob_new(value.size);
    if (!blob)
        return NULL;
    memcpy(blob->bytes, value.data, value.size);
    blob->size = value.size;
    struct entry *e = entry_new(key, TYPE_STRING, ENCODING_BYTES, sizeof blob, at_ms);
    if (!e) {
        tu_free(blob);
        return NULL;
    }
    e->flags |= ENTRY_BLOCK;
    entry_set_block(e, blob);
    return e;
}

struct entry *entry_new_string(struct slice key, struct slice value, int64_t at_ms)
{
    int64_t integer;
    if (value.size <= NUMBER_INT64_MAX_SIZE && number_parse_int64(value, &integer))
        return entry_new_integer(key, integer, at_ms);
    return entry_new_bytes(key, value, at_ms);
}

struct entry *entry_new_bytes(struct slice key, struct slice value, int64_t at_ms)
{
    if (value.size > ENTRY_INLINE_MAX)
        return new_with_blob(key, value, at_ms);
    struct entry *e = entry_new(key, TYPE_STRING, ENCODING_BYTES, value.size, at_ms);
    if (e && value.size > 0)
        memcpy(entry_value(e), value.data, value.size);
    return e;
}

struct entry *entry_set_expiry(struct entry *e, int64_t at_ms)
{
    bool had = entry_expires(e), wants = at_ms != EXPIRY_NONE;
    if (had == wants) {
        if (wants)
            memcpy(e->bytes, &at_ms, 8);
        return e;
    }
    size_t rest = entry_bytes(e) - sizeof *e - (had ? 8 : 0);
    if (had) {
        memmove(e->bytes, e->bytes + 8, rest);
        e->flags &= (uint8_t)~ENTRY_EXPIRES;
        struct entry *moved = tu_realloc(e, sizeof *e + rest);
        return moved ? moved : e;
    }
    e = tu_realloc(e, sizeof *e + 8 + rest);
    if (!e)
        return NULL;
    memmove(e->bytes + 8, e->bytes, rest);
    memcpy(e->bytes, &at_ms, 8);
    e->flags |= ENTRY_EXPIRES;
    return e;
}

struct entry *entry_resize_value(struct entry *e, size_t size)
{
    tu_assert(!(e->flags & ENTRY_BLOCK) && size <= UINT16_MAX);
    size_t bytes = entry_bytes(e) - e->value_size + size, usable = tu_usable_size(e);
    if (bytes > usable || tu_good_size(bytes) < usable) {
        struct entry *moved = tu_realloc(e, bytes);
        if (!moved && bytes > usable)
            return NULL;
        if (moved)
            e = moved;
    }
    e->value_size = (uint16_t)size;
    return e;
}

/* NULL: its block, if it has one, is a blob. */
static const struct type_ops *ops_of(const struct entry *e)
{
    return entry_is_bytes(e) ? NULL : type_ops_of(e->type);
}

void entry_free(struct entry *e)
{
    if (e->flags & ENTRY_BLOCK) {
        const struct type_ops *ops = ops_of(e);
        if (ops)
            ops->free(entry_block(e));
        else
            tu_free(entry_block(e));
    }
    tu_free(e);
}

static void *copy_block(const struct entry *e)
{
    const struct type_ops *ops = ops_of(e);
    if (ops)
        return ops->copy(entry_block(e));
    const struct blob *from = entry_block(e);
    struct blob *to = blob_new(from->size);
    if (to) {
        memcpy(to->bytes, from->bytes, from->size);
        to->size = from->size;
    }
    return to;
}

struct entry *entry_copy(const struct entry *e, struct slice key, int64_t at_ms)
{
    struct entry *copy = entry_new(key, e->type, e->encoding, e->value_size, at_ms);
    if (!copy)
        return NULL;
    copy->clock = e->clock;
    memcpy(entry_value(copy), entry_value(e), e->value_size);
    if (e->flags & ENTRY_BLOCK) {
        void *block = copy_block(e);
        if (!block) {
            tu_free(copy);
            return NULL;
        }
        entry_set_block(copy, block);
    }
    copy->flags |= e->flags & (ENTRY_BLOCK | ENTRY_RAW | ENTRY_FIELDS);
    return copy;
}

struct entry *entry_renamed(const struct entry *e, struct slice key)
{
    struct entry *copy = entry_new(key, e->type, e->encoding, e->value_size, entry_expiry(e));
    if (!copy)
        return NULL;
    copy->clock = e->clock;
    copy->flags = e->flags;
    memcpy(entry_value(copy), entry_value(e), e->value_size);
    return copy;
}

int64_t entry_fields_due_ms(const struct entry *e)
{
    return e->flags & ENTRY_FIELDS ? type_ops_of(e->type)->fields_due_ms(entry_block(e))
                                   : INT64_MAX;
}

size_t entry_value_count(const struct entry *e)
{
    char digits[NUMBER_INT64_MAX_SIZE];
    bool pairs = e->type == TYPE_HASH || e->type == TYPE_ZSET;
    switch (e->encoding) {
    case ENCODING_BYTES: return entry_string(e).size;
    case ENCODING_INT: return number_format_int64(digits, entry_integer(e));
    case ENCODING_PACKED: return packed_count(entry_packed(e)) / (pairs ? 2 : 1);
    case ENCODING_INTSET: return (entry_string(e).size - 1) / (unsigned char)*entry_string(e).data;
    default: return type_ops_of(e->type)->size(entry_block(e));
    }
}

size_t entry_memory(const struct entry *e)
{
    size_t bytes = tu_usable_size(e);
    if (!(e->flags & ENTRY_BLOCK))
        return bytes;
    const struct type_ops *ops = ops_of(e);
    return bytes + (ops ? ops->memory(entry_block(e)) : tu_usable_size(entry_block(e)));
}

size_t entry_free_effort(const struct entry *e)
{
    if (!(e->flags & ENTRY_BLOCK))
        return 1;
    const struct type_ops *ops = ops_of(e);
    if (ops)
        return ops->free_effort(entry_block(e));
    /* Giving back a large run costs the kernel time per page. */
    const struct blob *blob = entry_block(e);
    return 1 + blob->capacity / (256 * 1024);
}

/* Valkey says embstr while value, key and deadline share one small allocation of its own: 128 bytes
 * with its headers, which are two bytes longer for keys of 32 bytes and more. Clients only print it. */
static bool is_embedded(const struct entry *e)
{
    size_t key_size = entry_key_size(e);
    size_t bytes = key_size + entry_string(e).size + (entry_expires(e) ? 8 : 0);
    return !(e->flags & (ENTRY_BLOCK | ENTRY_RAW)) && bytes <= (key_size < 32 ? 113u : 111u);
}

const char *entry_encoding_name(const struct entry *e)
{
    static const char *const names[] = {
        [ENCODING_INT] = "int",       [ENCODING_PACKED] = "listpack",
        [ENCODING_INTSET] = "intset", [ENCODING_TABLE] = "hashtable",
        [ENCODING_TREE] = "skiplist", [ENCODING_QUICKLIST] = "quicklist",
        [ENCODING_STREAM] = "stream",
    };
    if (e->encoding == ENCODING_BYTES)
        return is_embedded(e) ? "embstr" : "raw";
    return names[e->encoding];
}

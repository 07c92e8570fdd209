/* rdb_value.c - the types of values and what is common to them; lists and hashes each have a file. See rdb_value.h. */
#include "persist/rdb_value.h"

#include "base/check.h"
#include "persist/rdb_format.h"
#include "persist/rdb_types.h"

#include <tuco/mem.h>

/* ---- writing ---- */

static void write_string(struct rdb_writer *w, const struct entry *e)
{
    rdb_write_byte(w, RDB_STRING);
    if (e->encoding == ENCODING_INT)
        rdb_write_integer(w, entry_integer(e));
    else
        rdb_write_string(w, entry_string(e));
}

typedef void (*write_fn)(struct rdb_writer *w, const struct entry *e);
static const write_fn writers[TYPE_MODULE + 1] = {
    [TYPE_STRING] = write_string, [TYPE_LIST] = rdb_list_write, [TYPE_SET] = rdb_set_write,
    [TYPE_ZSET] = rdb_zset_write, [TYPE_HASH] = rdb_hash_write, [TYPE_STREAM] = rdb_stream_write,
};

bool rdb_value_is_known(enum store_type type)
{
    return (unsigned)type <= TYPE_MODULE && writers[type];
}

void rdb_value_write(struct rdb_writer *w, const struct entry *e)
{
    tu_check(rdb_value_is_known(e->type), "a value of type %u cannot be written", e->type);
    writers[e->type](w, e);
}

/* ---- reading ---- */

enum rdb_result rdb_make_bytes(const struct rdb_target *target, enum store_type type,
                               enum entry_encoding encoding, struct slice bytes, struct entry **out)
{
    struct entry *e = entry_new_bytes(target->key, bytes, target->expire_at_ms);
    if (!e)
        return RDB_NO_MEMORY;
    e->type = type;
    e->encoding = encoding;
    *out = e;
    return RDB_OK;
}

enum rdb_result rdb_make_object(const struct rdb_target *target, enum store_type type,
                                enum entry_encoding encoding, void *object, struct entry **out)
{
    struct entry *e = entry_new(target->key, type, encoding, sizeof object, target->expire_at_ms);
    if (!e)
        return RDB_NO_MEMORY;
    e->flags |= ENTRY_BLOCK;
    entry_set_block(e, object);
    *out = e;
    return RDB_OK;
}

static enum rdb_result read_string(struct rdb_reader *r, unsigned type,
                                   const struct rdb_target *target, struct entry **out)
{
    struct rdb_string s;
    if (!rdb_read_string(r, &s))
        return r->result;
    *out = entry_new_string(target->key, s.bytes, target->expire_at_ms);
    rdb_string_free(&s);
    return *out ? RDB_OK : RDB_NO_MEMORY;
}

typedef enum rdb_result (*read_fn)(struct rdb_reader *r, unsigned type,
                                   const struct rdb_target *target, struct entry **out);
static const read_fn readers[] = {
    [RDB_STRING] = read_string,
    [RDB_LIST] = rdb_list_read,
    [RDB_LIST_ZIPLIST] = rdb_list_read,
    [RDB_LIST_QUICKLIST] = rdb_list_read,
    [RDB_LIST_QUICKLIST_2] = rdb_list_read,
    [RDB_STREAM_LISTPACKS] = rdb_stream_read,
    [RDB_STREAM_LISTPACKS_2] = rdb_stream_read,
    [RDB_STREAM_LISTPACKS_3] = rdb_stream_read,
    [RDB_SET] = rdb_set_read,
    [RDB_SET_INTSET] = rdb_set_read,
    [RDB_SET_LISTPACK] = rdb_set_read,
    [RDB_ZSET] = rdb_zset_read,
    [RDB_ZSET_2] = rdb_zset_read,
    [RDB_ZSET_ZIPLIST] = rdb_zset_read,
    [RDB_ZSET_LISTPACK] = rdb_zset_read,
    [RDB_HASH] = rdb_hash_read,
    [RDB_HASH_2] = rdb_hash_read,
    [RDB_HASH_ZIPMAP] = rdb_hash_read,
    [RDB_HASH_ZIPLIST] = rdb_hash_read,
    [RDB_HASH_LISTPACK] = rdb_hash_read,
};

enum rdb_result rdb_value_read(struct rdb_reader *r, const struct rdb_target *target,
                               struct entry **out)
{
    unsigned char type;
    if (!rdb_read_byte(r, &type))
        return r->result;
    if (type >= sizeof readers / sizeof *readers || !readers[type])
        return RDB_BAD;
    return readers[type](r, type, target, out);
}

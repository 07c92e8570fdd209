/* rdb_writer.c - see rdb_writer.h. */
#include "persist/rdb_writer.h"

#include "base/lzf.h"
#include "base/number.h"
#include "persist/rdb_format.h"

#include <string.h>
#include <tuco/mem.h>

enum { SAVES_MIN = 4, LISTPACK_HEAD = 4, LISTPACK_FRAME = 5, FIRST_CAPACITY = 256 };

/* Room for `size` more bytes, or NULL. */
static unsigned char *reserve(struct rdb_writer *w, size_t size)
{
    if (w->failed)
        return NULL;
    if (size > w->capacity - w->size) {
        size_t wanted = w->size + size, grown = w->capacity + w->capacity / 2;
        wanted = wanted > grown ? wanted : grown;
        wanted = wanted > FIRST_CAPACITY ? wanted : FIRST_CAPACITY;
        unsigned char *moved = tu_realloc(w->bytes, wanted);
        if (!moved) {
            w->failed = true;
            return NULL;
        }
        w->bytes = moved;
        w->capacity = wanted;
    }
    return w->bytes + w->size;
}

void rdb_writer_done(struct rdb_writer *w)
{
    tu_free(w->table);
    w->table = NULL;
    if (w->failed) {
        tu_free(w->bytes);
        w->bytes = NULL;
    }
}

void rdb_write_bytes(struct rdb_writer *w, const void *bytes, size_t size)
{
    unsigned char *to = reserve(w, size);
    if (!to || size == 0)
        return;
    memcpy(to, bytes, size);
    w->size += size;
}

void rdb_write_byte(struct rdb_writer *w, unsigned byte)
{
    unsigned char b = (unsigned char)byte;
    rdb_write_bytes(w, &b, 1);
}

void rdb_write_number(struct rdb_writer *w, uint64_t value, size_t size)
{
    unsigned char b[8];
    for (size_t i = 0; i < size; i++)
        b[i] = (unsigned char)(value >> 8 * i);
    rdb_write_bytes(w, b, size);
}

static void write_big_endian(struct rdb_writer *w, uint64_t value, size_t size)
{
    unsigned char b[8];
    for (size_t i = 0; i < size; i++)
        b[i] = (unsigned char)(value >> 8 * (size - 1 - i));
    rdb_write_bytes(w, b, size);
}

void rdb_write_length(struct rdb_writer *w, uint64_t length)
{
    if (length < 1u << 6) {
        rdb_write_byte(w, (unsigned)length);
    } else if (length < 1u << 14) {
        write_big_endian(w, length | 0x4000, 2);
    } else if (length <= UINT32_MAX) {
        rdb_write_byte(w, 0x80);
        write_big_endian(w, length, 4);
    } else {
        rdb_write_byte(w, 0x81);
        write_big_endian(w, length, 8);
    }
}

/* False: it is too large for that. */
static bool write_small_integer(struct rdb_writer *w, int64_t value)
{
    if (value < INT32_MIN || value > INT32_MAX)
        return false;
    unsigned encoding = value >= INT8_MIN && value <= INT8_MAX     ? RDB_ENC_INT8
                        : value >= INT16_MIN && value <= INT16_MAX ? RDB_ENC_INT16
                                                                   : RDB_ENC_INT32;
    rdb_write_byte(w, 0xc0 | encoding);
    rdb_write_number(w, (uint64_t)value, (size_t)1 << encoding);
    return true;
}

void rdb_write_integer(struct rdb_writer *w, int64_t value)
{
    char digits[NUMBER_INT64_MAX_SIZE];
    if (write_small_integer(w, value))
        return;
    size_t size = number_format_int64(digits, value);
    rdb_write_length(w, size);
    rdb_write_bytes(w, digits, size);
}

/* The compressor's table if it wants one, or NULL: it does not, or there is no memory. */
static struct lzf_table *table_for(struct rdb_writer *w, size_t size)
{
    if (!w->table && size > LZF_SMALL_MAX) {
        w->table = tu_alloc(sizeof *w->table);
        if (w->table)
            lzf_table_clear(w->table);
    }
    return w->table;
}

/* False: it would not get smaller (or memory does not allow to try). */
static bool write_compressed(struct rdb_writer *w, struct slice s)
{
    unsigned char near[512];
    size_t capacity = s.size - SAVES_MIN;
    unsigned char *out = capacity <= sizeof near ? near : tu_alloc(capacity);
    size_t size = out ? lzf_compress(table_for(w, s.size), (const unsigned char *)s.data, s.size,
                                     out, capacity)
                      : 0;
    if (size > 0) {
        rdb_write_byte(w, 0xc0 | RDB_ENC_LZF);
        rdb_write_length(w, size);
        rdb_write_length(w, s.size);
        rdb_write_bytes(w, out, size);
    }
    if (out != near)
        tu_free(out);
    return size > 0;
}

void rdb_write_string(struct rdb_writer *w, struct slice s)
{
    int64_t value;
    if (s.size <= RDB_INTEGER_TEXT_MAX && number_parse_int64(s, &value) &&
        write_small_integer(w, value))
        return;
    if (w->compress && s.size >= RDB_COMPRESS_MIN && write_compressed(w, s))
        return;
    rdb_write_length(w, s.size);
    rdb_write_bytes(w, s.data, s.size);
}

void rdb_write_listpack(struct rdb_writer *w, struct packed p)
{
    unsigned char near[256];
    size_t size = p.size + LISTPACK_FRAME;
    size_t room = size + (p.bare ? PACKED_SIZES_MAX * packed_count(p) : 0);
    unsigned char *frame = room <= sizeof near ? near : tu_alloc(room);
    if (!frame) {
        w->failed = true;
        return;
    }
    if (p.bare)
        size = packed_dress(frame + LISTPACK_HEAD, p) + LISTPACK_FRAME;
    else
        memcpy(frame + LISTPACK_HEAD, p.bytes, p.size);
    uint32_t total = (uint32_t)size;
    memcpy(frame, &total, LISTPACK_HEAD);
    frame[size - 1] = 0xff;
    rdb_write_string(w, (struct slice){(const char *)frame, size});
    if (frame != near)
        tu_free(frame);
}

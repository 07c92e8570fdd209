/* rdb_reader.c - see rdb_reader.h. */
#include "persist/rdb_reader.h"

#include "base/lzf.h"
#include "persist/rdb_format.h"

#include <tuco/mem.h>

static bool fail(struct rdb_reader *r, enum rdb_result result)
{
    r->result = result;
    return false;
}

bool rdb_read_bytes(struct rdb_reader *r, size_t size, struct slice *out)
{
    if (size > rdb_left(r))
        return fail(r, RDB_BAD);
    *out = (struct slice){(const char *)r->at, size};
    r->at += size;
    return true;
}

bool rdb_read_byte(struct rdb_reader *r, unsigned char *out)
{
    if (r->at == r->end)
        return fail(r, RDB_BAD);
    *out = *r->at++;
    return true;
}

bool rdb_read_number(struct rdb_reader *r, size_t size, uint64_t *out)
{
    if (size > rdb_left(r))
        return fail(r, RDB_BAD);
    *out = 0;
    for (size_t i = size; i-- > 0;)
        *out = *out << 8 | r->at[i];
    r->at += size;
    return true;
}

static bool read_big_endian(struct rdb_reader *r, size_t size, uint64_t *out)
{
    if (size > rdb_left(r))
        return fail(r, RDB_BAD);
    *out = 0;
    for (size_t i = 0; i < size; i++)
        *out = *out << 8 | *r->at++;
    return true;
}

/* A length, or (*encoded) which encoding a string is in. */
static bool read_head(struct rdb_reader *r, uint64_t *out, bool *encoded)
{
    unsigned char head, low;
    *encoded = false;
    if (!rdb_read_byte(r, &head))
        return false;
    *out = head & 0x3f;
    switch (head >> 6) {
    case 0: return true;
    case 1:
        if (!rdb_read_byte(r, &low))
            return false;
        *out = *out << 8 | low;
        return true;
    case 2:
        if (head > 0x81)
            return fail(r, RDB_BAD);
        return read_big_endian(r, head == 0x80 ? 4 : 8, out);
    default: *encoded = true; return true;
    }
}

bool rdb_read_length(struct rdb_reader *r, uint64_t *out)
{
    bool encoded;
    return read_head(r, out, &encoded) && (!encoded || fail(r, RDB_BAD));
}

static bool read_integer(struct rdb_reader *r, size_t size, struct rdb_string *out)
{
    uint64_t raw;
    if (!rdb_read_number(r, size, &raw))
        return false;
    unsigned unused = (unsigned)(64 - 8 * size);
    int64_t value = (int64_t)(raw << unused) >> unused;
    out->bytes = (struct slice){out->digits, number_format_int64(out->digits, value)};
    return true;
}

static bool read_lzf(struct rdb_reader *r, struct rdb_string *out)
{
    uint64_t compressed, size;
    struct slice from;
    if (!rdb_read_length(r, &compressed) || !rdb_read_length(r, &size) ||
        !rdb_read_bytes(r, compressed, &from))
        return false;
    if (size == 0 || size / LZF_RATIO_MAX > compressed)
        return fail(r, RDB_BAD);
    out->owned = tu_alloc(size);
    if (!out->owned)
        return fail(r, RDB_NO_MEMORY);
    out->bytes = (struct slice){out->owned, size};
    if (lzf_decompress((const unsigned char *)from.data, from.size, (unsigned char *)out->owned,
                       size))
        return true;
    tu_free(out->owned);
    out->owned = NULL;
    return fail(r, RDB_BAD);
}

bool rdb_read_string(struct rdb_reader *r, struct rdb_string *out)
{
    uint64_t size;
    bool encoded;
    out->owned = NULL;
    if (!read_head(r, &size, &encoded))
        return false;
    if (!encoded)
        return rdb_read_bytes(r, size, &out->bytes);
    switch (size) {
    case RDB_ENC_INT8: return read_integer(r, 1, out);
    case RDB_ENC_INT16: return read_integer(r, 2, out);
    case RDB_ENC_INT32: return read_integer(r, 4, out);
    case RDB_ENC_LZF: return read_lzf(r, out);
    default: return fail(r, RDB_BAD);
    }
}

void rdb_string_free(struct rdb_string *s)
{
    tu_free(s->owned);
}

/* rdb_reader.h - lengths and strings out of RDB bytes, which may be anything.
 *
 *     struct rdb_reader r = rdb_reader_of(body);
 *     if (!rdb_read_string(&r, &s))
 *         return r.result;
 *     ... s.bytes ...
 *     rdb_string_free(&s);
 *
 * Each function says false when the bytes do not have what it wants, or memory for it is not to be had; r->result tells
 * which. Then nothing is held. A reader that has failed stays failed only in `result`. Pure but for the heap.
 */
#pragma once

#include "base/number.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rdb_result { RDB_OK, RDB_BAD, RDB_NO_MEMORY };

struct rdb_reader {
    const unsigned char *at, *end;
    enum rdb_result result;
};

static inline struct rdb_reader rdb_reader_of(struct slice bytes)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    return (struct rdb_reader){at, at + bytes.size, RDB_OK};
}
static inline size_t rdb_left(const struct rdb_reader *r)
{
    return (size_t)(r->end - r->at);
}

/* A string: in the input, unpacked in memory of its own, or digits. Do not copy the struct. */
struct rdb_string {
    struct slice bytes;
    char *owned;
    char digits[NUMBER_INT64_MAX_SIZE];
};

bool rdb_read_bytes(struct rdb_reader *r, size_t size, struct slice *out);
bool rdb_read_byte(struct rdb_reader *r, unsigned char *out);
/* `size` (at most 8) bytes, little endian. */
bool rdb_read_number(struct rdb_reader *r, size_t size, uint64_t *out);
/* A length; not the head of an encoded string. */
bool rdb_read_length(struct rdb_reader *r, uint64_t *out);
/* The caller frees it when true, and may when false. */
bool rdb_read_string(struct rdb_reader *r, struct rdb_string *out);
void rdb_string_free(struct rdb_string *s);

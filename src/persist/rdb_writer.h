/* rdb_writer.h - lengths and strings as RDB bytes, in memory that grows.
 *
 * Functions that run out of memory say nothing: `failed` is set and stays, and what is written afterwards is lost. Strings
 * are written as the peers write them: short ones that are integers as such, long ones compressed where that saves five
 * bytes or more and `compress` is set.
 */
#pragma once

#include "base/slice.h"
#include "store/index/packed.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rdb_writer {
    unsigned char *bytes; /* tu_alloc's; the caller's in the end */
    size_t size, capacity;
    bool compress, failed;
    struct lzf_table *table; /* made when it is needed, and freed by rdb_writer_done */
};

static inline struct rdb_writer rdb_writer_new(bool compress)
{
    return (struct rdb_writer){.compress = compress};
}
/* Frees what is not the result; with `failed` that too (bytes is NULL then). */
void rdb_writer_done(struct rdb_writer *w);

void rdb_write_bytes(struct rdb_writer *w, const void *bytes, size_t size);
void rdb_write_byte(struct rdb_writer *w, unsigned byte);
/* `size` bytes of it, little endian. */
void rdb_write_number(struct rdb_writer *w, uint64_t value, size_t size);
void rdb_write_length(struct rdb_writer *w, uint64_t length);
void rdb_write_string(struct rdb_writer *w, struct slice s);
void rdb_write_integer(struct rdb_writer *w, int64_t value); /* a string that is one */
/* A string that is a listpack of these elements. */
void rdb_write_listpack(struct rdb_writer *w, struct packed p);

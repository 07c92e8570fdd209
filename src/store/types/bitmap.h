/* bitmap.h - strings as rows of bits. Bit 0 is the highest bit of byte 0.
 *
 * The type is the string's: any string is a bitmap, and what is written here is a string. A missing key counts as an empty
 * one. Operations hold the key's shard and never park. Offsets are the caller's to limit: a string grows to hold them.
 */
#pragma once

#include "store/keyspace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *before: the bit as it was. STORE_OK, STORE_WRONG_TYPE, STORE_NO_MEMORY. Event "setbit" if anything changed. */
enum store_result bitmap_set(struct transaction *tx, struct store_key key, uint64_t at, bool bit,
                             bool *before);
enum store_result bitmap_get(struct transaction *tx, struct store_key key, uint64_t at, bool *bit);

/* Positions count from the end if they are negative, and are cut to what is there. */
struct bitmap_range {
    int64_t start, end; /* inclusive */
    bool in_bits;       /* else bytes */
    bool open;          /* the range goes to the end because nobody said where it ends: end is -1 */
};
/* Bits that are 1. STORE_OK (0 for a missing key) or STORE_WRONG_TYPE. */
enum store_result bitmap_count(struct transaction *tx, struct store_key key,
                               const struct bitmap_range *range, int64_t *count);
/* The first such bit in the range, -1 for none. Behind the end of a string lie zeros without end: the first 0 of an open
 * range may be the bit behind the last. */
enum store_result bitmap_find(struct transaction *tx, struct store_key key, bool bit,
                              const struct bitmap_range *range, int64_t *at);

enum bitmap_operator { BITMAP_AND, BITMAP_OR, BITMAP_XOR, BITMAP_NOT };
/* BITOP: shorter strings count as filled up with zeros. *size: of the result, which replaces what is at `to`; an empty one
 * deletes it. BITMAP_NOT takes one source. STORE_OK, STORE_WRONG_TYPE, STORE_NO_MEMORY. */
enum store_result bitmap_combine(struct transaction *tx, enum bitmap_operator op,
                                 struct store_key to, const struct store_key *sources, size_t count,
                                 size_t *size);

enum bitmap_field_action { FIELD_GET, FIELD_SET, FIELD_ADD };
enum bitmap_overflow { OVERFLOW_WRAP, OVERFLOW_SATURATE, OVERFLOW_FAIL };
/* One step of BITFIELD. */
struct bitmap_field {
    enum bitmap_field_action action;
    enum bitmap_overflow overflow;
    bool is_signed;
    uint8_t width; /* 1..64, 1..63 if unsigned */
    uint64_t at;   /* in bits */
    int64_t operand;
    bool failed;    /* out: FAIL hit an overflow; nothing was written */
    int64_t result; /* out: GET the value, SET the one before, ADD the new one */
};
/* All steps in order; the string grows once, before the first. STORE_OK, STORE_WRONG_TYPE, STORE_NO_MEMORY. Event "setbit"
 * if anything changed; a change a field. */
enum store_result bitmap_fields(struct transaction *tx, struct store_key key,
                                struct bitmap_field *fields, size_t count);

/* Bits that are 1 in a run of bytes. Pure. */
uint64_t bitmap_popcount(const void *bytes, size_t size);

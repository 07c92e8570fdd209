/* bitmap.c - see bitmap.h.
 *
 * Counting adds up the bits of 31 words of 8 bytes in parallel lanes of one byte before it sums the lanes: no table, no
 * instruction that a machine may lack, and a shape that compilers vectorize. Searching and combining go by words too, with
 * single bytes at the ends. Fields are at most 64 bits, which lie in at most 9 bytes: they are read and written bit groups
 * at a time, a byte each, which costs less than it takes to parse the field.
 *
 * Rejected: the popcnt instruction behind a run-time check (two paths to test, for less than the memory bandwidth gives).
 */
#include "store/types/bitmap.h"

#include "store/types/string.h"
#include "store/types/string_edit.h"
#include "store/types/value.h"

#include <string.h>
#include <tuco/mem.h>

static uint64_t word_at(const unsigned char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* ---- one bit ---- */

enum store_result bitmap_set(struct transaction *tx, struct store_key key, uint64_t at, bool bit,
                             bool *before)
{
    struct found f;
    unsigned char *bytes;
    size_t size, byte = at / 8;
    enum store_result rc = string_edit(tx, key, byte + 1, &f, &bytes, &size);
    if (rc != STORE_OK)
        return rc;
    unsigned char mask = (unsigned char)(0x80u >> (at & 7));
    *before = bytes[byte] & mask;
    if (byte < size && *before == bit)
        return STORE_OK;
    bytes[byte] = (unsigned char)(bit ? bytes[byte] | mask : bytes[byte] & ~mask);
    value_changed(tx, key, EVENT_STRING, "setbit", 1);
    return STORE_OK;
}

/* The string at the key as text; a missing one is empty. */
static enum store_result read_string(struct transaction *tx, struct store_key key,
                                     struct string_value *out)
{
    enum store_result rc = string_get(tx, key, out);
    if (rc != STORE_MISSING)
        return rc;
    out->bytes = (struct slice){"", 0};
    return STORE_OK;
}

enum store_result bitmap_get(struct transaction *tx, struct store_key key, uint64_t at, bool *bit)
{
    struct string_value v;
    enum store_result rc = read_string(tx, key, &v);
    *bit = rc == STORE_OK && at / 8 < v.bytes.size &&
           (unsigned char)v.bytes.data[at / 8] & 0x80u >> (at & 7);
    return rc;
}

/* ---- ranges ---- */

/* A range as first and last bit; false if it is empty. */
static bool cut_range(const struct bitmap_range *range, size_t size, uint64_t *first,
                      uint64_t *last)
{
    int64_t start = range->start, end = range->end;
    int64_t total = (int64_t)size * (range->in_bits ? 8 : 1);
    start = start < 0 ? (start < -total ? 0 : start + total) : start;
    end = end < 0 ? (end < -total ? 0 : end + total) : end;
    end = end >= total ? total - 1 : end;
    if (start > end)
        return false;
    *first = (uint64_t)start * (range->in_bits ? 1 : 8);
    *last = range->in_bits ? (uint64_t)end : (uint64_t)end * 8 + 7;
    return true;
}

/* Of the byte at `byte`, the bits that lie between first and last. */
static unsigned char range_mask(size_t byte, uint64_t first, uint64_t last)
{
    unsigned mask = 0xff;
    if (byte == first / 8)
        mask &= 0xffu >> (first & 7);
    if (byte == last / 8)
        mask &= 0xffu << (7 - (last & 7));
    return (unsigned char)mask;
}

static uint64_t count_words(const unsigned char *bytes, size_t words)
{
    uint64_t lanes = 0;
    for (size_t i = 0; i < words; i++) {
        uint64_t w = word_at(bytes + 8 * i);
        w -= w >> 1 & UINT64_C(0x5555555555555555);
        w = (w & UINT64_C(0x3333333333333333)) + (w >> 2 & UINT64_C(0x3333333333333333));
        lanes += (w + (w >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    }
    lanes = (lanes & UINT64_C(0x00ff00ff00ff00ff)) + (lanes >> 8 & UINT64_C(0x00ff00ff00ff00ff));
    return lanes * UINT64_C(0x0001000100010001) >> 48;
}

uint64_t bitmap_popcount(const void *data, size_t size)
{
    enum { BLOCK = 31 }; /* times 8 bits fit a lane of a byte */
    const unsigned char *bytes = data;
    uint64_t count = 0;
    for (; size >= 8;) {
        size_t words = size / 8 < BLOCK ? size / 8 : BLOCK;
        count += count_words(bytes, words);
        bytes += words * 8;
        size -= words * 8;
    }
    for (; size > 0; size--)
        count += (unsigned)__builtin_popcount(*bytes++);
    return count;
}

enum store_result bitmap_count(struct transaction *tx, struct store_key key,
                               const struct bitmap_range *range, int64_t *count)
{
    struct string_value v;
    uint64_t first, last;
    enum store_result rc = read_string(tx, key, &v);
    *count = 0;
    bool backwards = range->start < 0 && range->end < 0 && range->start > range->end;
    if (rc != STORE_OK || backwards || !cut_range(range, v.bytes.size, &first, &last))
        return rc;
    const unsigned char *bytes = (const unsigned char *)v.bytes.data;
    size_t from = first / 8, to = last / 8;
    uint64_t bits = bitmap_popcount(bytes + from, to - from + 1);
    bits -= (unsigned)__builtin_popcount(bytes[from] & ~(0xffu >> (first & 7)) & 0xffu);
    bits -= (unsigned)__builtin_popcount(bytes[to] & (0xffu >> (last & 7) >> 1));
    *count = (int64_t)bits;
    return STORE_OK;
}

/* The first such bit between first and last, or UINT64_MAX. */
static uint64_t find_bit(const unsigned char *bytes, bool bit, uint64_t first, uint64_t last)
{
    const unsigned char flip = bit ? 0 : 0xff; /* what is looked for becomes 1 */
    const uint64_t flip_word = bit ? 0 : UINT64_MAX;
    for (size_t at = first / 8; at <= last / 8; at++) {
        while (at > first / 8 && at + 8 <= last / 8 && word_at(bytes + at) == flip_word)
            at += 8;
        unsigned found = (bytes[at] ^ flip) & range_mask(at, first, last);
        if (found)
            return at * 8 + (unsigned)__builtin_clz(found) - 24;
    }
    return UINT64_MAX;
}

enum store_result bitmap_find(struct transaction *tx, struct store_key key, bool bit,
                              const struct bitmap_range *range, int64_t *at)
{
    struct string_value v;
    uint64_t first, last;
    enum store_result rc = string_get(tx, key, &v);
    *at = bit ? -1 : 0; /* a missing key is all zeros, whatever the range */
    if (rc != STORE_OK)
        return rc == STORE_MISSING ? STORE_OK : rc;
    *at = -1;
    if (!cut_range(range, v.bytes.size, &first, &last))
        return rc;
    uint64_t found = find_bit((const unsigned char *)v.bytes.data, bit, first, last);
    if (found != UINT64_MAX)
        *at = (int64_t)found;
    else if (!bit && range->open)
        *at = (int64_t)(last + 1);
    return STORE_OK;
}

/* ---- several strings ---- */

static void combine_into(unsigned char *to, struct slice source, size_t size,
                         enum bitmap_operator op)
{
    size_t n = source.size, i = 0;
    const unsigned char *from = (const unsigned char *)source.data;
    for (; i + 8 <= n; i += 8) {
        uint64_t a = word_at(to + i), b = word_at(from + i);
        a = op == BITMAP_AND ? a & b : op == BITMAP_OR ? a | b : a ^ b;
        memcpy(to + i, &a, sizeof a);
    }
    for (; i < n; i++)
        to[i] = op == BITMAP_AND  ? to[i] & from[i]
                : op == BITMAP_OR ? to[i] | from[i]
                                  : to[i] ^ from[i];
    if (op == BITMAP_AND)
        memset(to + n, 0, size - n);
}

static void invert(unsigned char *to, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (unsigned char)~to[i];
}

/* The size of the longest source. */
static enum store_result longest(struct transaction *tx, const struct store_key *sources,
                                 size_t count, size_t *size)
{
    *size = 0;
    for (size_t i = 0; i < count; i++) {
        struct string_value v;
        enum store_result rc = read_string(tx, sources[i], &v);
        if (rc != STORE_OK)
            return rc;
        *size = v.bytes.size > *size ? v.bytes.size : *size;
    }
    return STORE_OK;
}

/* The result's bytes, `size` of them. Every source is a string. */
static void combine_all(struct transaction *tx, unsigned char *to, size_t size,
                        enum bitmap_operator op, const struct store_key *sources, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct found f;
        struct string_value v = {.bytes = {"", 0}};
        if (value_find(tx, sources[i], TYPE_STRING, LOOKUP_PEEK, &f) == STORE_OK)
            v.bytes = f.entry->encoding != ENCODING_INT
                          ? entry_string(f.entry)
                          : (struct slice){v.digits,
                                           number_format_int64(v.digits, entry_integer(f.entry))};
        if (i > 0) {
            combine_into(to, v.bytes, size, op);
            continue;
        }
        memcpy(to, v.bytes.data, v.bytes.size);
        memset(to + v.bytes.size, 0, size - v.bytes.size);
    }
    if (op == BITMAP_NOT)
        invert(to, size);
}

static void drop_result(struct transaction *tx, struct store_key to)
{
    struct found f = shard_lookup(tx, tx->db, to, LOOKUP_PEEK);
    if (!f.entry)
        return;
    shard_delete(&f, false);
    value_changed(tx, to, EVENT_GENERIC, "del", 1);
}

enum store_result bitmap_combine(struct transaction *tx, enum bitmap_operator op,
                                 struct store_key to, const struct store_key *sources, size_t count,
                                 size_t *size)
{
    enum store_result rc = longest(tx, sources, count, size);
    if (rc != STORE_OK)
        return rc;
    if (*size == 0) {
        drop_result(tx, to);
        return STORE_OK;
    }
    unsigned char *bytes = tu_alloc(*size);
    if (!bytes)
        return STORE_NO_MEMORY;
    combine_all(tx, bytes, *size, op, sources, count);
    rc = string_put_raw(tx, to, (struct slice){(const char *)bytes, *size});
    tu_free(bytes);
    if (rc == STORE_OK)
        value_changed(tx, to, EVENT_STRING, "set", 1);
    return rc;
}

/* ---- fields ---- */

/* `width` bits from bit `at` on; those behind the end are zeros. */
static uint64_t read_field(const unsigned char *bytes, size_t size, uint64_t at, unsigned width)
{
    uint64_t value = 0;
    while (width > 0) {
        unsigned left = 8 - (unsigned)(at & 7), take = width < left ? width : left;
        unsigned byte = at / 8 < size ? bytes[at / 8] : 0;
        value = value << take | (byte >> (left - take) & ((1u << take) - 1));
        at += take;
        width -= take;
    }
    return value;
}

static void write_field(unsigned char *bytes, uint64_t at, unsigned width, uint64_t value)
{
    while (width > 0) {
        unsigned left = 8 - (unsigned)(at & 7), take = width < left ? width : left;
        unsigned mask = ((1u << take) - 1) << (left - take);
        unsigned part = (unsigned)(value >> (width - take)) << (left - take);
        bytes[at / 8] = (unsigned char)((bytes[at / 8] & ~mask) | (part & mask));
        at += take;
        width -= take;
    }
}

/* The lowest `width` bits as the field's number. */
static int64_t field_number(uint64_t bits, const struct bitmap_field *field)
{
    unsigned spare = 64 - field->width;
    return field->is_signed ? (int64_t)(bits << spare) >> spare : (int64_t)(bits << spare >> spare);
}

/* The field's new value; false: it does not fit, and that is to fail. An unsigned field takes any operand of SET as 64
 * bits without a sign, as the peers do. */
static bool next_value(const struct bitmap_field *field, int64_t before, int64_t *next)
{
    __int128 wanted = field->operand;
    if (field->action == FIELD_ADD)
        wanted += before;
    else if (!field->is_signed)
        wanted = (uint64_t)field->operand;
    __int128 most = ((__int128)1 << (field->width - (field->is_signed ? 1 : 0))) - 1;
    __int128 least = field->is_signed ? -most - 1 : 0;
    *next = field_number((uint64_t)wanted, field);
    if (wanted >= least && wanted <= most)
        return true;
    /* SET so far below that the distance to the upper limit is no int64: the peers' arithmetic calls that too large. */
    bool above = wanted > most ||
                 (field->action == FIELD_SET && field->is_signed && most - wanted > INT64_MAX);
    if (field->overflow == OVERFLOW_SATURATE)
        *next = (int64_t)(above ? most : least);
    return field->overflow != OVERFLOW_FAIL;
}

static void read_only_field(struct bitmap_field *field, struct slice bytes)
{
    uint64_t bits =
        read_field((const unsigned char *)bytes.data, bytes.size, field->at, field->width);
    field->failed = false;
    field->result = field_number(bits, field);
}

/* True if the field was written and, in a string of the same size, changed. */
static bool run_field(struct bitmap_field *field, unsigned char *bytes, size_t size, bool grown)
{
    int64_t next;
    read_only_field(field, (struct slice){(const char *)bytes, size});
    if (field->action == FIELD_GET)
        return false;
    int64_t before = field->result;
    field->failed = !next_value(field, before, &next);
    if (field->failed)
        return false;
    write_field(bytes, field->at, field->width, (uint64_t)next);
    field->result = field->action == FIELD_SET ? before : next;
    return grown || next != before;
}

/* How many bytes the steps write to; 0: none does. */
static size_t bytes_written(const struct bitmap_field *fields, size_t count)
{
    uint64_t last = 0;
    for (size_t i = 0; i < count; i++)
        if (fields[i].action != FIELD_GET && fields[i].at + fields[i].width > last)
            last = fields[i].at + fields[i].width;
    return (size_t)((last + 7) / 8);
}

enum store_result bitmap_fields(struct transaction *tx, struct store_key key,
                                struct bitmap_field *fields, size_t count)
{
    size_t need = bytes_written(fields, count), before;
    enum store_result rc;
    if (need == 0) {
        struct string_value v;
        rc = read_string(tx, key, &v);
        for (size_t i = 0; i < count && rc == STORE_OK; i++)
            read_only_field(&fields[i], v.bytes);
        return rc;
    }
    struct found f;
    unsigned char *bytes;
    rc = string_edit(tx, key, need, &f, &bytes, &before);
    if (rc != STORE_OK)
        return rc;
    bool grown = need > before;
    size_t size = grown ? need : before;
    uint64_t changes = 0;
    for (size_t i = 0; i < count; i++)
        changes += run_field(&fields[i], bytes, size, grown);
    if (changes > 0)
        value_changed(tx, key, EVENT_STRING, "setbit", changes);
    return STORE_OK;
}

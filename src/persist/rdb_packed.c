/* rdb_packed.c - see rdb_packed.h. The forms:
 *
 *     listpack  | size 4 | count 2 | elements | 0xff |        the elements are those of a packed
 *     ziplist   | size 4 | offset of the last 4 | count 2 | entries | 0xff |
 *               entry = | size of the one before 1, or 0xfe + 4 | head | bytes |
 *               head: 00 6 bits, 01 14 bits, 10 + 4 (big endian): a string of that size;
 *                     c0 int16, d0 int32, e0 int64, f0 int24, fe int8, f1..fd the integer 0..12
 *     zipmap    | count | size name size unused value unused bytes ... | 0xff |     size: 1, or 0xfe + 4
 */
#include "persist/rdb_packed.h"

#include <tuco/mem.h>

enum { FIRST_CAPACITY = 128, LISTPACK_HEAD = 4, LISTPACK_FRAME = 5, ZIPLIST_HEAD = 10 };

bool rdb_packed_begin(struct rdb_packed *p)
{
    *p = (struct rdb_packed){.owned = tu_alloc(FIRST_CAPACITY), .capacity = FIRST_CAPACITY};
    if (!p->owned)
        return false;
    packed_set_count(p->owned, 0);
    p->view = packed_from(p->owned, PACKED_HEAD);
    return true;
}

bool rdb_packed_add(struct rdb_packed *p, struct slice value)
{
    size_t size = packed_item_size(value);
    if (size > p->capacity - p->view.size) {
        size_t capacity = p->capacity + p->capacity / 2 + size;
        unsigned char *moved = tu_realloc(p->owned, capacity);
        if (!moved)
            return false;
        p->owned = moved;
        p->capacity = capacity;
    }
    packed_write(p->owned + p->view.size, value);
    packed_set_count(p->owned, ++p->count);
    p->view = packed_from(p->owned, p->view.size + size);
    return true;
}

void rdb_packed_free(struct rdb_packed *p)
{
    tu_free(p->owned);
}

static enum rdb_result give_up(struct rdb_packed *p, enum rdb_result result)
{
    rdb_packed_free(p);
    return result;
}

/* ---- listpack ---- */

static enum rdb_result rewrite(struct packed p, struct rdb_packed *out)
{
    if (!rdb_packed_begin(out))
        return RDB_NO_MEMORY;
    for (size_t at = packed_first(p); at < p.size; at = packed_next(p, at)) {
        struct packed_item item;
        packed_get(p, at, &item);
        if (!rdb_packed_add(out, packed_text(&item)))
            return give_up(out, RDB_NO_MEMORY);
    }
    return RDB_OK;
}

enum rdb_result rdb_packed_of_listpack(struct slice bytes, struct rdb_packed *out)
{
    uint32_t total;
    uint16_t said;
    size_t count;
    bool canonical;
    if (bytes.size < PACKED_HEAD + LISTPACK_FRAME)
        return RDB_BAD;
    memcpy(&total, bytes.data, sizeof total);
    struct packed p =
        packed_from((const unsigned char *)bytes.data + LISTPACK_HEAD, bytes.size - LISTPACK_FRAME);
    if (total != bytes.size || (unsigned char)bytes.data[bytes.size - 1] != 0xff ||
        !packed_check(p, &count, &canonical))
        return RDB_BAD;
    memcpy(&said, p.bytes, sizeof said);
    if (said != PACKED_UNCOUNTED && said != count)
        return RDB_BAD;
    if (!canonical || (said == PACKED_UNCOUNTED && count < PACKED_UNCOUNTED))
        return rewrite(p, out);
    *out = (struct rdb_packed){.view = p, .count = count};
    return RDB_OK;
}

/* ---- ziplist ---- */

/* Bytes of an integer by its head; 0: none, -1: not an integer. */
static int integer_bytes(unsigned char head)
{
    switch (head) {
    case 0xc0: return 2;
    case 0xd0: return 4;
    case 0xe0: return 8;
    case 0xf0: return 3;
    case 0xfe: return 1;
    default: return head >= 0xf1 && head <= 0xfd ? 0 : -1;
    }
}

static bool read_big_endian(struct rdb_reader *r, size_t *out)
{
    struct slice four;
    if (!rdb_read_bytes(r, 4, &four))
        return false;
    *out = 0;
    for (int i = 0; i < 4; i++)
        *out = *out << 8 | (unsigned char)four.data[i];
    return true;
}

/* One value; an integer is written to digits. */
static bool read_ziplist_value(struct rdb_reader *r, char digits[NUMBER_INT64_MAX_SIZE],
                               struct slice *out)
{
    unsigned char head, low = 0;
    if (!rdb_read_byte(r, &head))
        return false;
    if (head >> 6 != 3) {
        size_t size = head & 0x3f;
        if (head >> 6 == 1 && !rdb_read_byte(r, &low))
            return false;
        if (head >> 6 == 1)
            size = size << 8 | low;
        if (head >> 6 == 2 && (head != 0x80 || !read_big_endian(r, &size)))
            return false;
        return rdb_read_bytes(r, size, out);
    }
    int size = integer_bytes(head);
    uint64_t raw = 0;
    if (size < 0 || !rdb_read_number(r, (size_t)size, &raw))
        return false;
    unsigned unused = 64 - 8 * (unsigned)size;
    int64_t value = size == 0 ? (head & 0x0f) - 1 : (int64_t)(raw << unused) >> unused;
    *out = (struct slice){digits, number_format_int64(digits, value)};
    return true;
}

/* The size of the entry before, in either form. */
static bool read_size_before(struct rdb_reader *r, size_t *out)
{
    uint64_t size;
    unsigned char head;
    if (!rdb_read_byte(r, &head) || head == 0xff)
        return false;
    *out = head;
    if (head < 0xfe)
        return true;
    if (!rdb_read_number(r, 4, &size))
        return false;
    *out = size;
    return true;
}

enum rdb_result rdb_packed_of_ziplist(struct slice bytes, struct rdb_packed *out)
{
    uint64_t total, last_at, said;
    struct rdb_reader r = rdb_reader_of(bytes);
    if (!rdb_read_number(&r, 4, &total) || !rdb_read_number(&r, 4, &last_at) ||
        !rdb_read_number(&r, 2, &said) || total != bytes.size || rdb_left(&r) == 0 ||
        r.end[-1] != 0xff)
        return RDB_BAD;
    if (!rdb_packed_begin(out))
        return RDB_NO_MEMORY;
    const unsigned char *begin = r.at - ZIPLIST_HEAD, *last = r.at;
    r.end--;
    for (size_t before = 0; r.at < r.end;) {
        struct slice value;
        char digits[NUMBER_INT64_MAX_SIZE];
        size_t size_before;
        last = r.at;
        if (!read_size_before(&r, &size_before) || size_before != before ||
            !read_ziplist_value(&r, digits, &value))
            return give_up(out, RDB_BAD);
        before = (size_t)(r.at - last);
        if (!rdb_packed_add(out, value))
            return give_up(out, RDB_NO_MEMORY);
    }
    if ((size_t)(last - begin) != last_at || (said != UINT16_MAX && said != out->count))
        return give_up(out, RDB_BAD);
    return RDB_OK;
}

/* ---- zipmap ---- */

static bool read_zipmap_size(struct rdb_reader *r, size_t *out)
{
    return read_size_before(r, out);
}

static bool read_zipmap_pair(struct rdb_reader *r, struct slice *name, struct slice *value)
{
    size_t size;
    unsigned char unused;
    struct slice rest;
    return read_zipmap_size(r, &size) && rdb_read_bytes(r, size, name) &&
           read_zipmap_size(r, &size) && rdb_read_byte(r, &unused) &&
           rdb_read_bytes(r, size, value) && rdb_read_bytes(r, unused, &rest);
}

enum rdb_result rdb_packed_of_zipmap(struct slice bytes, struct rdb_packed *out)
{
    struct rdb_reader r = rdb_reader_of(bytes);
    unsigned char said;
    if (!rdb_read_byte(&r, &said) || rdb_left(&r) == 0 || r.end[-1] != 0xff)
        return RDB_BAD;
    if (!rdb_packed_begin(out))
        return RDB_NO_MEMORY;
    r.end--;
    while (r.at < r.end) {
        struct slice name, value;
        if (!read_zipmap_pair(&r, &name, &value))
            return give_up(out, RDB_BAD);
        if (!rdb_packed_add(out, name) || !rdb_packed_add(out, value))
            return give_up(out, RDB_NO_MEMORY);
    }
    if (said < 0xfe && said != out->count / 2)
        return give_up(out, RDB_BAD);
    return RDB_OK;
}

/* ---- duplicates ---- */

/* For few elements. */
static bool compare_all(struct packed p, size_t step)
{
    struct packed_item item;
    for (size_t at = packed_first(p), behind; at < p.size; at = behind) {
        packed_get(p, at, &item);
        behind = at;
        for (size_t i = 0; i < step && behind < p.size; i++)
            behind = packed_next(p, behind);
        if (behind < p.size && packed_find(p, behind, step, packed_text(&item)) < p.size)
            return false;
    }
    return true;
}

/* True if an element equal to the one at `at` was seen; else notes it. `seen` are offsets, 0: none. */
static bool note(struct packed p, uint32_t *seen, size_t mask, size_t at,
                 const struct siphash_key *secret)
{
    struct packed_item item, other;
    packed_get(p, at, &item);
    struct slice text = packed_text(&item);
    size_t i = siphash13(secret, text.data, text.size) & mask;
    for (; seen[i] != 0; i = (i + 1) & mask) {
        packed_get(p, seen[i], &other);
        if (packed_equals(&other, text))
            return true;
    }
    seen[i] = (uint32_t)at;
    return false;
}

enum rdb_result rdb_packed_distinct(struct packed p, size_t step, const struct siphash_key *secret)
{
    enum { FEW = 16 };
    size_t count = packed_count(p) / step, cells = 2 * FEW;
    enum rdb_result result = RDB_OK;
    if (count <= FEW)
        return compare_all(p, step) ? RDB_OK : RDB_BAD;
    while (cells < 2 * count)
        cells *= 2;
    uint32_t *seen = tu_alloc_zeroed(cells * sizeof *seen);
    if (!seen)
        return RDB_NO_MEMORY;
    for (size_t at = packed_first(p); at < p.size && result == RDB_OK;) {
        result = note(p, seen, cells - 1, at, secret) ? RDB_BAD : RDB_OK;
        for (size_t i = 0; i < step && at < p.size; i++)
            at = packed_next(p, at);
    }
    tu_free(seen);
    return result;
}

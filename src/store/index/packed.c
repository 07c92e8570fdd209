/* packed.c - see packed.h. */
#include "store/index/packed.h"

#include "base/check.h"

#include <string.h>

/* What the first bytes of an element say. */
struct head {
    size_t size; /* bytes of the head, before those of a string */
    size_t text; /* bytes of the string; 0 for integers */
    bool is_integer;
};

static uint32_t load32(const unsigned char *b)
{
    uint32_t v;
    memcpy(&v, b, sizeof v);
    return v;
}

/* All that `available` bytes allow to be read; size 0: not an element. */
static struct head read_head(const unsigned char *b, size_t available)
{
    static const unsigned char integer_sizes[] = {[1] = 3, [2] = 4, [3] = 5, [4] = 9};
    struct head h = {0};
    if (available == 0)
        return h;
    if (b[0] < 0x80) {
        h = (struct head){1, 0, true};
    } else if (b[0] < 0xc0) {
        h = (struct head){1, b[0] & 0x3f, false};
    } else if (b[0] < 0xe0) {
        h = (struct head){2, 0, true};
    } else if (b[0] < 0xf0) {
        if (available >= 2)
            h = (struct head){2, (size_t)(b[0] & 0x0f) << 8 | b[1], false};
    } else if (b[0] == 0xf0) {
        if (available >= 5)
            h = (struct head){5, load32(b + 1), false};
    } else if (b[0] <= 0xf4) {
        h = (struct head){integer_sizes[b[0] & 0x0f], 0, true};
    }
    if (h.size > available || h.text > available - h.size)
        h.size = 0;
    return h;
}

/* Bytes of the size that stands behind `size` bytes. The peers write one more than needed at the upper ends, and
 * refuse what does not. */
static size_t tail_size(size_t size)
{
    return size < 128 ? 1 : size < 16383 ? 2 : size < 2097151 ? 3 : size < 268435455 ? 4 : 5;
}

/* Most significant group first; every byte but the first has bit 7 set, so reading backwards ends there. */
static unsigned char *write_tail(unsigned char *to, size_t size)
{
    size_t n = tail_size(size);
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)((size >> 7 * (n - 1 - i) & 0x7f) | (i > 0 ? 0x80 : 0));
    return to + n;
}

/* The tail that ends before `end`: its value and its own size. At most `available` bytes; 0: broken. */
static size_t read_tail(const unsigned char *end, size_t available, size_t *value)
{
    *value = 0;
    for (size_t n = 1; n <= 5 && n <= available; n++) {
        *value |= (size_t)(end[-(ptrdiff_t)n] & 0x7f) << 7 * (n - 1);
        if (!(end[-(ptrdiff_t)n] & 0x80))
            return n;
    }
    return 0;
}

static size_t element_size(const unsigned char *b, size_t available)
{
    struct head h = read_head(b, available);
    return h.size == 0 ? 0 : h.size + h.text;
}

static size_t next_of_long(struct packed p, size_t at)
{
    size_t size = element_size(p.bytes + at, p.size - at);
    tu_assert(at < p.size && size > 0);
    return at + size + (p.bare ? 0 : tail_size(size));
}

static size_t prev_of_bare(struct packed p, size_t at)
{
    size_t before = 0;
    for (size_t next = PACKED_HEAD; next < at; next = packed_next(p, next))
        before = next;
    return before;
}

/* The same as packed_next, with the sizes of integers at hand. */
static inline size_t next_of(struct packed p, size_t at)
{
    static const uint8_t integer_sizes[16] = {[1] = 3, [2] = 4, [3] = 5, [4] = 9};
    unsigned b = p.bytes[at];
    if (b < 0xc0)
        return at + 2 - p.bare + (b >= 0x80 ? b & 0x3f : 0);
    if (b < 0xe0)
        return at + 3 - p.bare;
    return b > 0xf0 ? at + integer_sizes[b & 15] + 1 - p.bare : next_of_long(p, at);
}

size_t packed_next_slow(struct packed p, size_t at)
{
    return next_of(p, at);
}

size_t packed_prev(struct packed p, size_t at)
{
    size_t size;
    if (at <= PACKED_HEAD)
        return 0;
    if (p.bare)
        return prev_of_bare(p, at);
    size_t n = read_tail(p.bytes + at, at - PACKED_HEAD, &size);
    tu_assert(n > 0 && size + n <= at - PACKED_HEAD);
    return at - n - size;
}

size_t packed_count(struct packed p)
{
    uint16_t count;
    memcpy(&count, p.bytes, sizeof count);
    if (count != PACKED_UNCOUNTED)
        return count;
    size_t n = 0;
    for (size_t at = packed_first(p); at < p.size; at = packed_next(p, at))
        n++;
    return n;
}

void packed_set_count(unsigned char *bytes, size_t count)
{
    uint16_t n = (uint16_t)(count < PACKED_UNCOUNTED ? count : PACKED_UNCOUNTED);
    memcpy(bytes, &n, sizeof n);
}

size_t packed_seek(struct packed p, int64_t index)
{
    size_t count = packed_count(p);
    if (index < 0)
        index += (int64_t)count;
    if (index < 0 || (size_t)index >= count)
        return p.size;
    if (p.bare || (size_t)index <= count / 2) {
        size_t at = packed_first(p);
        while (index-- > 0)
            at = packed_next(p, at);
        return at;
    }
    size_t at = p.size;
    for (size_t n = count - (size_t)index; n > 0; n--)
        at = packed_prev(p, at);
    return at;
}

/* A little-endian signed integer of 2, 3, 4 or 8 bytes. */
static int64_t load_signed(const unsigned char *b, size_t size)
{
    int64_t v64;
    int32_t v32;
    int16_t v16;
    switch (size) {
    case 2: memcpy(&v16, b, sizeof v16); return v16;
    case 3: return b[0] | b[1] << 8 | (int8_t)b[2] * 65536;
    case 4: memcpy(&v32, b, sizeof v32); return v32;
    default: memcpy(&v64, b, sizeof v64); return v64;
    }
}

void packed_get(struct packed p, size_t at, struct packed_item *out)
{
    const unsigned char *b = p.bytes + at;
    if (b[0] >= 0x80 && b[0] < 0xc0) { /* most are */
        out->is_integer = false;
        out->bytes = (struct slice){(const char *)b + 1, b[0] & 0x3f};
        return;
    }
    struct head h = read_head(b, p.size - at);
    tu_assert(h.size > 0);
    out->is_integer = h.is_integer;
    if (!h.is_integer)
        out->bytes = (struct slice){(const char *)b + h.size, h.text};
    else if (h.size == 1)
        out->integer = b[0];
    else if (h.size == 2)
        out->integer = ((int64_t)((b[0] & 0x1fu) << 8 | b[1]) ^ 0x1000) - 0x1000;
    else
        out->integer = load_signed(b + 1, h.size - 1);
}

struct slice packed_text(struct packed_item *item)
{
    if (!item->is_integer)
        return item->bytes;
    return (struct slice){item->digits, number_format_int64(item->digits, item->integer)};
}

/* True if the value has an integer's form here. */
static bool as_integer(struct slice value, int64_t *out)
{
    return value.size <= NUMBER_INT64_MAX_SIZE && number_parse_int64(value, out);
}

bool packed_equals(const struct packed_item *item, struct slice value)
{
    int64_t integer;
    if (!item->is_integer)
        return slice_equal(item->bytes, value);
    return as_integer(value, &integer) && integer == item->integer;
}

/* ---- searching ----
 *
 * Where an element begins is known when the one before it has been read: a load and two additions that wait for each other.
 * Most packed have elements of equal sizes, so the walk goes on where the last step would lead, before that is
 * known to be right: the loads of many elements overlap, and a wrong guess costs what a mispredicted branch does.
 */

/* The place `step` elements behind `at`, or p.size. *jump is how far that was last time. */
static inline size_t step_on(struct packed p, size_t at, size_t step, size_t *jump)
{
    size_t next = at, guess = at + *jump;
    for (size_t i = 0; i < step && next < p.size; i++)
        next = next_of(p, next);
    if (__builtin_expect(next != guess, 0)) {
        *jump = next - at;
        guess = next;
        __asm__("" : "+r"(guess)); /* else the compiler sees that it is always `next` */
    }
    return guess;
}

static size_t find_integer(struct packed p, size_t at, size_t step, int64_t wanted)
{
    size_t jump = 0;
    for (; at < p.size; at = step_on(p, at, step, &jump)) {
        unsigned char b = p.bytes[at];
        if (b < 0x80) {
            if (b == wanted)
                return at;
        } else if (b >= 0xc0) {
            struct packed_item item;
            packed_get(p, at, &item);
            if (item.is_integer && item.integer == wanted)
                return at;
        }
    }
    return p.size;
}

/* True if the string at `b`, of the same size, is `wanted`: the last bytes are looked at first, as names often begin
 * alike. */
static inline bool same_text(const unsigned char *b, struct slice wanted, uint64_t end)
{
    uint64_t there;
    if (wanted.size < sizeof there)
        return wanted.size == 0 || memcmp(b, wanted.data, wanted.size) == 0;
    memcpy(&there, b + wanted.size - sizeof there, sizeof there);
    return there == end && memcmp(b, wanted.data, wanted.size - sizeof there) == 0;
}

static size_t find_text(struct packed p, size_t at, size_t step, struct slice wanted)
{
    unsigned short_head = wanted.size < 64 ? 0x80 | (unsigned)wanted.size : 256;
    uint64_t end = 0;
    size_t jump = 0;
    if (wanted.size >= sizeof end)
        memcpy(&end, wanted.data + wanted.size - sizeof end, sizeof end);
    for (; at < p.size; at = step_on(p, at, step, &jump)) {
        const unsigned char *b = p.bytes + at;
        if (b[0] == short_head) {
            if (same_text(b + 1, wanted, end))
                return at;
        } else if (b[0] >= 0xe0) {
            struct head h = read_head(b, p.size - at);
            if (!h.is_integer && h.text == wanted.size && same_text(b + h.size, wanted, end))
                return at;
        }
    }
    return p.size;
}

size_t packed_find(struct packed p, size_t from, size_t step, struct slice value)
{
    int64_t integer;
    return as_integer(value, &integer) ? find_integer(p, from, step, integer)
                                       : find_text(p, from, step, value);
}

bool packed_is_valid(struct packed p)
{
    uint16_t said;
    size_t count = 0;
    if (p.size < PACKED_HEAD)
        return false;
    memcpy(&said, p.bytes, sizeof said);
    for (size_t at = PACKED_HEAD; at < p.size; count++) {
        size_t size = element_size(p.bytes + at, p.size - at), back;
        size_t tail = p.bare ? 0 : tail_size(size);
        if (size == 0 || size + tail > p.size - at)
            return false;
        if (tail > 0 &&
            (read_tail(p.bytes + at + size + tail, size + tail, &back) != tail || back != size))
            return false;
        at += size + tail;
    }
    return said == PACKED_UNCOUNTED || said == count;
}

void packed_verify_names(struct packed p, size_t each)
{
    tu_check(packed_is_valid(p) && packed_count(p) % each == 0, "a broken packed");
    for (size_t at = packed_first(p); at < p.size;) {
        struct packed_item item;
        packed_get(p, at, &item);
        for (size_t i = 0; i < each; i++)
            at = packed_next(p, at);
        tu_check(packed_find(p, at, each, packed_text(&item)) == p.size, "a name that comes twice");
    }
}

/* ---- writing ---- */

static size_t integer_size(int64_t v)
{
    return v >= 0 && v <= 127                      ? 1
           : v >= -4096 && v <= 4095               ? 2
           : v >= INT16_MIN && v <= INT16_MAX      ? 3
           : v >= -(1 << 23) && v <= (1 << 23) - 1 ? 4
           : v >= INT32_MIN && v <= INT32_MAX      ? 5
                                                   : 9;
}

static size_t string_head_size(size_t size)
{
    return size < 64 ? 1 : size < 4096 ? 2 : 5;
}

static size_t bare_size(struct slice value)
{
    int64_t integer;
    return as_integer(value, &integer) ? integer_size(integer)
                                       : string_head_size(value.size) + value.size;
}

size_t packed_item_size(struct slice value)
{
    size_t size = bare_size(value);
    return size + tail_size(size);
}

static size_t write_integer(unsigned char *to, int64_t v)
{
    size_t size = integer_size(v);
    uint64_t bits = (uint64_t)v;
    if (size == 1) {
        to[0] = (unsigned char)v;
    } else if (size == 2) {
        to[0] = (unsigned char)(0xc0 | (bits >> 8 & 0x1f));
        to[1] = (unsigned char)bits;
    } else {
        to[0] = (unsigned char)(0xf0 + (size == 9 ? 4 : size - 2));
        for (size_t i = 1; i < size; i++, bits >>= 8)
            to[i] = (unsigned char)bits;
    }
    return size;
}

static size_t write_string(unsigned char *to, struct slice s)
{
    size_t head = string_head_size(s.size);
    uint32_t size = (uint32_t)s.size;
    if (head == 1) {
        to[0] = (unsigned char)(0x80 | size);
    } else if (head == 2) {
        to[0] = (unsigned char)(0xe0 | size >> 8);
        to[1] = (unsigned char)size;
    } else {
        to[0] = 0xf0;
        memcpy(to + 1, &size, sizeof size);
    }
    if (s.size > 0)
        memcpy(to + head, s.data, s.size);
    return head + s.size;
}

static size_t write_bare(unsigned char *to, struct slice value)
{
    int64_t integer;
    return as_integer(value, &integer) ? write_integer(to, integer) : write_string(to, value);
}

unsigned char *packed_write(unsigned char *to, struct slice value)
{
    size_t size = write_bare(to, value);
    return write_tail(to + size, size);
}

size_t packed_integer_size(int64_t value)
{
    size_t size = integer_size(value);
    return size + tail_size(size);
}

unsigned char *packed_write_integer(unsigned char *to, int64_t value)
{
    size_t size = write_integer(to, value);
    return write_tail(to + size, size);
}

/* ---- bytes from elsewhere ---- */

/* An element of another form than short integers and strings, at `at`: its end, or 0. */
static size_t check_long(struct packed p, size_t at, bool *canonical)
{
    size_t size = element_size(p.bytes + at, p.size - at), back, tail = tail_size(size);
    struct packed_item item;
    int64_t integer;
    if (size == 0 || size + tail > p.size - at ||
        read_tail(p.bytes + at + size + tail, size + tail, &back) != tail || back != size)
        return 0;
    packed_get(p, at, &item);
    if (item.is_integer)
        *canonical &= size + tail == packed_integer_size(item.integer);
    else
        *canonical &=
            !as_integer(item.bytes, &integer) && size + tail == packed_item_size(item.bytes);
    return at + size + tail;
}

bool packed_check(struct packed p, size_t *count, bool *canonical)
{
    *count = 0;
    *canonical = true;
    if (p.size < PACKED_HEAD)
        return false;
    for (size_t at = PACKED_HEAD, next; at < p.size; at = next, ++*count) {
        const unsigned char *b = p.bytes + at;
        size_t text = b[0] & 0x3f;
        next = at + 2 + (b[0] < 0x80 ? 0 : text);
        if (b[0] < 0xc0 && next <= p.size && p.bytes[next - 1] == next - at - 1) {
            int64_t integer;
            bool numeric = b[0] >= 0x80 && text > 0 && b[1] <= '9' && b[1] >= '-';
            if (numeric && as_integer((struct slice){(const char *)b + 1, text}, &integer))
                *canonical = false;
        } else if ((next = check_long(p, at, canonical)) == 0) {
            return false;
        }
    }
    return true;
}

/* ---- with and without sizes ---- */

/* Copies `size` bytes, in one go where 16 may be read and written. */
static inline void copy_short(unsigned char *to, const unsigned char *to_end,
                              const unsigned char *from, const unsigned char *from_end, size_t size)
{
    if (size <= 16 && to_end - to >= 16 && from_end - from >= 16)
        memcpy(to, from, 16);
    else
        memcpy(to, from, size);
}

size_t packed_sizes(struct packed p)
{
    size_t bytes = 0;
    for (size_t at = packed_first(p), next; at < p.size; at = next) {
        next = packed_next(p, at);
        bytes += tail_size(next - at);
    }
    return bytes;
}

size_t packed_dress(unsigned char *to, struct packed p)
{
    const unsigned char *from_end = p.bytes + p.size, *to_end = to + p.size, *begin = to;
    memcpy(to, p.bytes, PACKED_HEAD);
    to += PACKED_HEAD;
    for (size_t at = packed_first(p), next; at < p.size; at = next) {
        next = packed_next(p, at);
        size_t size = next - at;
        copy_short(to, to_end, p.bytes + at, from_end, size);
        if (size < 128) {
            to[size] = (unsigned char)size;
            to += size + 1;
        } else {
            to = write_tail(to + size, size);
        }
    }
    return (size_t)(to - begin);
}

size_t packed_strip(unsigned char *to, struct packed p)
{
    const unsigned char *from_end = p.bytes + p.size, *begin = to;
    const unsigned char *to_end = to + p.size - packed_count(p);
    memcpy(to, p.bytes, PACKED_HEAD);
    to += PACKED_HEAD;
    for (size_t at = packed_first(p), next; at < p.size; at = next) {
        next = packed_next(p, at);
        size_t size = next - at <= 128 ? next - at - 1 : element_size(p.bytes + at, p.size - at);
        copy_short(to, to_end, p.bytes + at, from_end, size);
        to += size;
    }
    return (size_t)(to - begin);
}

static size_t room_for(struct packed p, struct slice value)
{
    return p.bare ? bare_size(value) : packed_item_size(value);
}

static unsigned char *write_to(struct packed p, unsigned char *to, struct slice value)
{
    return p.bare ? to + write_bare(to, value) : packed_write(to, value);
}

bool packed_insert(const struct packed_store *store, struct packed p, size_t at,
                   const struct slice *values, size_t count)
{
    size_t bytes = 0, before = packed_count(p);
    for (size_t i = 0; i < count; i++)
        bytes += room_for(p, values[i]);
    unsigned char *base = store->hole(store->owner, at, 0, bytes);
    if (!base)
        return false;
    unsigned char *to = base + at;
    for (size_t i = 0; i < count; i++)
        to = write_to(p, to, values[i]);
    packed_set_count(base, before + count);
    return true;
}

bool packed_replace(const struct packed_store *store, struct packed p, size_t at,
                    struct slice value)
{
    unsigned char *base =
        store->hole(store->owner, at, packed_next(p, at) - at, room_for(p, value));
    if (base)
        write_to(p, base + at, value);
    return base != NULL;
}

void packed_remove(const struct packed_store *store, struct packed p, size_t at, size_t count)
{
    size_t before = packed_count(p), end = at, n = 0;
    for (; n < count && end < p.size; n++)
        end = packed_next(p, end);
    unsigned char *base = store->hole(store->owner, at, end - at, 0);
    tu_check(base, "a packed could not be made smaller");
    packed_set_count(base, before - n);
}

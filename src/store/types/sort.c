/* sort.c - see sort.h.
 *
 * Elements, and what they are compared by, are copied into one heap of bytes first: what patterns look at may drop keys
 * and fields that are over. Then ranks are sorted: a word whose order is that of the numbers, or of the first bytes of
 * the texts, and the element's index; the elements themselves are looked at only where the words are equal. The sort is a
 * stable merge sort; where the peers leave the order of equals open, it is that of the elements before.
 */
#include "store/types/sort.h"

#include "base/number.h"
#include "store/long_work.h"
#include "store/types/hash.h"
#include "store/types/list.h"
#include "store/types/set.h"
#include "store/types/string.h"
#include "store/types/zset.h"

#include <tuco/mem.h>

struct item {
    struct slice text; /* data is an offset into the heap while that grows */
    struct slice by;   /* data NULL: there is none */
    double score;
};

struct rank {
    uint64_t word; /* the lower, the earlier */
    size_t at;     /* in the items; those of equal words decide */
};

struct sorting {
    struct transaction *tx;
    const struct sort_options *options;
    bool plain_order, alpha, exact; /* exact: bytes are compared, else up to the first NUL */
    bool by_pattern;
    enum store_type type;
    struct item *items;
    struct rank
        *ranks; /* room for twice as many as there are items; NULL: they are in order as they are */
    struct rank *sorted; /* in there */
    size_t count, room;
    char *heap;
    size_t heap_size, heap_room;
    enum store_result result;
};

/* ---- patterns ---- */

/* Patterns are C strings to the peers. */
static struct slice until_nul(struct slice s)
{
    const char *nul = s.size ? memchr(s.data, 0, s.size) : NULL;
    return nul ? (struct slice){s.data, (size_t)(nul - s.data)} : s;
}

static const char *star_of(struct slice pattern)
{
    pattern = until_nul(pattern);
    return pattern.size ? memchr(pattern.data, '*', pattern.size) : NULL;
}

bool sort_has_star(struct slice pattern)
{
    return star_of(pattern) != NULL;
}

static bool is_element(struct slice pattern)
{
    return slice_equal(pattern, SLICE("#"));
}

bool sort_reads_keys(const struct sort_options *o)
{
    if (o->by.data && star_of(o->by))
        return true;
    for (size_t i = 0; i < o->get_count; i++)
        if (!is_element(o->get[i]) && star_of(o->get[i]))
            return true;
    return false;
}

/* Where "->" and a name stand behind the star; pattern.size: nowhere. */
static size_t arrow_of(struct slice pattern, size_t star)
{
    for (size_t at = star + 1; at + 2 < pattern.size; at++)
        if (pattern.data[at] == '-' && pattern.data[at + 1] == '>')
            return at;
    return pattern.size;
}

struct looked_up {
    struct string_value string;
    struct hash_text field;
    struct slice text;
};

static bool look_at(struct transaction *tx, struct slice name, const struct slice *field,
                    struct looked_up *out)
{
    struct store_key key = {name, keyspace_hash(tx->keyspace, name)};
    struct hash_view v;
    bool found;
    if (field) {
        found =
            hash_open(tx, key, LOOKUP_READ, &v) == STORE_OK && hash_get(&v, *field, &out->field);
        out->text = out->field.bytes;
    } else {
        found = string_get(tx, key, &out->string) == STORE_OK;
        out->text = out->string.bytes;
    }
    return found;
}

/* What the pattern finds for an element: STORE_OK, STORE_MISSING, STORE_NO_MEMORY. */
static enum store_result look_up(struct transaction *tx, struct slice pattern, struct slice element,
                                 struct looked_up *out)
{
    enum { SHORT = 256 };
    char few[SHORT], *name = few;
    if (is_element(pattern)) {
        out->text = element;
        return STORE_OK;
    }
    const char *star = star_of(pattern);
    if (!star)
        return STORE_MISSING;
    size_t before = (size_t)(star - pattern.data), end = arrow_of(pattern, before);
    size_t size = end - 1 + element.size;
    struct slice field = {pattern.data + end + 2, end < pattern.size ? pattern.size - end - 2 : 0};
    if (size > SHORT && (name = tu_alloc(size)) == NULL)
        return STORE_NO_MEMORY;
    memcpy(name, pattern.data, before);
    if (element.size > 0)
        memcpy(name + before, element.data, element.size);
    memcpy(name + before + element.size, star + 1, end - before - 1);
    bool found = look_at(tx, (struct slice){name, size}, end < pattern.size ? &field : NULL, out);
    if (name != few)
        tu_free(name);
    return found ? STORE_OK : STORE_MISSING;
}

/* ---- collecting ---- */

/* Doubles until `need` fits. False: out of memory. */
static bool make_room(void **block, size_t *room, size_t need, size_t unit)
{
    size_t wanted = *room ? *room : 64;
    if (need <= *room)
        return true;
    while (wanted < need)
        wanted *= 2;
    void *moved = tu_realloc(*block, wanted * unit);
    if (moved) {
        *block = moved;
        *room = wanted;
    }
    return moved != NULL;
}

/* A copy of the text, its data an offset and one. False: out of memory. */
static bool keep(struct sorting *s, struct slice text, struct slice *out)
{
    if (!make_room((void **)&s->heap, &s->heap_room, s->heap_size + text.size + 1, 1))
        return false;
    if (text.size > 0)
        memcpy(s->heap + s->heap_size, text.data, text.size);
    *out = (struct slice){(const char *)(s->heap_size + 1), text.size};
    s->heap_size += text.size;
    return true;
}

static struct slice kept(const struct sorting *s, struct slice text)
{
    return text.data ? (struct slice){s->heap + ((uintptr_t)text.data - 1), text.size} : text;
}

/* So many elements will come. */
static void expect(void *context, size_t count)
{
    struct sorting *s = context;
    if (!make_room((void **)&s->items, &s->room, count, sizeof *s->items))
        s->result = STORE_NO_MEMORY;
}

static void collect(void *context, struct slice element)
{
    struct sorting *s = context;
    struct item item = {.by = {NULL, 0}};
    if (s->result != STORE_OK)
        return;
    if (!make_room((void **)&s->items, &s->room, s->count + 1, sizeof *s->items) ||
        !keep(s, element, &item.text))
        s->result = STORE_NO_MEMORY;
    else
        s->items[s->count++] = item;
}

static void collect_scored(void *context, struct slice member, double score)
{
    collect(context, member);
}

static void collect_all(struct sorting *s, struct store_key key)
{
    struct list_visitor list = {expect, collect, s};
    struct set_view set;
    struct zset_view zset;
    struct set_iterator it;
    struct slice member;
    s->type = keyspace_type(s->tx, key);
    switch (s->type) {
    case TYPE_NONE: break;
    case TYPE_LIST: {
        enum store_result rc = list_range(s->tx, key, 0, -1, &list);
        if (rc != STORE_OK)
            s->result = rc;
        break;
    }
    case TYPE_SET:
        (void)set_open(s->tx, key, LOOKUP_PEEK, &set);
        set_iterate(&set, &it);
        while (set_next(&it, &member))
            collect(s, member);
        break;
    case TYPE_ZSET:
        (void)zset_open(s->tx, key, LOOKUP_PEEK, &zset);
        zset_visit(&zset, (struct zset_ranks){0, zset_count(&zset)}, false, collect_scored, s);
        break;
    default: s->result = STORE_WRONG_TYPE; break;
    }
}

/* ---- comparing ---- */

/* A double as the peers' SORT reads it: no hexadecimal, nothing that is too small for one. */
static bool number_of(struct slice text, double *out)
{
    bool digits = false;
    if (number_parse_decimal(text, out))
        return true;
    text = until_nul(text);
    for (size_t i = 0; i < text.size; i++) {
        if ((text.data[i] | 32) == 'x')
            return false;
        if ((text.data[i] | 32) == 'e')
            break;
        digits |= text.data[i] >= '1' && text.data[i] <= '9';
    }
    return number_parse_double(text, out) && !(*out == 0 && digits);
}

/* Finds what one element is compared by. False: no more need be looked at. */
static bool weigh_by_pattern(struct sorting *s, struct item *item)
{
    struct looked_up found;
    enum store_result rc = look_up(s->tx, s->options->by, kept(s, item->text), &found);
    if (rc == STORE_NO_MEMORY)
        s->result = rc;
    else if (rc == STORE_OK && s->alpha && !keep(s, found.text, &item->by))
        s->result = STORE_NO_MEMORY;
    else if (rc == STORE_OK && !s->alpha && !number_of(found.text, &item->score))
        s->result = STORE_NOT_FLOAT;
    return s->result != STORE_NO_MEMORY;
}

static void weigh(struct sorting *s)
{
    if (s->alpha && !s->by_pattern)
        return;
    for (size_t i = 0; i < s->count; i++) {
        struct item *item = &s->items[i];
        if (s->by_pattern) {
            if (!weigh_by_pattern(s, item))
                return;
        } else if (!number_of(kept(s, item->text), &item->score)) {
            s->result = STORE_NOT_FLOAT;
            return;
        }
    }
}

static int compare_bytes(struct slice a, struct slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_text(const struct sorting *s, struct slice a, struct slice b)
{
    return s->exact ? compare_bytes(a, b) : compare_bytes(until_nul(a), until_nul(b));
}

static int compare(const struct sorting *s, const struct item *a, const struct item *b)
{
    int order;
    if (!s->alpha) {
        order = (a->score > b->score) - (a->score < b->score);
        if (order == 0) /* then at least in a defined one */
            order = compare_bytes(a->text, b->text);
    } else if (!s->by_pattern) {
        order = compare_text(s, a->text, b->text);
    } else if (!a->by.data || !b->by.data) {
        order = (a->by.data != NULL) - (b->by.data != NULL);
    } else {
        order = compare_text(s, a->by, b->by);
    }
    return s->options->descending ? -order : order;
}

/* Doubles in the order of their values, as words: 0 and -0 are the same. */
static uint64_t word_of_number(double value)
{
    uint64_t bits;
    value += 0.0;
    memcpy(&bits, &value, sizeof bits);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

/* The first eight bytes, with zeros behind the end: in order where they differ. */
static uint64_t word_of_text(struct slice text)
{
    unsigned char first[8] = {0};
    uint64_t word = 0;
    if (text.size > 0)
        memcpy(first, text.data, text.size < sizeof first ? text.size : sizeof first);
    for (size_t i = 0; i < sizeof first; i++)
        word = word << 8 | first[i];
    return word;
}

static uint64_t word_of(const struct sorting *s, const struct item *item)
{
    uint64_t word;
    if (!s->alpha) {
        word = word_of_number(item->score);
    } else {
        struct slice text = s->by_pattern ? item->by : item->text;
        word = word_of_text(s->exact ? text : until_nul(text));
    }
    return s->options->descending ? ~word : word;
}

/* True if b must stand before a. */
static inline bool out_of_order(const struct sorting *s, struct rank a, struct rank b)
{
    if (__builtin_expect(a.word == b.word, 0))
        return compare(s, &s->items[a.at], &s->items[b.at]) > 0;
    return b.word < a.word;
}

/* Merges from[0, middle) and from[middle, end). */
static void merge(const struct sorting *s, const struct rank *from, struct rank *to, size_t middle,
                  size_t end)
{
    size_t left = 0, right = middle;
    for (size_t i = 0; i < end; i++) {
        bool take_right =
            right < end && (left >= middle || out_of_order(s, from[left], from[right]));
        to[i] = from[take_right ? right++ : left++];
    }
}

/* The same for two runs of `half` ranks: the lower half is merged from the beginning while the upper one is from the end,
 * so neither can run out of ranks, there is nothing to predict, and the two do not wait for each other. */
static void merge_halves(const struct sorting *s, const struct rank *from, struct rank *to,
                         size_t half)
{
    size_t left = 0, right = half, left_end = half, right_end = 2 * half;
    for (size_t i = 0; i < half; i++) {
        size_t swap = out_of_order(s, from[left], from[right]);
        to[i] = from[swap ? right : left];
        right += swap;
        left += 1 - swap;
        swap = out_of_order(s, from[left_end - 1], from[right_end - 1]);
        to[2 * half - 1 - i] = from[swap ? left_end - 1 : right_end - 1];
        left_end -= swap;
        right_end -= 1 - swap;
    }
}

static void sort_items(struct sorting *s)
{
    size_t count = s->count;
    struct rank *from = tu_alloc((count ? count : 1) * 2 * sizeof *from), *to = from + count;
    if (!from) {
        s->result = STORE_NO_MEMORY;
        return;
    }
    s->ranks = from;
    for (size_t i = 0; i < count; i++)
        from[i] = (struct rank){word_of(s, &s->items[i]), i};
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t at = 0; at < count; at += 2 * run) {
            size_t left = count - at;
            if (left >= 2 * run)
                merge_halves(s, from + at, to + at, run);
            else
                merge(s, from + at, to + at, run < left ? run : left, left);
        }
        struct rank *sorted = to;
        to = from;
        from = sorted;
    }
    s->sorted = from;
}

static void reverse_items(struct sorting *s)
{
    for (size_t i = 0, n = s->count; i < n / 2; i++) {
        struct item item = s->items[i];
        s->items[i] = s->items[n - 1 - i];
        s->items[n - 1 - i] = item;
    }
}

/* ---- the whole ---- */

static void clear(struct sorting *s)
{
    tu_free(s->items);
    tu_free(s->ranks);
    tu_free(s->heap);
}

/* Number `i` of the order. */
static struct slice sorted_text(const struct sorting *s, size_t i)
{
    return s->items[s->ranks ? s->sorted[i].at : i].text;
}

/* Collects and sorts; what is in order is [*first, *first + *count). */
static enum store_result prepare(struct sorting *s, struct transaction *tx, struct store_key key,
                                 const struct sort_options *o, bool store, size_t *first,
                                 size_t *count)
{
    *s = (struct sorting){.tx = tx, .options = o, .alpha = o->alpha, .exact = store};
    s->by_pattern = o->by.data && star_of(o->by);
    s->plain_order = o->by.data && !s->by_pattern;
    collect_all(s, key);
    if (s->result == STORE_OK && s->plain_order && store &&
        s->type == TYPE_SET) { /* what is stored must not depend on chance */
        s->plain_order = false;
        s->alpha = true;
    }
    if (s->result == STORE_OK && !long_work_begin(tx, s->count))
        s->result = STORE_POSTPONED;
    if (s->result == STORE_OK && !s->plain_order)
        weigh(s);
    for (size_t i = 0; i < s->count; i++) {
        s->items[i].text = kept(s, s->items[i].text);
        s->items[i].by = kept(s, s->items[i].by);
    }
    if (s->result == STORE_OK && !s->plain_order)
        sort_items(s);
    else if (s->plain_order && o->descending && s->type != TYPE_SET)
        reverse_items(s);
    uint64_t all = s->count, offset = o->offset < 0 ? 0 : (uint64_t)o->offset;
    *first = offset < all ? (size_t)offset : (size_t)all;
    *count = (size_t)all - *first;
    if (o->count >= 0 && (uint64_t)o->count < *count)
        *count = (size_t)o->count;
    if (s->result != STORE_OK)
        clear(s);
    return s->result;
}

enum store_result sort_show(struct transaction *tx, struct store_key key,
                            const struct sort_options *o, const struct sort_visitor *visitor)
{
    struct sorting s;
    size_t first, count;
    enum store_result rc = prepare(&s, tx, key, o, false, &first, &count);
    if (rc != STORE_OK)
        return rc;
    visitor->begin(visitor->context, o->get_count ? count * o->get_count : count);
    for (size_t i = first; i < first + count; i++) {
        if (o->get_count == 0)
            visitor->each(visitor->context, sorted_text(&s, i));
        for (size_t g = 0; g < o->get_count; g++) {
            struct looked_up found;
            bool there = look_up(tx, o->get[g], sorted_text(&s, i), &found) == STORE_OK;
            visitor->each(visitor->context, there ? found.text : (struct slice){NULL, 0});
        }
    }
    clear(&s);
    return STORE_OK;
}

/* All that is to be stored, in the sorting's heap. False: out of memory. */
static bool gather(struct sorting *s, size_t first, size_t count, struct slice *values)
{
    const struct sort_options *o = s->options;
    size_t n = 0;
    char *texts = s->heap; /* stays while values are kept in a new one */
    s->heap = NULL;
    s->heap_size = s->heap_room = 0;
    bool ok = true;
    for (size_t i = first; i < first + count; i++) {
        if (o->get_count == 0)
            ok = ok && keep(s, sorted_text(s, i), &values[n++]);
        for (size_t g = 0; g < o->get_count && ok; g++) {
            struct looked_up found;
            enum store_result rc = look_up(s->tx, o->get[g], sorted_text(s, i), &found);
            ok = rc != STORE_NO_MEMORY &&
                 keep(s, rc == STORE_OK ? found.text : SLICE(""), &values[n++]);
        }
    }
    tu_free(texts);
    for (size_t i = 0; i < n && ok; i++)
        values[i] = kept(s, values[i]);
    return ok;
}

enum store_result sort_store(struct transaction *tx, struct store_key key,
                             const struct sort_options *o, struct store_key to, size_t *size)
{
    struct sorting s;
    size_t first, count;
    enum store_result rc = prepare(&s, tx, key, o, true, &first, &count);
    if (rc != STORE_OK)
        return rc;
    *size = o->get_count ? count * o->get_count : count;
    struct slice *values = tu_alloc((*size ? *size : 1) * sizeof *values);
    rc = values && gather(&s, first, count, values) ? list_store(tx, to, values, *size, "sortstore")
                                                    : STORE_NO_MEMORY;
    tu_free(values);
    clear(&s);
    return rc;
}

/* score_sort.c - see score_sort.h.
 *
 * A score becomes an integer of the same order, and these are sorted byte by byte from the last: each byte is one pass without a
 * comparison, and one that is the same in all costs nothing, as most are where scores are whole numbers. A sort that
 * compares mispredicts every other comparison, which costs more than all passes together from some dozen elements on.
 * What has equal scores is then sorted by name: a merge sort, because the room for it is there.
 */
#include "store/index/score_sort.h"

#include "store/index/score_tree.h"

#include <math.h>
#include <string.h>

enum { FEW = 24, NAN_MOST = 1000 };

/* Negative numbers are ordered the other way around; -0 equals 0. */
static uint64_t order_of(double score)
{
    const uint64_t sign = UINT64_C(1) << 63;
    uint64_t bits;
    if (score == 0)
        return sign;
    memcpy(&bits, &score, sizeof bits);
    return bits & sign ? ~bits : bits | sign;
}

/* ---- by scores ---- */

static void insertion_sort(struct element_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct element_item moved = items[i];
        size_t at = i;
        for (; at > 0 && items[at - 1].word > moved.word; at--)
            items[at] = items[at - 1];
        items[at] = moved;
    }
}

static void one_pass(const struct element_item *from, struct element_item *to, size_t count,
                     unsigned shift, const size_t sizes[256])
{
    size_t at[256], sum = 0;
    for (int i = 0; i < 256; i++) {
        at[i] = sum;
        sum += sizes[i];
    }
    for (size_t i = 0; i < count; i++)
        to[at[from[i].word >> shift & 255]++] = from[i];
}

static void radix_sort(struct element_item *items, struct element_item *room, size_t count)
{
    struct element_item *from = items, *to = room;
    uint64_t same = ~UINT64_C(0); /* bits that all have alike */
    for (size_t i = 1; i < count; i++)
        same &= ~(items[i].word ^ items[0].word);
    for (unsigned shift = 0; shift < 64; shift += 8) {
        size_t sizes[256] = {0};
        if ((same >> shift & 255) == 255)
            continue;
        for (size_t i = 0; i < count; i++)
            sizes[from[i].word >> shift & 255]++;
        one_pass(from, to, count, shift, sizes);
        struct element_item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

/* ---- by names ---- */

static bool is_after(const struct element *a, const struct element *b)
{
    return score_compare_names(element_name(a), element_name(b)) > 0;
}

static void merge_names(const struct element_item *from, struct element_item *to, size_t middle,
                        size_t count)
{
    size_t a = 0, b = middle;
    for (size_t i = 0; i < count; i++)
        to[i] = b == count || (a < middle && !is_after(from[a].element, from[b].element))
                    ? from[a++]
                    : from[b++];
}

static void sort_names(struct element_item *items, struct element_item *room, size_t count)
{
    struct element_item *from = items, *to = room;
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t at = 0; at < count; at += 2 * run) {
            size_t left = count - at;
            merge_names(from + at, to + at, run < left ? run : left,
                        2 * run < left ? 2 * run : left);
        }
        struct element_item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

/* ---- no numbers ---- */

/* A weight of infinity makes NaN of a score of 0, which is before nothing and behind nothing. The peers insert one by one,
 * looking from the first on, and so does this, for as many as nobody has to wait for. */
static void insert_each(struct element_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct element_item moved = items[i];
        double score = element_score(moved.element);
        size_t at = 0;
        for (; at < i; at++) {
            double there = element_score(items[at].element);
            if (!(there < score || (there == score && is_after(moved.element, items[at].element))))
                break;
        }
        memmove(&items[at + 1], &items[at], (i - at) * sizeof *items);
        items[at] = moved;
    }
}

void score_sort(struct element_item *items, struct element_item *room, size_t count)
{
    bool in_order = true, numbers = true;
    for (size_t i = 0; i < count; i++) {
        items[i].word = order_of(element_score(items[i].element));
        numbers = numbers && !isnan(element_score(items[i].element));
        in_order = in_order && (i == 0 || items[i - 1].word <= items[i].word);
    }
    if (!numbers && count <= NAN_MOST) {
        insert_each(items, count);
        return;
    }
    if (!in_order && count <= FEW)
        insertion_sort(items, count);
    else if (!in_order)
        radix_sort(items, room, count);
    for (size_t at = 0, end; at < count; at = end) {
        for (end = at + 1; end < count && items[end].word == items[at].word;)
            end++;
        if (end - at > 1)
            sort_names(items + at, room, end - at);
    }
}

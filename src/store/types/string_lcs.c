/* string_lcs.c - the longest common subsequence by the textbook table, and the matching ranges found
 * on the way back, from the end to the begin, in the order LCS IDX prints them.
 */
#include "store/types/string.h"

#include <string.h>
#include <tuco/mem.h>

/* table[i * (b.size + 1) + j]: size of the LCS of the first i bytes of a and the first j of b. */
static void fill_table(uint32_t *table, struct slice a, struct slice b)
{
    size_t width = b.size + 1;
    memset(table, 0, width * sizeof *table);
    for (size_t i = 1; i <= a.size; i++) {
        uint32_t *row = table + i * width, *above = row - width;
        row[0] = 0;
        for (size_t j = 1; j <= b.size; j++) {
            if (a.data[i - 1] == b.data[j - 1])
                row[j] = above[j - 1] + 1;
            else
                row[j] = above[j] > row[j - 1] ? above[j] : row[j - 1];
        }
    }
}

static bool add_match(struct string_lcs *r, size_t *capacity, struct string_lcs_match m)
{
    if (r->match_count == *capacity) {
        size_t wanted = *capacity ? *capacity * 2 : 8;
        struct string_lcs_match *grown = tu_realloc(r->matches, wanted * sizeof *grown);
        if (!grown)
            return false;
        r->matches = grown;
        *capacity = wanted;
    }
    r->matches[r->match_count++] = m;
    return true;
}

static bool walk_back(const uint32_t *table, struct slice a, struct slice b, struct string_lcs *r)
{
    size_t width = b.size + 1, i = a.size, j = b.size, capacity = 0, left = r->size;
    bool open = false;
    struct string_lcs_match m = {0};
    while (i > 0 && j > 0) {
        if (a.data[i - 1] == b.data[j - 1]) {
            if (!open)
                m = (struct string_lcs_match){.a_end = (uint32_t)i - 1, .b_end = (uint32_t)j - 1};
            open = true;
            i--;
            j--;
            m.a_start = (uint32_t)i;
            m.b_start = (uint32_t)j;
            r->text[--left] = a.data[i];
            continue;
        }
        if (open && !add_match(r, &capacity, m))
            return false;
        open = false;
        if (table[(i - 1) * width + j] > table[i * width + j - 1])
            i--;
        else
            j--;
    }
    return !open || add_match(r, &capacity, m);
}

enum store_result string_lcs(struct slice a, struct slice b, struct string_lcs *result)
{
    *result = (struct string_lcs){0};
    size_t cells;
    if (a.size >= UINT32_MAX || b.size >= UINT32_MAX ||
        __builtin_mul_overflow(a.size + 1, b.size + 1, &cells) || cells > SIZE_MAX / 8)
        return STORE_NO_MEMORY;
    uint32_t *table = tu_alloc(cells * sizeof *table);
    if (!table)
        return STORE_NO_MEMORY;
    fill_table(table, a, b);
    result->size = table[cells - 1];
    result->text = tu_alloc(result->size + 1);
    bool ok = result->text && walk_back(table, a, b, result);
    tu_free(table);
    if (!ok)
        string_lcs_free(result);
    return ok ? STORE_OK : STORE_NO_MEMORY;
}

void string_lcs_free(struct string_lcs *result)
{
    tu_free(result->text);
    tu_free(result->matches);
    *result = (struct string_lcs){0};
}

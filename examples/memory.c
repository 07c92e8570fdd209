/* memory.c - blocks by hand: what a class of sizes holds, and how moving packs what churn left
 * behind.
 *
 *     memory            prints pages before and after
 */
#include <stdio.h>
#include <string.h>
#include <tuco.h>

enum { COUNT = 100000 };
static char *notes[COUNT];

static size_t page_bytes(void)
{
    struct tu_mem_stats stats;
    tu_mem_stats(&stats);
    return stats.small_bytes;
}

static void print_classes(void)
{
    struct tu_mem_class_stats c;
    for (unsigned i = 0; tu_mem_class_stats(i, &c); i++)
        if (c.used_blocks > 0)
            printf("  blocks of %3zu bytes: %6zu used, room for %6zu\n", c.block_bytes,
                   c.used_blocks, c.span_blocks);
}

int main(void)
{
    for (int i = 0; i < COUNT; i++) {
        size_t size = (size_t)20 + (size_t)(i % 3) * 40;
        if (!(notes[i] = tu_alloc(size)))
            return 1;
        snprintf(notes[i], size, "note %d", i);
    }
    for (int i = 0; i < COUNT; i++) /* nine of ten go, and every page keeps some */
        if (i * 7 % 10 != 0) {
            tu_free(notes[i]);
            notes[i] = NULL;
        }
    tu_mem_release();
    size_t before = page_bytes();
    print_classes();

    for (int i = 0; i < COUNT; i++) {
        char *moved = notes[i] ? tu_move(notes[i]) : NULL;
        if (moved)
            notes[i] = moved; /* the only pointer to it */
    }
    tu_mem_release();
    print_classes();
    printf("%d: %s\n", 99990, notes[99990]);
    printf("packed: %s\n", page_bytes() < before / 4 ? "yes" : "no");
    for (int i = 0; i < COUNT; i++)
        tu_free(notes[i]);
    return 0;
}

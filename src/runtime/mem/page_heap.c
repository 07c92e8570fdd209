/* page_heap.c - best fit over binned free runs, coalescing through the page table.
 *
 * The table holds an entry for every page of a small or collected span (any block must find its class), but only
 * for the first and last page of a large span or free run: that is all that freeing (by the first
 * byte) and coalescing (by the neighbours' borders) ask for, and a run of a gigabyte costs no more
 * than one of a page. A free run's entries have code 0, so freeing a pointer into it is noticed.
 *
 * Bins: exact up to 64 pages, then eight to each doubling. From the exact bins and from any bin
 * above the wanted one the first run fits; within the wanted geometric bin a few are tried.
 *
 * Clean and dirty runs are never merged: `clean` must stay an exact statement (zeroed allocations
 * rely on it), and the address space that is lost to this costs nothing. Dirty pages that are free
 * may be as many as 1/16 of those in use, and 32 MiB: beyond, whole runs are given back, the
 * largest first, until half of it is left. Below it the scavenger gives back what lies unused for a
 * while. The lock is released around the system call; the run is in no bin meanwhile and its border
 * entries say SPAN_RETURNING, so no neighbour merges with it.
 */
#include "runtime/mem/page_heap.h"

#include "base/check.h"
#include "platform/vm.h"

#include <string.h>

#define EXACT_BINS    64u
#define BINS          256u
#define GROW_BYTES    ((size_t)16 << 20)
#define HUGE_BYTES    ((size_t)2 << 20)
#define LARGEST_HEAP  ((size_t)1 << 40)
#define SMALLEST_HEAP ((size_t)1 << 30)
#define RETURN_PAGES  4u /* shorter runs are not worth a system call */
#define KEEP_PAGES    ((size_t)4096)
#define CHUNK_BYTES   ((size_t)64 << 10)

struct tu__pages tu__pages;

struct bin_set {
    uint64_t filled[BINS / 64];
    struct span *runs[BINS];
};

static struct {
    struct tu__lock lock;
    bool refused;          /* no address range could be reserved: every call fails */
    size_t reserved_bytes; /* multiple of GROW_BYTES */
    size_t table_committed_bytes;
    struct bin_set free[2]; /* SPAN_CLEAN, SPAN_DIRTY */
    size_t free_pages[2];
    size_t dirty_low; /* least free_pages[SPAN_DIRTY] since tu__pages_idle was asked */
    size_t returning_pages;
    size_t expected_pages; /* that the collected heap will take again */
    size_t small_pages, large_pages, collected_pages;
    struct span *spare; /* span structs to use again, linked through next */
    char *chunk;        /* rest of the current piece of metadata */
    size_t chunk_left, metadata_bytes;
} heap;

static unsigned bin_of(size_t pages)
{
    if (pages <= EXACT_BINS)
        return (unsigned)pages - 1;
    unsigned log = 63u - (unsigned)__builtin_clzll(pages);
    unsigned bin = EXACT_BINS + (log - 6) * 8 + (unsigned)((pages >> (log - 3)) - 8);
    return bin < BINS ? bin : BINS - 1;
}

static void *metadata(size_t size)
{
    size = (size + 63) & ~(size_t)63;
    if (size > heap.chunk_left) {
        size_t want = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        char *p = vm_map(want);
        if (!p)
            return NULL;
        heap.chunk = p;
        heap.chunk_left = want;
        heap.metadata_bytes += want;
    }
    void *p = heap.chunk;
    heap.chunk += size;
    heap.chunk_left -= size;
    return p;
}

void *tu__pages_metadata(size_t size)
{
    tu__lock(&heap.lock);
    void *p = metadata(size);
    tu__unlock(&heap.lock);
    return p;
}

static struct span *new_span(void)
{
    struct span *s = heap.spare;
    if (s)
        heap.spare = s->next;
    else
        s = metadata(sizeof *s);
    if (s)
        memset(s, 0, sizeof *s);
    return s;
}

static void drop_span(struct span *s)
{
    s->next = heap.spare;
    heap.spare = s;
}

static void set_entry(size_t page, const struct span *s, unsigned code)
{
    uint64_t entry = s ? (uint64_t)code << 56 | (uintptr_t)s : 0;
    /* Relaxed: who looks an entry up got the pointer from its allocation, which happened after. */
    atomic_store_explicit(&tu__pages.table[page], entry, memory_order_relaxed);
}

static void set_borders(const struct span *s, unsigned code)
{
    set_entry(s->first, s, code);
    set_entry(s->first + s->pages - 1, s, code);
}

/* The span whose run includes this border page, or NULL outside of the committed range. */
static struct span *border(size_t page)
{
    size_t committed = atomic_load_explicit(&tu__pages.committed, memory_order_relaxed);
    if (page >= committed >> PAGE_SHIFT)
        return NULL;
    return tu__entry_span(atomic_load_explicit(&tu__pages.table[page], memory_order_relaxed));
}

static void bin_insert(struct span *s)
{
    struct bin_set *set = &heap.free[s->state];
    unsigned bin = bin_of(s->pages);
    s->prev = NULL;
    s->next = set->runs[bin];
    if (s->next)
        s->next->prev = s;
    set->runs[bin] = s;
    set->filled[bin / 64] |= (uint64_t)1 << bin % 64;
    heap.free_pages[s->state] += s->pages;
    set_borders(s, PAGE_NONE);
}

static void bin_remove(struct span *s)
{
    struct bin_set *set = &heap.free[s->state];
    unsigned bin = bin_of(s->pages);
    if (s->prev)
        s->prev->next = s->next;
    else
        set->runs[bin] = s->next;
    if (s->next)
        s->next->prev = s->prev;
    if (!set->runs[bin])
        set->filled[bin / 64] &= ~((uint64_t)1 << bin % 64);
    heap.free_pages[s->state] -= s->pages;
}

/* After free pages were used, with the rest of the run they came from back in its bin. */
static void note_low(void)
{
    if (heap.free_pages[SPAN_DIRTY] < heap.dirty_low)
        heap.dirty_low = heap.free_pages[SPAN_DIRTY];
}

/* Makes `s` a free run of that state, merged with its equals on both sides. */
static void insert_free(struct span *s, enum span_state state)
{
    s->state = (uint8_t)state;
    struct span *before = s->first ? border(s->first - 1) : NULL;
    if (before && before->state == state) {
        bin_remove(before);
        set_entry(s->first, NULL, 0);
        set_entry(s->first - 1, NULL, 0);
        s->first = before->first;
        s->pages += before->pages;
        drop_span(before);
    }
    struct span *after = border((size_t)s->first + s->pages);
    if (after && after->state == state) {
        bin_remove(after);
        set_entry((size_t)s->first + s->pages - 1, NULL, 0);
        set_entry((size_t)s->first + s->pages, NULL, 0);
        s->pages += after->pages;
        drop_span(after);
    }
    bin_insert(s);
}

/* Reserves the address range and its table. */
static bool start(void)
{
    if (heap.refused)
        return false;
    for (size_t size = LARGEST_HEAP; size >= SMALLEST_HEAP; size /= 2) {
        size_t table_size = (size >> PAGE_SHIFT) * sizeof(uint64_t);
        char *range = vm_reserve(size + HUGE_BYTES);
        char *table = range ? vm_reserve(table_size) : NULL;
        if (table) {
            tu__pages.table = (_Atomic uint64_t *)(void *)table;
            tu__pages.base = ((uintptr_t)range + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
            heap.reserved_bytes = size;
            return true;
        }
        if (range)
            vm_unmap(range, size + HUGE_BYTES);
    }
    heap.refused = true;
    return false;
}

/* Commits more of the range, enough for a run of `pages` at its end. */
static bool grow(size_t pages)
{
    if (!heap.reserved_bytes && !start())
        return false;
    size_t old = atomic_load_explicit(&tu__pages.committed, memory_order_relaxed);
    struct span *last = old ? border((old >> PAGE_SHIFT) - 1) : NULL;
    if (last && last->state == SPAN_CLEAN && last->pages < pages)
        pages -= last->pages;
    size_t want = (pages * PAGE_BYTES + GROW_BYTES - 1) & ~(GROW_BYTES - 1);
    if (want > heap.reserved_bytes - old)
        return false;
    size_t table = ((old + want) >> PAGE_SHIFT) * sizeof(uint64_t);
    table = (table + vm_page_size() - 1) & ~(vm_page_size() - 1);
    if (table > heap.table_committed_bytes) {
        if (vm_commit((char *)tu__pages.table + heap.table_committed_bytes,
                      table - heap.table_committed_bytes) < 0)
            return false;
        heap.table_committed_bytes = table;
    }
    struct span *s = new_span();
    if (!s)
        return false;
    if (vm_commit((char *)tu__pages.base + old, want) < 0) {
        drop_span(s);
        return false;
    }
    if (old > 0) /* small programs stay small */
        vm_huge_pages((char *)tu__pages.base + old, want, true);
    atomic_store_explicit(&tu__pages.committed, old + want, memory_order_relaxed);
    s->first = (uint32_t)(old >> PAGE_SHIFT);
    s->pages = (uint32_t)(want >> PAGE_SHIFT);
    insert_free(s, SPAN_CLEAN);
    return true;
}

static struct span *find(size_t pages, enum span_state state)
{
    struct bin_set *set = &heap.free[state];
    unsigned bin = bin_of(pages);
    if (bin >= EXACT_BINS) { /* runs here may be a little too short */
        struct span *s = set->runs[bin];
        for (int tries = 16; s && tries > 0; s = s->next, tries--)
            if (s->pages >= pages)
                return s;
        if (++bin >= BINS)
            return NULL;
    }
    uint64_t bits = set->filled[bin / 64] & (~(uint64_t)0 << bin % 64);
    for (unsigned word = bin / 64;;) {
        if (bits)
            return set->runs[word * 64 + (unsigned)__builtin_ctzll(bits)];
        if (++word >= BINS / 64)
            return NULL;
        bits = set->filled[word];
    }
}

/* Cuts a free run, out of its bin already, down to `pages`; the rest becomes a run. */
static bool cut(struct span *s, size_t pages)
{
    if (s->pages == pages)
        return true;
    struct span *rest = new_span();
    if (!rest)
        return false;
    rest->first = s->first + (uint32_t)pages;
    rest->pages = s->pages - (uint32_t)pages;
    rest->state = s->state;
    s->pages = (uint32_t)pages;
    bin_insert(rest);
    return true;
}

static struct span *take_locked(size_t pages, bool zero)
{
    enum span_state first = zero ? SPAN_CLEAN : SPAN_DIRTY;
    for (;;) {
        struct span *s = find(pages, first);
        if (!s)
            s = find(pages, first == SPAN_CLEAN ? SPAN_DIRTY : SPAN_CLEAN);
        if (!s) {
            if (!grow(pages))
                return NULL;
            continue;
        }
        bin_remove(s);
        if (cut(s, pages))
            return s;
        bin_insert(s);
        return NULL;
    }
}

/* A free run out of part of another, which is nobody's at the moment. */
static void give_part(struct span *part, size_t first, size_t pages, enum span_state state)
{
    part->first = (uint32_t)first;
    part->pages = (uint32_t)pages;
    insert_free(part, state);
}

/* Takes a run that is longer than needed and gives both ends back. */
static struct span *take_aligned_locked(size_t pages, size_t align, bool zero)
{
    struct span *s = take_locked(pages + align - 1, zero);
    if (!s)
        return NULL;
    enum span_state state = s->state;
    size_t front = -((tu__pages.base >> PAGE_SHIFT) + s->first) & (align - 1);
    size_t tail = align - 1 - front;
    struct span *a = front ? new_span() : NULL, *b = tail ? new_span() : NULL;
    if ((front && !a) || (tail && !b)) {
        if (a)
            drop_span(a);
        insert_free(s, state);
        return NULL;
    }
    s->first += (uint32_t)front;
    s->pages = (uint32_t)pages;
    s->state = SPAN_RETURNING; /* so that the ends do not merge with it */
    set_borders(s, PAGE_NONE);
    if (a)
        give_part(a, s->first - front, front, state);
    if (b)
        give_part(b, s->first + pages, tail, state);
    s->state = (uint8_t)state;
    return s;
}

struct span *tu__pages_take(size_t pages, size_t align, unsigned class, bool zero)
{
    if (pages == 0 || pages > LARGEST_HEAP >> PAGE_SHIFT || align > LARGEST_HEAP >> PAGE_SHIFT)
        return NULL;
    tu__lock(&heap.lock);
    struct span *s =
        align <= 1 ? take_locked(pages, zero) : take_aligned_locked(pages, align, zero);
    note_low();
    if (s) {
        /* Where the system's pages are larger than ours, a run's ends are not given back. */
        s->zero = s->state == SPAN_CLEAN && vm_page_size() <= PAGE_BYTES;
        s->class = (uint8_t) class;
        s->next = s->prev = NULL;
        if (class) {
            s->state = SPAN_SMALL;
            heap.small_pages += pages;
            for (size_t i = 0; i < pages; i++)
                set_entry(s->first + i, s, class);
        } else {
            s->state = SPAN_LARGE;
            heap.large_pages += pages;
            set_borders(s, PAGE_LARGE);
        }
    }
    tu__unlock(&heap.lock);
    return s;
}

static void copy_shape(struct span *s, const struct span *shape)
{
    s->bin = shape->bin;
    s->used = shape->used;
    s->capacity = shape->capacity;
    s->hint = shape->hint;
    s->reciprocal = shape->reciprocal;
    s->type = shape->type;
    s->block_bytes = shape->block_bytes;
    s->key = shape->key;
    for (size_t i = 0; i < COLLECTED_WORDS; i++) {
        atomic_store_explicit(&s->marks[i], 0, memory_order_relaxed);
        atomic_store_explicit(&s->taken[i], 0, memory_order_relaxed);
        atomic_store_explicit(&s->born[i], 0, memory_order_relaxed);
    }
}

struct span *tu__pages_take_collected(size_t pages, bool zero, const struct span *shape)
{
    if (pages == 0 || pages > LARGEST_HEAP >> PAGE_SHIFT)
        return NULL;
    tu__lock(&heap.lock);
    struct span *s = take_locked(pages, zero);
    note_low();
    if (s) {
        s->zero = s->state == SPAN_CLEAN && vm_page_size() <= PAGE_BYTES;
        s->next = s->prev = NULL;
        s->state = SPAN_COLLECTED;
        copy_shape(s, shape);
        atomic_thread_fence(
            memory_order_release); /* pairs with the marker's acquire of the entry */
        heap.collected_pages += pages;
        for (size_t i = 0; i < pages; i++)
            atomic_store_explicit(&tu__pages.table[s->first + i],
                                  (uint64_t)PAGE_COLLECTED << 56 | (uintptr_t)s,
                                  memory_order_release); /* pairs with tu__page_entry_whole */
    }
    tu__unlock(&heap.lock);
    return s;
}

/* Gives back dirty runs of at least `least` pages. Called and returns locked. */
static size_t return_locked(size_t keep, size_t least, size_t most)
{
    struct bin_set *dirty = &heap.free[SPAN_DIRTY];
    size_t done = 0;
    for (unsigned bin = BINS; bin-- > bin_of(least);)
        while (dirty->runs[bin] && heap.free_pages[SPAN_DIRTY] > keep && done < most) {
            struct span *s = dirty->runs[bin];
            bin_remove(s);
            if (s->pages > most - done && !cut(s, most - done))
                most = SIZE_MAX; /* no memory for bookkeeping: the whole run, then */
            s->state = SPAN_RETURNING;
            set_borders(s, PAGE_NONE); /* cut may have moved its end */
            heap.returning_pages += s->pages;
            size_t pages = s->pages;
            tu__unlock(&heap.lock);
            int rc = vm_decommit(tu__span_start(s), pages << PAGE_SHIFT);
            tu__lock(&heap.lock);
            heap.returning_pages -= pages;
            if (rc < 0) { /* refused, e.g. memory locked by mlockall: keep it, try no more */
                insert_free(s, SPAN_DIRTY);
                return done;
            }
            insert_free(s, SPAN_CLEAN);
            done += pages;
        }
    return done;
}

/* The last run was never used, but a huge page that its neighbour uses may reach into it. */
static void return_tail(void)
{
    size_t end = atomic_load_explicit(&tu__pages.committed, memory_order_relaxed) >> PAGE_SHIFT;
    struct span *s = end ? border(end - 1) : NULL;
    if (s && s->state == SPAN_CLEAN)
        (void)!vm_decommit(tu__span_start(s), (size_t)s->pages << PAGE_SHIFT);
}

size_t tu__pages_return(size_t keep, size_t most)
{
    tu__lock(&heap.lock);
    size_t done = return_locked(keep, 1, most);
    if (keep == 0)
        return_tail();
    note_low();
    tu__unlock(&heap.lock);
    return done;
}

void tu__pages_expect(size_t pages)
{
    tu__lock(&heap.lock);
    heap.expected_pages = pages;
    tu__unlock(&heap.lock);
}

size_t tu__pages_idle(void)
{
    tu__lock(&heap.lock);
    size_t low = heap.dirty_low;
    heap.dirty_low = heap.free_pages[SPAN_DIRTY];
    tu__unlock(&heap.lock);
    return low;
}

/* Something became free: not too much of it may lie here. Called and returns locked. */
static void return_some(void)
{
    size_t keep = KEEP_PAGES + heap.expected_pages +
                  (heap.small_pages + heap.large_pages + heap.collected_pages) / 16;
    if (heap.free_pages[SPAN_DIRTY] > keep)
        (void)return_locked(keep / 2, RETURN_PAGES, SIZE_MAX);
    note_low();
}

void tu__pages_give(struct span *s)
{
    tu__lock(&heap.lock);
    if (s->state == SPAN_LARGE) {
        heap.large_pages -= s->pages;
    } else {
        *(s->state == SPAN_SMALL ? &heap.small_pages : &heap.collected_pages) -= s->pages;
        for (size_t i = 0; i < s->pages; i++)
            set_entry(s->first + i, NULL, 0);
    }
    insert_free(s, SPAN_DIRTY);
    return_some();
    tu__unlock(&heap.lock);
}

static bool shrink(struct span *s, size_t pages)
{
    struct span *rest = new_span();
    if (!rest)
        return false;
    rest->first = s->first + (uint32_t)pages;
    rest->pages = s->pages - (uint32_t)pages;
    heap.large_pages -= rest->pages;
    s->pages = (uint32_t)pages;
    set_borders(s, PAGE_LARGE);
    insert_free(rest, SPAN_DIRTY);
    return_some();
    return true;
}

static bool extend(struct span *s, size_t pages)
{
    size_t more = pages - s->pages;
    struct span *after = border((size_t)s->first + s->pages);
    if (!after || after->state > SPAN_DIRTY || after->pages < more)
        return false;
    bin_remove(after);
    if (!cut(after, more)) {
        bin_insert(after);
        return false;
    }
    set_entry((size_t)s->first + s->pages - 1, s->pages == 1 ? s : NULL, PAGE_LARGE);
    set_entry(after->first, NULL, 0);
    drop_span(after);
    s->pages = (uint32_t)pages;
    heap.large_pages += more;
    set_borders(s, PAGE_LARGE);
    return true;
}

bool tu__pages_resize(struct span *s, size_t pages)
{
    if (pages == s->pages)
        return true;
    if (pages > LARGEST_HEAP >> PAGE_SHIFT)
        return false;
    tu__lock(&heap.lock);
    bool ok = pages < s->pages ? shrink(s, pages) : extend(s, pages);
    note_low();
    tu__unlock(&heap.lock);
    return ok;
}

void tu__pages_count(struct page_counts *out)
{
    tu__lock(&heap.lock);
    out->small_pages = heap.small_pages;
    out->large_pages = heap.large_pages;
    out->collected_pages = heap.collected_pages;
    out->dirty_pages = heap.free_pages[SPAN_DIRTY] + heap.returning_pages;
    out->clean_pages = heap.free_pages[SPAN_CLEAN];
    out->metadata_bytes = heap.metadata_bytes + heap.table_committed_bytes;
    tu__unlock(&heap.lock);
}

static void verify_bins(void)
{
    for (unsigned state = 0; state < 2; state++) {
        size_t pages = 0;
        for (unsigned bin = 0; bin < BINS; bin++) {
            bool bit = heap.free[state].filled[bin / 64] >> bin % 64 & 1;
            tu_check(bit == (heap.free[state].runs[bin] != NULL), "page heap: bin %u", bin);
            for (struct span *s = heap.free[state].runs[bin]; s; s = s->next) {
                tu_check(s->state == state && bin_of(s->pages) == bin, "page heap: run in bin");
                tu_check(border(s->first) == s, "page heap: run not in the table");
                pages += s->pages;
            }
        }
        tu_check(pages == heap.free_pages[state], "page heap: %zu free pages, %zu counted", pages,
                 heap.free_pages[state]);
    }
}

void tu__pages_verify(void (*visit)(const struct span *s, void *arg), void *arg)
{
    tu__lock(&heap.lock);
    size_t end = atomic_load_explicit(&tu__pages.committed, memory_order_relaxed) >> PAGE_SHIFT;
    size_t pages[6] = {0};
    unsigned last_state = 255;
    for (size_t page = 0; page < end;) {
        struct span *s = border(page);
        tu_check(s && s->first == page && s->pages > 0, "page heap: no span at page %zu", page);
        tu_check(border(page + s->pages - 1) == s, "page heap: end of the span at page %zu", page);
        tu_check(s->state <= SPAN_COLLECTED, "page heap: state of the span at page %zu", page);
        tu_check(s->state > SPAN_DIRTY || s->state != last_state, "page heap: runs not merged");
        bool all = s->state == SPAN_SMALL || s->state == SPAN_COLLECTED;
        for (size_t i = 0; all && i < s->pages; i++)
            tu_check(border(page + i) == s, "page heap: page %zu of a span", page + i);
        pages[s->state] += s->pages;
        if (visit && s->state >= SPAN_SMALL)
            visit(s, arg);
        last_state = s->state;
        page += s->pages;
    }
    tu_check(pages[SPAN_SMALL] == heap.small_pages && pages[SPAN_LARGE] == heap.large_pages &&
                 pages[SPAN_COLLECTED] == heap.collected_pages &&
                 pages[SPAN_RETURNING] == heap.returning_pages,
             "page heap: counts of pages in use");
    verify_bins();
    tu__unlock(&heap.lock);
}

void tu__pages_before_fork(void)
{
    tu__lock(&heap.lock);
}

void tu__pages_after_fork(bool child)
{
    if (child)
        tu__lock_after_fork(&heap.lock);
    else
        tu__unlock(&heap.lock);
}

/* routes.c - the collected heap: a table that many read without a lock while one changes it.
 *
 * The table is a search tree whose nodes never change. A writer makes new nodes for the path to what it changes, shares the
 * rest, and publishes the new root with one store. Readers take the root and have that version for as long as they
 * like. Nobody counts references, and nobody frees: versions that no reader holds any more are collected.
 *
 *     routes [CHANGES]       prints what was found, and whether old versions are gone
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <tuco.h>

typedef struct route route;
struct route {
    route *const less, *const more;
    unsigned address, priority;
    int hops;
};
TU_TYPE(route, less, more);

enum { READERS = 8, ADDRESSES = 1000 };

static route *table; /* the present version; a root */
static atomic_bool done;
static atomic_ulong looked_up;

/* A treap: which node is above which follows from the addresses alone. */
static unsigned priority_of(unsigned address)
{
    return address * 2654435761u ^ address << 7;
}

static route *make(unsigned address, int hops, route *less, route *more)
{
    route *r = tu_new(route);
    if (!r)
        abort();
    r->address = address;
    r->priority = priority_of(address);
    r->hops = hops;
    tu_set(&r->less, less);
    tu_set(&r->more, more);
    return r;
}

/* The parts of a tree below and above an address, which is not in it. */
static void split(route *t, unsigned address, route **less, route **more)
{
    route *part;
    if (!t) {
        *less = *more = NULL;
    } else if (t->address < address) {
        split(t->more, address, &part, more);
        *less = make(t->address, t->hops, t->less, part);
    } else {
        split(t->less, address, less, &part);
        *more = make(t->address, t->hops, part, t->more);
    }
}

/* A version of the tree in which the address has so many hops. */
static route *with(route *t, unsigned address, int hops)
{
    if (t && t->address == address)
        return make(address, hops, t->less, t->more);
    if (!t || t->priority < priority_of(address)) {
        route *less, *more;
        split(t, address, &less, &more);
        return make(address, hops, less, more);
    }
    if (address < t->address)
        return make(t->address, t->hops, with(t->less, address, hops), t->more);
    return make(t->address, t->hops, t->less, with(t->more, address, hops));
}

static int find(const route *t, unsigned address)
{
    while (t && t->address != address)
        t = address < t->address ? t->less : t->more;
    return t ? t->hops : -1;
}

/* All routes of one version have been changed equally often, but for those that this round has reached. */
static void read_routes(void)
{
    while (!done) {
        const route *version = tu_get(&table);
        int first = find(version, 0), last = find(version, ADDRESSES - 1);
        if (first < last || first > last + 1) {
            fprintf(stderr, "a version that never was: %d, %d\n", first, last);
            abort();
        }
        looked_up += 2;
        tu_yield();
    }
}

static void run(void *arg)
{
    long changes = *(long *)arg;
    for (unsigned a = 0; a < ADDRESSES; a++)
        tu_set(&table, with(table, a, 0));
    tu_scope(s) {
        for (int i = 0; i < READERS; i++)
            if (tu_scope_go(&s, read_routes) < 0)
                abort();
        for (long i = 0; i < changes; i++) {
            unsigned address = (unsigned)(i % ADDRESSES);
            tu_set(&table, with(table, address, find(table, address) + 1));
            if (i % 100 == 0)
                tu_yield();
        }
        done = true;
    }
    tu_gc();
    struct tu_gc_stats stats;
    tu_gc_stats(&stats);
    printf("%ld changes; address 0 has %d hops\n", changes, find(table, 0));
    printf("readers: %s, old versions are gone: %s\n", looked_up > 0 ? "yes" : "none",
           stats.live_bytes < 4u << 20 ? "yes" : "no");
}

int main(int argc, char **argv)
{
    long changes = argc > 1 ? strtol(argv[1], NULL, 10) : 100000;
    if (tu_gc_root_add(&table, sizeof table) < 0)
        return 1;
    return tu_main(NULL, run, &changes) < 0;
}

/* gc_sim.c - goroutines and threads move the only pointers to objects about while the collector marks and sweeps.
 *
 * A model knows, of each object by its number, which others it leads to. Each party owns its objects, so it may compare what it
 * reaches with the model whenever it likes: an object that was freed was overwritten. What goes from one party to
 * another goes with its number. Each tree has its edges back to parents, so what dies are cycles.
 */
#include "sim/sim_kit.h"

#include "runtime/chan/channel.h"
#include "runtime/gc/collector.h"

#include <tuco/map.h>
#include <tuco/select.h>
#include <tuco/slice.h>

enum {
    NODES_MAX = 6000,
    CELLS = 3,
    KEYS_OF_MAP = 4,
    PARTIES_MAX = 4,
    TRACKED_MAX = 48,
    DEPTH_MAX = 8,
    BOX_MAX = 3
};

typedef struct node node;
struct node {
    uint32_t id, check; /* ~id */
    node *const kids[2];
    node *const back; /* its parent, itself, or nothing */
};
TU_TYPE(node, kids, back);
typedef node *const node_ref;
TU_POINTER_TYPE(node_ref);
TU_SLICE(nodes, node_ref);
TU_TYPE(uint32_t);
TU_MAP(registry, uint32_t, node_ref);
typedef tu_weak *const weak_ref;
TU_POINTER_TYPE(weak_ref);

/* A node and the number that it must have. */
typedef struct {
    node *at;
    uint32_t id;
} item;
TU_TYPE(item, at);

typedef struct {
    node *const cells[CELLS];
    const nodes list;
    registry *const map;
    const tu_chan(item) box; /* collected: nobody else knows it */
    item in;                 /* received into, and not written otherwise */
} home;
TU_TYPE(home, cells, list.at, map, box, in.at);

struct party {
    uint32_t cells[CELLS], list[64], map[KEYS_OF_MAP]; /* numbers of what is there; 0: NULL */
    uint32_t box[BOX_MAX], in;
    unsigned listed, boxed;
};

static home *homes[PARTIES_MAX]; /* a root, */
static weak_ref *tracked;        /* as is this */
static uint32_t tracked_id[TRACKED_MAX];
static bool tracked_dead[TRACKED_MAX];
static unsigned tracked_count;
static struct party parties[PARTIES_MAX];
static uint32_t kids_of[NODES_MAX][2], last_id;
static unsigned cleanups_of[NODES_MAX], cleaned[NODES_MAX];
static tu_chan(item) exchange, meeting; /* of either kind; roots */
static bool exchange_is_manual;
static struct tu_wait_group working;
static bool all_done;

/* ---- the model ---- */

static void check_node(const node *n, uint32_t id)
{
    EXPECT((n == NULL) == (id == 0), "number %u is at %p", id, (const void *)n);
    if (!n)
        return;
    EXPECT(n->id == id && n->check == ~id, "number %u at %p says %x, %x", id, (const void *)n,
           n->id, n->check);
    EXPECT(cleaned[id] == 0, "number %u lives and was cleaned up", id);
}

static void check_tree(const node *n, uint32_t id, int depth)
{
    check_node(n, id);
    for (int k = 0; n && depth < DEPTH_MAX && k < 2; k++)
        check_tree(n->kids[k], kids_of[id][k], depth + 1);
    if (n && n->back)
        EXPECT(n->back->check == ~n->back->id, "number %u leads back to %p", id,
               (const void *)n->back);
}

static void check_home(unsigned p)
{
    const home *h = homes[p];
    for (int i = 0; i < CELLS; i++)
        check_tree(h->cells[i], parties[p].cells[i], 0);
    EXPECT(h->list.length == parties[p].listed, "");
    for (unsigned i = 0; i < parties[p].listed; i++)
        check_tree(h->list.at[i], parties[p].list[i], 0);
    check_tree(h->in.at, parties[p].in, 0);
    EXPECT(tu_chan_length(h->box) == parties[p].boxed, "");
    for (uint32_t k = 0; k < KEYS_OF_MAP; k++) {
        node_ref *value = tu_map_get(registry, h->map, k);
        check_tree(value ? *value : NULL, parties[p].map[k], 0);
    }
}

static __attribute__((noinline)) item make(int depth)
{
    node *n = tu_new(node);
    uint32_t id = ++last_id;
    EXPECT(id < NODES_MAX, "");
    EXPECT(n && n->id == 0 && !n->kids[0] && !n->kids[1] && !n->back, "it is not zero");
    n->id = id;
    n->check = ~id;
    for (int k = 0; k < 2 && depth > 0; k++) {
        if (random_below(3) == 0)
            continue;
        item kid = make(depth - 1);
        tu_set(&n->kids[k], kid.at);
        kids_of[id][k] = kid.id;
        tu_set(&kid.at->back, n);
    }
    if (random_below(4) == 0)
        tu_set(&n->back, n);
    return (item){n, id};
}

/* ---- what a party does: what it holds is on its stack only ---- */

static void pass_time(void)
{
    switch (random_below(4)) {
    case 0: tu_yield(); break;
    case 1: (void)tu_sleep(random_between_ns(0, TU_MS)); break;
    case 2: sim_compute(random_between_ns(0, 12 * TU_MS)); break;
    }
}

static item swap_with_cell(unsigned p, item held)
{
    unsigned i = random_below(CELLS);
    item was = {homes[p]->cells[i], parties[p].cells[i]};
    if (random_below(2)) { /* for a moment it is nowhere else */
        tu_set(&homes[p]->cells[i], NULL);
        sim_point("in a register", NULL);
    }
    tu_set(&homes[p]->cells[i], held.at);
    parties[p].cells[i] = held.id;
    return was;
}

/* A part of a tree for what is held. */
static item graft(unsigned p, item held)
{
    unsigned i = random_below(CELLS);
    item at = {homes[p]->cells[i], parties[p].cells[i]};
    unsigned k = random_below(2);
    for (int deeper = (int)random_below(DEPTH_MAX); at.at && at.at->kids[k] && deeper > 0;
         deeper--) {
        at = (item){at.at->kids[k], kids_of[at.id][k]};
        k = random_below(2);
    }
    if (!at.at)
        return held;
    item was = {at.at->kids[k], kids_of[at.id][k]};
    tu_set(&at.at->kids[k], held.at);
    kids_of[at.id][k] = held.id;
    if (held.at)
        tu_set(&held.at->back, at.at);
    if (was.at)
        tu_set(&was.at->back, NULL);
    return was;
}

static item over_channel(item held)
{
    item none = {NULL, 0};
    if (held.at)
        return tu_try_send(exchange, held) == 0 ? none : held;
    return tu_try_recv(exchange, &held) == 0 ? held : none;
}

/* From stack to stack: one of the two is parked, with the only pointer or with a place for it. */
static item meet(item held)
{
    item got = {NULL, 0};
    tu_select() {
        tu_on_send(meeting, held) {
        }
        tu_on_recv(meeting, v) {
            got = v;
        }
        tu_on_after(random_between_ns(1, TU_MS)) {
            got = held;
        }
    }
    return got;
}

/* Over the exchange, with a park if need be. */
static item wait_for_one(item held)
{
    if (held.at) {
        tu_select() {
            tu_on_send(exchange, held) {
                held = (item){NULL, 0};
            }
            tu_on_after(random_between_ns(1, TU_MS)) {
            }
        }
        return held;
    }
    tu_select() {
        tu_on_recv(exchange, v) {
            held = v;
        }
        tu_on_after(random_between_ns(1, TU_MS)) {
        }
    }
    return held;
}

static void new_box(unsigned p)
{
    tu_chan(item) box = tu_new_chan(item, 1 + random_below(BOX_MAX));
    EXPECT(box, "");
    tu_set(&homes[p]->box, box); /* what is in the one before goes with it */
    parties[p].boxed = 0;
}

static uint32_t unbox(struct party *m)
{
    uint32_t id = m->box[0];
    memmove(m->box, m->box + 1, --m->boxed * sizeof m->box[0]);
    return id;
}

static item box_or_unbox(unsigned p, item held)
{
    struct party *m = &parties[p];
    home *h = homes[p];
    if (random_below(8) == 0)
        new_box(p);
    if (held.at && tu_try_send(h->box, held) == 0) {
        m->box[m->boxed++] = held.id;
        return (item){NULL, 0};
    }
    if (held.at)
        return held;
    item was = h->in; /* nowhere else, in a moment */
    if (m->boxed == 0) {
        tu_close_chan(h->box);
        EXPECT(tu_channel_recv(tu_chan_untyped(h->box), &h->in) == -EPIPE && !h->in.at, "");
        m->in = 0;
        new_box(p);
        return was;
    }
    if (random_below(2)) {
        EXPECT(tu_try_recv(h->box, &held) == 0, "a box of %u is empty", m->boxed);
        EXPECT(held.id == unbox(m), "");
        return held;
    }
    EXPECT(tu_channel_recv(tu_chan_untyped(h->box), &h->in) == 0, "");
    m->in = unbox(m);
    return was;
}

static item push_or_pop(unsigned p, item held)
{
    struct party *m = &parties[p];
    home *h = homes[p];
    if (held.at && m->listed < sizeof m->list / sizeof m->list[0]) {
        EXPECT(tu_append(nodes, &h->list, held.at) == 0, "");
        m->list[m->listed++] = held.id;
        return (item){NULL, 0};
    }
    if (held.at || m->listed == 0)
        return held;
    held = (item){h->list.at[m->listed - 1], m->list[m->listed - 1]};
    tu_slice_set(nodes, h->list, m->listed - 1, NULL);
    tu_slice_assign(nodes, &h->list, tu_sub(nodes, h->list, 0, m->listed - 1));
    m->listed--;
    return held;
}

static item swap_with_map(unsigned p, item held)
{
    uint32_t key = random_below(KEYS_OF_MAP);
    registry *map = homes[p]->map;
    node_ref *value = tu_map_get(registry, map, key);
    item was = {value ? *value : NULL, parties[p].map[key]};
    if (held.at)
        EXPECT(tu_map_set(registry, map, key, held.at) == 0, "");
    else
        (void)tu_map_delete(registry, map, key);
    parties[p].map[key] = held.id;
    return was;
}

static void track(item held)
{
    if (!held.at || tracked_count == TRACKED_MAX)
        return;
    unsigned i = tracked_count++;
    tracked_id[i] = held.id;
    tu_weak *w = tu_weak_make(held.at);
    EXPECT(w, "");
    tu_set(&tracked[i], w);
}

static __attribute__((noinline)) void look_at_tracked(void)
{
    unsigned i = tracked_count ? random_below(tracked_count) : TRACKED_MAX;
    if (i == TRACKED_MAX || !tracked[i])
        return;
    node *n = tu_weak_get(tracked[i]);
    EXPECT(!n || !tracked_dead[i], "a weak pointer has revived");
    if (!n) {
        tracked_dead[i] = true;
        return;
    }
    EXPECT(n->id == tracked_id[i] && n->check == ~n->id, "");
    pass_time();
    EXPECT(n->id == tracked_id[i] && n->check == ~n->id, "it died while it was held");
}

static void clean(void *arg)
{
    cleaned[(uintptr_t)arg]++;
}

static void want_cleanup(item held)
{
    if (!held.at || cleanups_of[held.id])
        return;
    cleanups_of[held.id]++;
    EXPECT(tu_gc_cleanup(held.at, clean, (void *)(uintptr_t)held.id) == 0, "");
}

static void visit(node *n, uint32_t id)
{
    check_tree(n, id, 0);
    pass_time();
    check_tree(n, id, 0);
    (void)over_channel((item){n, id});
    tu_wait_group_done(&working);
}

/* Writes to the local variable of one that is parked. */
static void exchange_local(item *place, struct tu_wait_group *done)
{
    item was = *place, fresh = make(1);
    pass_time();
    tu_set(&place->at, fresh.at);
    place->id = fresh.id;
    tu_wait_group_done(done);
    pass_time();
    check_tree(was.at, was.id, 0);
    tu_wait_group_done(&working);
}

static __attribute__((noinline)) item let_exchange(item held)
{
    struct tu_wait_group done = {0};
    tu_wait_group_add(&done, 1);
    tu_wait_group_add(&working, 1);
    EXPECT(tu_go(exchange_local, &held, &done) == 0, "");
    EXPECT(tu_wait_group_wait(&done) == 0, "");
    return held;
}

/* It has a span of its own, and at first its maker alone knows it. */
static __attribute__((noinline)) void hold_large(void)
{
    enum { BYTES = 40000 };
    unsigned char *bytes = tu_new_bytes(BYTES);
    EXPECT(bytes && bytes[0] == 0 && bytes[BYTES - 1] == 0, "it is not zero");
    bytes[0] = bytes[BYTES - 1] = 7;
    if (random_below(2))
        tu_gc();
    else
        pass_time();
    EXPECT(tu_gc_owns(bytes) && bytes[0] == 7 && bytes[BYTES - 1] == 7,
           "a large object died in its maker's hands");
}

static item step_on(unsigned p, item held)
{
    switch (random_below(23)) {
    case 0: return make((int)random_below(4));
    case 1:
    case 2: return swap_with_cell(p, held);
    case 3:
    case 4: return graft(p, held);
    case 5:
    case 14: return over_channel(held);
    case 6: return push_or_pop(p, held);
    case 7: return swap_with_map(p, held);
    case 8: track(held); break;
    case 9: look_at_tracked(); break;
    case 10: want_cleanup(held); break;
    case 11:
        if (!held.at)
            break;
        tu_wait_group_add(&working, 1);
        EXPECT(tu_go(visit, held.at, held.id) == 0, "");
        return (item){NULL, 0};
    case 12: return let_exchange(held);
    case 13: tu_gc(); break;
    case 15:
    case 16:
    case 17: return box_or_unbox(p, held);
    case 18:
    case 19: return meet(held);
    case 20: return wait_for_one(held);
    case 21: hold_large(); break;
    default: pass_time();
    }
    return held;
}

static __attribute__((noinline)) void run_party(unsigned p, unsigned steps)
{
    item held = {NULL, 0};
    for (unsigned i = 0; i < steps; i++) {
        held = step_on(p, held);
        check_tree(held.at, held.id, 0);
        check_home(p);
    }
    homes[p] = NULL;
}

static void party(unsigned p, unsigned steps)
{
    run_party(p, steps);
    tu_wait_group_done(&working);
}

static void thread_party(void *arg)
{
    EXPECT(tu_gc_attach() == 0, "");
    party((unsigned)(uintptr_t)arg >> 8, (uintptr_t)arg & 255);
}

/* For ever, it could starve a thread of low priority. */
static void collect(void)
{
    bool always = random_below(2);
    for (unsigned i = 0; !all_done && i < 300; i++) {
        tu_gc();
        if (!always)
            pass_time();
        tu_yield();
    }
}

static __attribute__((noinline)) void set_up(unsigned count)
{
    tracked = tu_new_array(weak_ref, TRACKED_MAX);
    for (unsigned p = 0; p < count; p++) {
        homes[p] = tu_new(home);
        EXPECT(homes[p] && tracked, "");
        tu_set(&homes[p]->map, tu_make_map(registry, 0));
        new_box(p);
    }
}

static __attribute__((noinline)) void make_exchange(void)
{
    unsigned room = 1 + random_below(8);
    exchange_is_manual = random_below(2);
    exchange = exchange_is_manual ? tu_make_chan(item, room) : tu_new_chan(item, room);
    meeting = tu_new_chan(item, 0);
    EXPECT(exchange && meeting, "");
}

/* ---- the end: nothing is reachable, and what is gone is gone ---- */

static __attribute__((noinline)) void empty_exchange(void)
{
    item last;
    while (tu_try_recv(exchange, &last) == 0)
        check_tree(last.at, last.id, 0);
    tu__channel_verify(tu_chan_untyped(exchange));
    tu__channel_verify(tu_chan_untyped(meeting));
    if (exchange_is_manual)
        tu_free_chan(exchange);
    exchange = meeting = NULL;
}

/* What calls left on the stack below us would be read when we wait there. */
static __attribute__((noinline)) void forget_calls(void)
{
    volatile char frames[4096];
    for (size_t i = 0; i < sizeof frames; i++)
        frames[i] = 0;
}

/* A party that has said that it is done has not ended: its frames and registers are scanned, with what calls left there.
 * While we sleep, whoever is ready gets on, whatever the policy. */
static void wait_for_ends(void)
{
    while (tu_goroutines() > 1)
        (void)tu_sleep(TU_MS);
    for (int wait = 0; wait < 100; wait++)
        (void)tu_sleep(TU_MS);
}

static void all_are_gone(void)
{
    for (unsigned i = 0; i < tracked_count; i++)
        EXPECT(!tu_weak_get(tracked[i]), "number %u, tracked as %u, has not died", tracked_id[i],
               i);
    for (int wait = 0; wait < 100; wait++)
        (void)tu_sleep(TU_MS);
    for (uint32_t id = 1; id <= last_id; id++)
        EXPECT(cleaned[id] == cleanups_of[id], "number %u was cleaned up %u times", id,
               cleaned[id]);
}

static void run(bool threads, bool generations)
{
    unsigned count = 1 + random_below(PARTIES_MAX - 1);
    (void)tu_gc_set_generations(generations);
    tu__gc_torture(random_below(2) ? 1 + random_below(6) : 1 << 30);
    EXPECT(tu_gc_root_add(homes, sizeof homes) == 0 &&
               tu_gc_root_add(&tracked, sizeof tracked) == 0 &&
               tu_gc_root_add(&exchange, sizeof exchange) == 0 &&
               tu_gc_root_add(&meeting, sizeof meeting) == 0,
           "");
    make_exchange();
    set_up(count);
    tu_wait_group_add(&working, (int)count);
    for (unsigned p = 0; p < count; p++) {
        unsigned steps = 4 + random_below(40);
        if (threads && random_below(2))
            foreign_thread(thread_party, (void *)(uintptr_t)(p << 8 | steps));
        else
            EXPECT(tu_go(party, p, steps) == 0, "");
    }
    if (random_below(4))
        EXPECT(tu_go(collect) == 0, "");
    EXPECT(tu_wait_group_wait(&working) == 0, "");
    all_done = true;
    if (random_below(2))
        tu_gc();
    empty_exchange();
    tu__gc_torture(1 << 30);
    wait_for_ends();
    for (int cycle = 0; cycle < 2; cycle++) { /* the first may have begun before all was over */
        forget_calls();
        tu_gc();
    }
    tu__collected_verify();
    all_are_gone();
}

SCENARIO(gc, goroutines)
{
    run(false, false);
}

SCENARIO(gc, goroutines_and_generations)
{
    run(false, true);
}

SCENARIO(gc, threads_too)
{
    run(true, random_below(2));
}

static void make_large(unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        hold_large();
        if (random_below(2))
            tu_yield();
    }
    tu_wait_group_done(&working);
}

/* Cycles begin at any of the steps in which a large object is made. */
SCENARIO(gc, large_objects)
{
    int count = 1 + (int)random_below(4);
    tu__gc_torture(1 << 30);
    tu_wait_group_add(&working, count);
    for (int i = 0; i < count; i++)
        EXPECT(tu_go(make_large, 10 + random_below(40)) == 0, "");
    EXPECT(tu_go(collect) == 0, "");
    EXPECT(tu_wait_group_wait(&working) == 0, "");
    all_done = true;
    wait_for_ends();
    tu__collected_verify();
}

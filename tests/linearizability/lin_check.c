/* lin_check.c - the search.
 *
 * The calls and returns of all operations stand in a list in order of time. The search takes a call that the state allows,
 * lifts the operation's call and return out of the list, and begins again at the front; at a return it has met an operation
 * that must have come earlier, and goes back. What makes it fast is the memory: a set of operations done, with the
 * state it led to, need not be tried twice (Lowe, "Testing for linearizability", 2017).
 */
#include "linearizability/lin_check.h"

#include "base/check.h"

#include <stdlib.h>

enum { OPS_MAX = 4096, WORDS_MAX = OPS_MAX / 64 };

struct event {
    int64_t at_ns;
    uint16_t op;
    bool is_return;
    struct event *previous, *next, *match; /* match, of a call: its return */
};

struct frame {
    struct event *call;
    struct lin_state before;
};

/* The remembered configurations: operations done, state. Fixed size within one check. */
struct memory {
    unsigned char *entries;
    uint32_t *slots; /* number of the entry + 1, 0: empty */
    size_t entry_size, count, room, slot_count;
};

struct lin_checker {
    struct lin_scratch *scratch;
    struct lin_pool *pool;
    struct memory memory;
    struct event head, event[2 * OPS_MAX];
    struct frame stack[OPS_MAX];
    uint64_t done[WORDS_MAX];
    int16_t before[OPS_MAX]; /* the client's operation before this one, or -1 */
};

struct lin_checker *lin_checker_new(void)
{
    struct lin_checker *checker = calloc(1, sizeof *checker);
    tu_check(checker != NULL, "no memory for a checker");
    checker->scratch = lin_scratch_new();
    checker->pool = lin_pool_new();
    return checker;
}

void lin_checker_free(struct lin_checker *checker)
{
    lin_scratch_free(checker->scratch);
    lin_pool_free(checker->pool);
    free(checker->memory.entries);
    free(checker->memory.slots);
    free(checker);
}

/* ---- memory ---- */

static void memory_begin(struct memory *m, size_t words)
{
    size_t entry_size = words * 8 + sizeof(struct lin_state);
    if (m->slots == NULL) {
        m->slot_count = 1 << 12;
        m->slots = malloc(m->slot_count * sizeof *m->slots);
        tu_check(m->slots != NULL, "no memory for the search");
    }
    if (entry_size != m->entry_size) {
        m->room = m->room * m->entry_size / entry_size;
        m->entry_size = entry_size;
    }
    m->count = 0;
    memset(m->slots, 0, m->slot_count * sizeof *m->slots);
}

static uint64_t hash_of(const unsigned char *bytes, size_t size)
{
    uint64_t hash = size;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 32;
    }
    return hash;
}

static void memory_grow(struct memory *m)
{
    m->slot_count *= 2;
    free(m->slots);
    m->slots = calloc(m->slot_count, sizeof *m->slots);
    tu_check(m->slots != NULL, "no memory for the search");
    for (size_t i = 0; i < m->count; i++) {
        size_t at = hash_of(m->entries + i * m->entry_size, m->entry_size) % m->slot_count;
        while (m->slots[at] != 0)
            at = (at + 1) % m->slot_count;
        m->slots[at] = (uint32_t)i + 1;
    }
}

/* True if the configuration was not there before. */
static bool memory_add(struct memory *m, const uint64_t *done, const struct lin_state *state)
{
    if (m->count == m->room) {
        m->room = m->room != 0 ? 2 * m->room : 1024;
        m->entries = realloc(m->entries, m->room * m->entry_size);
        tu_check(m->entries != NULL, "no memory for the search");
    }
    unsigned char *entry = m->entries + m->count * m->entry_size;
    memcpy(entry, done, m->entry_size - sizeof *state);
    memcpy(entry + m->entry_size - sizeof *state, state, sizeof *state);
    size_t at = hash_of(entry, m->entry_size) % m->slot_count;
    for (; m->slots[at] != 0; at = (at + 1) % m->slot_count)
        if (memcmp(m->entries + (m->slots[at] - 1) * m->entry_size, entry, m->entry_size) == 0)
            return false;
    m->slots[at] = (uint32_t)++m->count;
    if (2 * m->count > m->slot_count)
        memory_grow(m);
    return true;
}

/* ---- the list of calls and returns ---- */

static int compare_events(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->at_ns != y->at_ns)
        return x->at_ns < y->at_ns ? -1 : 1;
    if (x->is_return != y->is_return) /* at one moment: they overlap */
        return x->is_return ? 1 : -1;
    return (int)x->op - (int)y->op;
}

static void list_events(struct lin_checker *c, const struct lin_op *const *ops, unsigned count)
{
    int16_t last[LIN_CLIENTS];
    struct event *call[OPS_MAX];
    memset(last, -1, sizeof last);
    for (unsigned i = 0; i < count; i++) {
        c->event[2 * i] = (struct event){.at_ns = ops[i]->call_ns, .op = (uint16_t)i};
        c->event[2 * i + 1] =
            (struct event){.at_ns = ops[i]->return_ns, .op = (uint16_t)i, .is_return = true};
        c->before[i] = last[ops[i]->client];
        last[ops[i]->client] = (int16_t)i;
    }
    qsort(c->event, 2 * (size_t)count, sizeof *c->event, compare_events);
    struct event *previous = &c->head;
    for (unsigned i = 0; i < 2 * count; i++) {
        struct event *e = &c->event[i];
        previous->next = e;
        e->previous = previous;
        previous = e;
        if (e->is_return)
            call[e->op]->match = e;
        else
            call[e->op] = e;
    }
    previous->next = NULL;
}

static void unlink_event(struct event *e)
{
    e->previous->next = e->next;
    if (e->next != NULL)
        e->next->previous = e->previous;
}

static void relink_event(struct event *e)
{
    e->previous->next = e;
    if (e->next != NULL)
        e->next->previous = e;
}

static void lift(struct lin_checker *c, struct event *call)
{
    c->done[call->op / 64] |= UINT64_C(1) << call->op % 64;
    unlink_event(call);
    unlink_event(call->match);
}

static void put_back(struct lin_checker *c, struct event *call)
{
    relink_event(call->match);
    relink_event(call);
    c->done[call->op / 64] &= ~(UINT64_C(1) << call->op % 64);
}

static bool is_done(const struct lin_checker *c, int op)
{
    return op < 0 || (c->done[op / 64] >> op % 64 & 1) != 0;
}

static void note_progress(const struct lin_checker *c, unsigned depth, struct lin_report *report)
{
    if (depth <= report->placed)
        return;
    report->placed = depth;
    for (unsigned i = 0; report->order != NULL && i < depth; i++)
        report->order[i] = c->stack[i].call->op;
}

enum lin_verdict lin_check(struct lin_checker *c, const struct lin_op *const *ops, unsigned count,
                           uint64_t most, struct lin_report *report)
{
    struct lin_state state, after;
    unsigned depth = 0;
    tu_check(count <= OPS_MAX, "a history is too long");
    memset(&state, 0, sizeof state);
    memset(c->done, 0, sizeof c->done);
    memory_begin(&c->memory, (count + 63) / 64);
    lin_pool_clear(c->pool);
    list_events(c, ops, count);
    for (struct event *at = c->head.next; c->head.next != NULL;) {
        if (at->is_return) { /* an operation that has ended and has no place */
            if (depth == 0)
                return LIN_WRONG;
            at = c->stack[--depth].call;
            state = c->stack[depth].before;
            put_back(c, at);
            at = at->next;
            continue;
        }
        bool may = is_done(c, c->before[at->op]);
        report->steps += may;
        if (!may || !lin_step(c->scratch, c->pool, &state, ops[at->op], &after)) {
            at = at->next;
            continue;
        }
        c->done[at->op / 64] |= UINT64_C(1) << at->op % 64;
        if (!memory_add(&c->memory, c->done, &after)) {
            c->done[at->op / 64] &= ~(UINT64_C(1) << at->op % 64);
            at = at->next;
            continue;
        }
        if (++report->configurations > most)
            return LIN_UNDECIDED;
        c->stack[depth++] = (struct frame){at, state};
        state = after;
        lift(c, at);
        note_progress(c, depth, report);
        at = c->head.next;
    }
    return LIN_RIGHT;
}

/* ---- by force ---- */

static bool may_be_next(const struct lin_op *const *ops, unsigned count, unsigned done, unsigned i)
{
    for (unsigned j = 0; j < count; j++) {
        if ((done >> j & 1) != 0 || j == i)
            continue;
        if (ops[j]->return_ns < ops[i]->call_ns || (j < i && ops[j]->client == ops[i]->client))
            return false;
    }
    return true;
}

static bool place_rest(struct lin_checker *c, const struct lin_op *const *ops, unsigned count,
                       unsigned done, const struct lin_state *state)
{
    struct lin_state after;
    if (done == (1u << count) - 1)
        return true;
    for (unsigned i = 0; i < count; i++)
        if ((done >> i & 1) == 0 && may_be_next(ops, count, done, i) &&
            lin_step(c->scratch, c->pool, state, ops[i], &after) &&
            place_rest(c, ops, count, done | 1u << i, &after))
            return true;
    return false;
}

enum lin_verdict lin_check_by_force(struct lin_checker *c, const struct lin_op *const *ops,
                                    unsigned count)
{
    struct lin_state state;
    memset(&state, 0, sizeof state);
    lin_pool_clear(c->pool);
    return place_rest(c, ops, count, 0, &state) ? LIN_RIGHT : LIN_WRONG;
}

/* ---- components ---- */

unsigned lin_components(const struct lin_op *const *ops, unsigned count, int *component)
{
    uint8_t joined[LIN_KEYS]; /* to which keys a key is bound, as a mask */
    int number[LIN_KEYS];
    unsigned components = 0;
    for (unsigned k = 0; k < LIN_KEYS; k++) {
        joined[k] = (uint8_t)(1u << k);
        number[k] = -1;
    }
    for (unsigned i = 0; i < count; i++) {
        uint8_t all = ops[i]->keys;
        for (unsigned k = 0; k < LIN_KEYS; k++)
            all |= (ops[i]->keys >> k & 1) != 0 ? joined[k] : 0;
        for (unsigned k = 0; k < LIN_KEYS; k++)
            if ((all >> k & 1) != 0)
                joined[k] = all;
    }
    for (unsigned i = 0; i < count; i++) {
        component[i] = -1;
        if (ops[i]->keys == 0)
            continue;
        int first = __builtin_ctz(joined[__builtin_ctz(ops[i]->keys)]);
        if (number[first] < 0)
            number[first] = (int)components++;
        component[i] = number[first];
    }
    return components;
}

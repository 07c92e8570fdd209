/* blocking_test.c - waiters beside a naive model that knows the order of arrival and the lengths of lists; then
 * goroutines that wait, push, move and give up at once: every element ends up in exactly one place. */
#include "store/blocking.h"

#include "base/number.h"
#include "base/random.h"
#include "runtime/mem/heap.h"
#include "store/keyspace.h"
#include "store/shard.h"
#include "store/types/list.h"
#include "store/types/string.h"
#include "support/testing.h"

#include <tuco/go.h>
#include <tuco/sync.h>

enum { KEYS = 6, WAITERS = 24, STEPS = 30000, NONE = -1 };

static struct keyspace *ks;
static struct store_key key[KEYS];
static char names[KEYS][8];

static void open_keyspace(uint32_t shards)
{
    ks = keyspace_new(&(struct keyspace_options){.shards = shards});
    for (int i = 0; i < KEYS; i++) {
        sprintf(names[i], "key:%d", i);
        key[i] = (struct store_key){slice_of(names[i]), keyspace_hash(ks, slice_of(names[i]))};
    }
}

/* A waiter that pops from the first of its keys that has something, or moves from its only key to another. */
struct popper {
    struct blocking_waiter waiter;
    int keys[3], count, to; /* to: NONE, or where it moves */
    int got_from;           /* the key, once served */
    int64_t got;
    _Atomic int woken;
    uint32_t arrival; /* the model's: 0: does not wait */
};

static void take_number(void *context, struct slice element)
{
    CHECK(number_parse_int64(element, context));
}

static bool try_pop(struct popper *p, struct transaction *tx)
{
    struct list_visitor shown = {.each = take_number, .context = &p->got};
    for (int i = 0; i < p->count; i++) {
        struct store_key from = key[p->keys[i]];
        CHECK(transaction_holds(tx, from.hash));
        enum store_result rc = p->to == NONE
                                   ? list_pop(tx, from, LIST_LEFT, 1, &shown)
                                   : list_move(tx, from, LIST_LEFT, key[p->to], LIST_RIGHT, &shown);
        if (rc == STORE_OK) {
            p->got_from = p->keys[i];
            return true;
        }
        CHECK_EQ(rc, STORE_MISSING);
    }
    return false;
}

static bool serve(struct blocking_waiter *w, struct transaction *tx)
{
    return try_pop((struct popper *)w, tx);
}

static void wake(struct blocking_waiter *w)
{
    atomic_fetch_add(&((struct popper *)w)->woken, 1);
}

static const struct blocking_ops ops = {serve, wake};

static void choose(struct popper *p, struct random_state *r, bool may_move)
{
    p->count = 1 + (int)random_below(r, 3);
    for (int i = 0; i < p->count; i++)
        p->keys[i] = (int)random_below(r, KEYS);
    p->to = NONE;
    if (may_move && random_below(r, 3) == 0) {
        p->count = 1;
        p->to = (int)random_below(r, KEYS);
    }
}

/* Locks its keys; it has popped, or waits. True: it waits. */
static bool pop_or_wait(struct popper *p)
{
    struct transaction tx;
    struct slice wanted[3];
    uint64_t hashes[4];
    for (int i = 0; i < p->count; i++) {
        wanted[i] = key[p->keys[i]].name;
        hashes[i] = key[p->keys[i]].hash;
    }
    size_t count = (size_t)p->count;
    if (p->to != NONE)
        hashes[count] = key[p->to].hash;
    transaction_init(&tx, ks, 0, 1);
    transaction_lock(&tx, hashes, count + (p->to != NONE));
    bool popped = try_pop(p, &tx);
    struct blocking_wish wish = {.type = TYPE_LIST,
                                 .pushes = p->to != NONE,
                                 .destination = p->to != NONE ? key[p->to].hash : 0,
                                 .names = wanted,
                                 .hashes = hashes,
                                 .count = count};
    if (!popped)
        CHECK_EQ(blocking_enrol(&tx, &p->waiter, &ops, &wish), STORE_OK);
    transaction_unlock(&tx);
    return !popped;
}

static size_t length(struct transaction *tx, int i)
{
    size_t size = 0;
    (void)!list_size(tx, key[i], &size);
    return size;
}

static void push_numbers(struct transaction *tx, int i, int64_t first, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        char text[24];
        size_t size;
        struct slice value = {text, (size_t)sprintf(text, "%lld", (long long)first + (long long)k)};
        CHECK_EQ(list_push(tx, key[i], LIST_RIGHT, &value, 1, false, &size), STORE_OK);
    }
}

/* ---- the model ---- */

static struct popper poppers[WAITERS];
static size_t lengths[KEYS];
static uint32_t arrivals;

static struct popper *first_waiter(int i)
{
    struct popper *first = NULL;
    for (struct popper *p = poppers; p < poppers + WAITERS; p++)
        for (int k = 0; p->arrival && k < p->count; k++)
            if (p->keys[k] == i && (!first || p->arrival < first->arrival))
                first = p;
    return first;
}

static void model_serve(int i, uint32_t *served)
{
    for (struct popper *p; lengths[i] > 0 && (p = first_waiter(i));) {
        int k = 0; /* it takes from the first of its keys that has something */
        while (lengths[p->keys[k]] == 0)
            k++;
        lengths[p->keys[k]]--;
        p->arrival = 0;
        *served |= 1u << (p - poppers);
    }
}

static void expect_served(uint32_t served)
{
    for (int i = 0; i < WAITERS; i++) {
        struct popper *p = &poppers[i];
        uint32_t state = blocking_state(&p->waiter);
        if (!(served >> i & 1)) {
            CHECK(state == (p->arrival ? BLOCKING_WAITING : BLOCKING_IDLE));
            continue;
        }
        CHECK_EQ(state, BLOCKING_SERVED);
        CHECK_EQ(atomic_load(&p->woken), 1);
        atomic_store(&p->woken, 0);
        CHECK(!blocking_withdraw(&p->waiter, 0));
        blocking_leave(&p->waiter, ks);
    }
}

static void verify_all(void)
{
    struct transaction tx;
    transaction_init(&tx, ks, 0, 1);
    transaction_lock_all(&tx);
    for (uint32_t n = 0; n < ks->shard_count; n++)
        blocking_verify(shard_at(ks, n));
    for (int i = 0; i < KEYS; i++)
        CHECK_EQ(length(&tx, i), lengths[i]);
    transaction_unlock(&tx);
    uint32_t waited = 0;
    for (int i = 0; i < KEYS; i++)
        waited += first_waiter(i) != NULL;
    CHECK_EQ(blocking_stats(ks).keys, waited);
}

static void step_wait(struct popper *p, struct random_state *r)
{
    if (p->arrival) {
        CHECK(blocking_withdraw(&p->waiter, 3));
        CHECK_EQ(blocking_state(&p->waiter), BLOCKING_WITHDRAWN + 3);
        blocking_leave(&p->waiter, ks);
        p->arrival = 0;
        return;
    }
    choose(p, r, false);
    if (pop_or_wait(p))
        p->arrival = ++arrivals;
    else
        lengths[p->got_from]--;
}

/* Pushes to some keys, and takes something away again, in one transaction: only the end counts. */
static void step_change(struct random_state *r)
{
    struct transaction tx;
    uint32_t served = 0;
    int order[KEYS], count = 0;
    transaction_init(&tx, ks, 0, 1);
    transaction_lock_all(&tx);
    for (int n = 1 + (int)random_below(r, 3); n > 0; n--) {
        int i = (int)random_below(r, KEYS);
        if (random_below(r, 4) == 0) {
            (void)keyspace_delete(&tx, key[i], false);
            lengths[i] = 0;
            continue;
        }
        size_t more = 1 + random_below(r, 4);
        push_numbers(&tx, i, 0, more);
        lengths[i] += more;
        bool known = false;
        for (int k = 0; k < count; k++)
            known |= order[k] == i;
        if (!known)
            order[count++] = i;
    }
    transaction_unlock(&tx);
    for (int k = 0; k < count; k++)
        model_serve(order[k], &served);
    expect_served(served);
}

static void run_model(uint32_t shards)
{
    struct random_state r;
    random_init(&r, 7 + shards);
    open_keyspace(shards);
    for (int step = 0; step < STEPS; step++) {
        if (random_below(&r, 3) > 0)
            step_wait(&poppers[random_below(&r, WAITERS)], &r);
        else
            step_change(&r);
        if (step % 8 == 0)
            verify_all();
    }
    for (int i = 0; i < WAITERS; i++)
        if (poppers[i].arrival)
            step_wait(&poppers[i], &r);
    verify_all();
    CHECK_EQ(blocking_stats(ks).keys, 0);
    keyspace_free(ks);
}

GO_TEST(blocking, as_a_model_with_256_shards)
{
    run_model(256);
}

GO_TEST(blocking, as_a_model_with_1_shard)
{
    run_model(1);
}

/* ---- single cases ---- */

static void push_one(int i)
{
    struct transaction tx;
    transaction_init(&tx, ks, 0, 1);
    transaction_lock(&tx, &key[i].hash, 1);
    push_numbers(&tx, i, 42, 1);
    transaction_unlock(&tx);
}

GO_TEST(blocking, a_move_goes_on_at_its_destination)
{
    struct popper chain[3] = {{.keys = {0}, .count = 1, .to = 1},
                              {.keys = {1}, .count = 1, .to = 2},
                              {.keys = {2}, .count = 1, .to = NONE}};
    open_keyspace(256);
    for (int i = 0; i < 3; i++)
        CHECK(pop_or_wait(&chain[i]));
    push_one(0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(blocking_state(&chain[i].waiter), BLOCKING_SERVED);
        CHECK_EQ(chain[i].got, 42);
        blocking_leave(&chain[i].waiter, ks);
    }
    CHECK_EQ(keyspace_size(ks, 0), 0);
    keyspace_free(ks);
}

GO_TEST(blocking, another_type_is_nothing)
{
    struct transaction tx;
    struct popper p = {.keys = {0, 1}, .count = 1, .to = NONE};
    open_keyspace(4);
    CHECK(pop_or_wait(&p));
    transaction_init(&tx, ks, 0, 1);
    transaction_lock(&tx, &key[0].hash, 1);
    CHECK_EQ(string_set(&tx, key[0], SLICE("text"), NULL), STORE_OK);
    transaction_unlock(&tx);
    CHECK_EQ(blocking_state(&p.waiter), BLOCKING_WAITING);
    transaction_lock(&tx, &key[0].hash, 1);
    CHECK(keyspace_delete(&tx, key[0], false));
    CHECK_EQ(blocking_stats(ks).keys, 1);
    CHECK(transaction_covers(&tx, key[0].hash));
    push_numbers(&tx, 0, 7, 1);
    CHECK(!transaction_covers(&tx, key[0].hash));
    transaction_unlock(&tx);
    CHECK_EQ(blocking_state(&p.waiter), BLOCKING_SERVED);
    blocking_leave(&p.waiter, ks);
    keyspace_free(ks);
}

/* The n-th allocation fails, for every n: then nobody waits anywhere. Needs a debug build. */
GO_TEST(blocking, no_memory)
{
    struct transaction tx;
    struct popper p = {.keys = {0, 1, 2}, .count = 3, .to = NONE};
    struct slice wanted[] = {slice_of("key:0"), slice_of("key:1"), slice_of("key:2")};
    if (!tu__mem_fail_after(0)) {
        printf("  skipped: not a debug build\n");
        return;
    }
    open_keyspace(16);
    uint64_t hashes[] = {key[0].hash, key[1].hash, key[2].hash};
    struct blocking_wish wish = {.type = TYPE_LIST, .names = wanted, .hashes = hashes, .count = 3};
    enum store_result result = STORE_NO_MEMORY;
    for (int64_t n = 1; result == STORE_NO_MEMORY && n < 100; n++) {
        transaction_init(&tx, ks, 0, 1);
        transaction_lock(&tx, hashes, 3);
        CHECK(tu__mem_fail_after(n));
        result = blocking_enrol(&tx, &p.waiter, &ops, &wish);
        CHECK(tu__mem_fail_after(0));
        transaction_unlock(&tx);
        if (result == STORE_NO_MEMORY) {
            CHECK_EQ(blocking_stats(ks).keys, 0);
            CHECK_EQ(blocking_state(&p.waiter), BLOCKING_IDLE);
        }
    }
    CHECK_EQ(result, STORE_OK);
    CHECK_EQ(blocking_stats(ks).keys, 3);
    CHECK(blocking_withdraw(&p.waiter, 0));
    blocking_leave(&p.waiter, ks);
    keyspace_free(ks);
}

/* ---- many at once ---- */

enum { WAITING_WORKERS = 12, PUSHING_WORKERS = 4, PUSHES = 4000 };

static _Atomic int64_t taken, sum_taken, producers_left;
static struct tu_wait_group done;

/* Pops until everything is over; moves keep their element in the keyspace. */
static void consume(int seed)
{
    struct random_state r;
    struct popper p = {.to = NONE};
    random_init(&r, (uint64_t)seed);
    for (;;) {
        bool last = atomic_load(&producers_left) == 0;
        memset(&p, 0, sizeof p);
        choose(&p, &r, !last);
        bool got = !pop_or_wait(&p);
        if (!got) {
            for (uint32_t turns = random_below(&r, 50) * 20;
                 turns > 0 && blocking_state(&p.waiter) <= BLOCKING_CLAIMED; turns--)
                tu_yield();
            got = !blocking_withdraw(&p.waiter, 0);
            blocking_leave(&p.waiter, ks);
            CHECK_EQ(atomic_load(&p.woken), got);
        }
        if (got && p.to == NONE) {
            atomic_fetch_add(&taken, 1);
            atomic_fetch_add(&sum_taken, p.got);
        } else if (last) {
            break;
        }
    }
    tu_wait_group_done(&done);
}

static void produce(int seed)
{
    struct random_state r;
    struct transaction tx;
    random_init(&r, (uint64_t)seed);
    transaction_init(&tx, ks, 0, 1);
    for (int n = 0; n < PUSHES; n++) {
        int a = (int)random_below(&r, KEYS), b = (int)random_below(&r, KEYS);
        uint64_t hashes[] = {key[a].hash, key[b].hash};
        transaction_lock(&tx, hashes, 2);
        push_numbers(&tx, a, n, 1);
        push_numbers(&tx, b, n, 1);
        transaction_unlock(&tx);
        if (n % 4 == 0)
            tu_yield();
    }
    atomic_fetch_sub(&producers_left, 1);
    tu_wait_group_done(&done);
}

static void run_many(uint32_t shards)
{
    struct transaction tx;
    int64_t left = 0;
    open_keyspace(shards);
    atomic_store(&producers_left, PUSHING_WORKERS);
    atomic_store(&taken, 0);
    atomic_store(&sum_taken, 0);
    tu_wait_group_add(&done, WAITING_WORKERS + PUSHING_WORKERS);
    for (int i = 0; i < WAITING_WORKERS; i++)
        CHECK_EQ(tu_go(consume, i), 0);
    for (int i = 0; i < PUSHING_WORKERS; i++)
        CHECK_EQ(tu_go(produce, 100 + i), 0);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    transaction_init(&tx, ks, 0, 1);
    transaction_lock_all(&tx);
    for (int i = 0; i < KEYS; i++) {
        int64_t number = 0;
        struct list_visitor shown = {.each = take_number, .context = &number};
        for (; list_pop(&tx, key[i], LIST_LEFT, 1, &shown) == STORE_OK; left++)
            atomic_fetch_add(&sum_taken, number);
    }
    transaction_unlock(&tx);
    CHECK_EQ(atomic_load(&taken) + left, 2 * PUSHING_WORKERS * PUSHES);
    CHECK_EQ(atomic_load(&sum_taken), (int64_t)PUSHING_WORKERS * PUSHES * (PUSHES - 1));
    CHECK_EQ(blocking_stats(ks).keys, 0);
    keyspace_free(ks);
}

GO_TIMEOUT_TEST(blocking, nothing_is_lost_with_256_shards, 120)
{
    run_many(256);
}

GO_TIMEOUT_TEST(blocking, nothing_is_lost_with_2_shards, 120)
{
    run_many(2);
}

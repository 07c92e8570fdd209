/* What is unreachable is collected, and what is reachable is not: by every kind of root. */
#include <tuco/chan.h>
#include <tuco/context.h>
#include <tuco/gc.h>
#include <tuco/go.h>
#include <tuco/sync.h>
#include <tuco/time.h>

#include "runtime/gc/collector.h"
#include "runtime/gc/gc_mark.h"
#include "support/testing.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct node node;
struct node {
    node *const left, *const right;
    uint64_t value, check;
};
TU_TYPE(node, left, right);
typedef node *const node_ref;
TU_POINTER_TYPE(node_ref);

#define NOINLINE __attribute__((noinline))

static node *make(uint64_t value)
{
    node *n = tu_new(node);
    REQUIRE(n && !n->left && !n->right && !n->value);
    n->value = value;
    n->check = ~value;
    return n;
}

static bool good(const node *n, uint64_t value)
{
    return n && n->value == value && n->check == ~value;
}

/* Of calls before: what they left below us must not look like a root. */
NOINLINE static void clean_stack(void)
{
    volatile char room[8192];
    for (size_t i = 0; i < sizeof room; i++)
        room[i] = 0;
}

static uint64_t freed(void)
{
    struct tu_gc_stats s;
    tu_gc_stats(&s);
    return s.freed_objects;
}

NOINLINE static void make_garbage(int count)
{
    for (int i = 0; i < count; i++) {
        node *a = make(1), *b = make(2);
        tu_set(&a->left, b);
        tu_set(&b->left, a); /* a cycle of objects */
    }
}

static void garbage_goes(void)
{
    enum { COUNT = 20000 };
    uint64_t before = freed();
    make_garbage(COUNT);
    clean_stack();
    tu_gc();
    CHECK(freed() - before > 2 * COUNT - 100);
    tu__collected_verify();
}

TEST(gc_collect, garbage_goes)
{
    garbage_goes();
}

GO_TEST(gc_collect, garbage_goes_of_a_goroutine)
{
    garbage_goes();
}

NOINLINE static node *make_list(uint64_t length)
{
    node *head = NULL;
    for (uint64_t i = 0; i < length; i++) {
        node *n = make(i);
        tu_set(&n->left, head);
        head = n;
    }
    return head;
}

static bool list_is_good(const node *n, uint64_t length)
{
    for (; length-- > 0; n = n->left)
        if (!good(n, length))
            return false;
    return !n;
}

TEST(gc_collect, a_deep_list_stays)
{
    tu__gc_torture(100000000);
    node *list = make_list(1000000);
    for (int i = 0; i < 3; i++) {
        make_garbage(1000);
        tu_gc();
    }
    CHECK(list_is_good(list, 1000000));
    tu__collected_verify();
}

NOINLINE static node *make_tree(int depth)
{
    node *n = make((uint64_t)depth);
    if (depth > 0) {
        tu_set(&n->left, make_tree(depth - 1));
        tu_set(&n->right, make_tree(depth - 1));
    }
    return n;
}

static uint64_t count_tree(const node *n, int depth)
{
    if (!good(n, (uint64_t)depth))
        return 0;
    return 1 + (depth ? count_tree(n->left, depth - 1) + count_tree(n->right, depth - 1) : 0);
}

TEST(gc_collect, without_memory_for_the_marker)
{
    tu__gc_torture(100000000);
    tu__mark_pool.buffers_most = 1; /* that is 16 */
    node *tree = make_tree(17);
    node_ref *row = tu_new_array(node_ref, 30000);
    for (int i = 0; i < 30000; i++)
        tu_set(&row[i], make_list(2));
    tu_gc();
    tu_gc();
    CHECK_EQ(count_tree(tree, 17), (1 << 18) - 1);
    for (int i = 0; i < 30000; i++)
        CHECK(list_is_good(row[i], 2));
}

NOINLINE static char *inside(void)
{
    node *row = tu_new_array(node, 5);
    row[4].value = 4711;
    return (char *)&row[2];
}

TEST(gc_collect, interior_pointers_keep)
{
    tu__gc_torture(100000000);
    char *middle = inside();
    clean_stack();
    tu_gc();
    make_garbage(2000);
    tu_gc();
    CHECK_EQ(((node *)(void *)middle)[2].value, 4711);
}

static node *in_static[3];
static node *hidden; /* no root */

NOINLINE static void fill_roots(void)
{
    for (int i = 0; i < 3; i++)
        in_static[i] = make_list(10);
    node *pinned = make_list(10);
    CHECK_EQ(tu_gc_pin(pinned), 0);
    hidden = (node *)~(uintptr_t)pinned;
}

TEST(gc_collect, roots_and_pins_keep)
{
    tu__gc_torture(100000000);
    CHECK_EQ(tu_gc_root_add(in_static, sizeof in_static), 0);
    fill_roots();
    clean_stack();
    for (int i = 0; i < 3; i++) {
        tu_gc();
        make_garbage(1000);
    }
    for (int i = 0; i < 3; i++)
        CHECK(list_is_good(in_static[i], 10));
    CHECK(list_is_good((node *)~(uintptr_t)hidden, 10));
    tu_gc();
    uint64_t before = freed();
    tu_gc_root_remove(in_static);
    tu_gc_unpin((node *)~(uintptr_t)hidden);
    clean_stack();
    tu_gc();
    CHECK(freed() - before >= 30);
}

static struct tu_wait_group ready, done;

static void hold(tu_channel *gate, uint64_t value)
{
    node *n = make_list(value % 7 + 1);
    int go;
    tu_wait_group_done(&ready);
    REQUIRE(tu_channel_recv(gate, &go) == -EPIPE);
    CHECK(list_is_good(n, value % 7 + 1));
    tu_wait_group_done(&done);
}

GO_TEST(gc_collect, parked_goroutines_keep)
{
    enum { COUNT = 2000 };
    tu__gc_torture(100000000);
    tu_channel *gate = tu_channel_make(sizeof(int), 0);
    tu_wait_group_add(&ready, COUNT);
    tu_wait_group_add(&done, COUNT);
    for (uint64_t i = 0; i < COUNT; i++)
        CHECK_EQ(tu_go(hold, gate, i), 0);
    CHECK_EQ(tu_wait_group_wait(&ready), 0);
    for (int i = 0; i < 3; i++) {
        tu_gc();
        make_garbage(1000);
    }
    tu_channel_close(gate);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
}

static void take(node *n, tu_channel *result)
{
    bool ok = list_is_good(n, 5);
    CHECK_EQ(tu_channel_send(result, &ok), 0);
}

NOINLINE static void fill_channel(tu_channel *c)
{
    for (int i = 0; i < 10; i++) {
        node *n = make_list(5);
        CHECK_EQ(tu_channel_send(c, &n), 0);
    }
}

static tu_channel *results;

static void take_timed(node *n)
{
    take(n, results);
}

NOINLINE static tu_timer *start_timer(void)
{
    return tu_timer_call(30 * TU_MS, take_timed, make_list(5));
}

NOINLINE static tu_context *with_value(void)
{
    return tu_with_value(NULL, &results, make_list(5));
}

GO_TEST(gc_collect, channels_timers_contexts_and_arguments_keep)
{
    bool ok = false;
    tu__gc_torture(100000000);
    tu_channel *c = tu_channel_make(sizeof(node *), 10);
    results = tu_channel_make(sizeof(bool), 0);
    fill_channel(c);
    tu_timer *timer = start_timer();
    tu_context *ctx = with_value();
    for (int i = 0; i < 20; i++)
        CHECK_EQ(tu_go(take, make_list(5), results), 0);
    clean_stack();
    for (int i = 0; i < 3; i++) {
        tu_gc();
        make_garbage(1000);
    }
    for (int i = 0; i < 21; i++)
        CHECK(tu_channel_recv(results, &ok) == 0 && ok);
    for (int i = 0; i < 10; i++) {
        node *n;
        CHECK(tu_channel_recv(c, &n) == 0 && list_is_good(n, 5));
    }
    CHECK(list_is_good(tu_context_value(ctx, &results), 5));
    tu_timer_free(timer);
    tu_context_release(ctx);
    tu_channel_free(c);
}

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) /* whose signals come at calls only */
static _Atomic int spinning;

/* The only pointer is in a register, general or vector, while others collect. */
NOINLINE static void hold_in_register(void *unused)
{
    uintptr_t n = (uintptr_t)make(99), m = (uintptr_t)make(98);
    __asm__ volatile("movq %1, %%xmm5\n\t"
                     "xorq %1, %1\n\t"
                     "lock; incl %2\n"
                     "1:\tpause\n\t"
                     "cmpl $1000, %2\n\t"
                     "jl 1b\n\t"
                     "movq %%xmm5, %1\n\t"
                     : "+r"(n), "+r"(m), "+m"(spinning)
                     :
                     : "xmm5", "cc");
    CHECK(good((node *)n, 99));
    CHECK(good((node *)m, 98));
    tu_wait_group_done(&done);
}

GO_TEST(gc_collect, registers_keep)
{
    tu__gc_torture(100000000);
    tu_wait_group_add(&done, 1);
    CHECK_EQ(tu_go(hold_in_register, NULL), 0);
    while (atomic_load(&spinning) == 0)
        tu_sleep(TU_MS);
    for (int i = 0; i < 5; i++) {
        tu_gc();
        make_garbage(1000);
    }
    atomic_store(&spinning, 1000);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
}
#endif

static void *plain_thread(void *arg)
{
    node *list = make_list(100);
    for (int i = 0; i < 50; i++) {
        node *more = make_list(20);
        if (i % 10 == 0)
            tu_gc();
        make_garbage(100);
        if (!list_is_good(list, 100) || !list_is_good(more, 20))
            return NULL;
    }
    return arg;
}

TEST(gc_collect, plain_threads)
{
    enum { COUNT = 4 };
    pthread_t threads[COUNT];
    tu__gc_torture(7);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++)
            REQUIRE(pthread_create(&threads[i], NULL, plain_thread, threads) == 0);
        for (int i = 0; i < COUNT; i++) {
            void *ok = NULL;
            pthread_join(threads[i], &ok);
            CHECK(ok);
        }
    }
    tu__collected_verify();
}

#if !defined(__SANITIZE_THREAD__) /* it calls handlers with every signal blocked */
static _Atomic int in_handler;

static void linger(int number)
{
    atomic_store(&in_handler, 1);
    while (atomic_load(&in_handler) == 1) {
    }
}

static void *handle_on_alternate_stack(void *arg)
{
    static char memory[1 << 16];
    stack_t alternate = {.ss_sp = memory, .ss_size = sizeof memory}, before;
    struct sigaction action = {.sa_handler = linger, .sa_flags = SA_ONSTACK};
    REQUIRE(sigaltstack(&alternate, &before) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
    node *n = make_list(30);
    REQUIRE(pthread_kill(pthread_self(), SIGUSR1) == 0);
    bool good_list = list_is_good(n, 30);
    REQUIRE(sigaltstack(&before, NULL) == 0); /* AddressSanitizer frees the thread's at its end */
    return good_list ? arg : NULL;
}

TEST(gc_collect, a_thread_in_a_handler_keeps)
{
    pthread_t thread;
    void *ok = NULL;
    tu__gc_torture(100000000);
    REQUIRE(pthread_create(&thread, NULL, handle_on_alternate_stack, &ready) == 0);
    while (atomic_load(&in_handler) == 0)
        CHECK_EQ(tu_sleep(TU_MS), 0);
    for (int i = 0; i < 3; i++) {
        tu_gc();
        make_garbage(2000);
    }
    atomic_store(&in_handler, 2);
    pthread_join(thread, &ok);
    CHECK(ok);
}
#endif

/* A fault that takes the kernel long, during which no signal comes: its handler waits, with all signals blocked. */
static char *faulting;
static _Atomic int fault_state; /* 1: in it; 2: it may end */

static void long_fault(int number)
{
    atomic_store(&fault_state, 1);
    for (int i = 0; i < 5000 && atomic_load(&fault_state) == 1; i++)
        usleep(1000);
    atomic_store(&fault_state, 2);
    (void)mprotect(faulting, 4096, PROT_READ | PROT_WRITE);
}

static void *touch_and_look(void *arg)
{
    node *n = make_list(30);
    tu__gc_touch(faulting, 4096);
    return list_is_good(n, 30) ? arg : NULL;
}

TEST(gc_collect, a_thread_that_touches_memory_is_not_waited_for)
{
    struct sigaction action = {.sa_handler = long_fault}, before;
    pthread_t thread;
    void *ok = NULL;
    sigfillset(&action.sa_mask);
    tu__gc_torture(100000000);
    faulting = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(faulting != MAP_FAILED && sigaction(SIGSEGV, &action, &before) == 0);
    REQUIRE(pthread_create(&thread, NULL, touch_and_look, &ready) == 0);
    while (atomic_load(&fault_state) == 0)
        usleep(1000);
    for (int i = 0; i < 3; i++) {
        tu_gc();
        make_garbage(2000);
    }
    CHECK_EQ(atomic_exchange(&fault_state, 2), 1);
    pthread_join(thread, &ok);
    CHECK(ok);
    REQUIRE(sigaction(SIGSEGV, &before, NULL) == 0);
    munmap(faulting, 4096);
}

static void in_pool(void *arg)
{
    node **result = arg;
    node *n = make_list(50);
    tu_gc();
    make_garbage(1000);
    tu_gc();
    tu_set(result, n);
}

GO_TEST(gc_collect, pool_threads)
{
    tu__gc_torture(5);
    for (int i = 0; i < 10; i++) {
        node *result = NULL;
        CHECK_EQ(tu_blocking_call(in_pool, &result), 0);
        CHECK(list_is_good(result, 50));
    }
}

/* ---- pace ---- */

static size_t churn(size_t bytes)
{
    struct tu_gc_stats s;
    size_t most = 0;
    for (size_t made = 0; made < bytes; made += 100 * sizeof(node)) {
        make_garbage(50);
        if (made % (1 << 20) < 100 * sizeof(node)) {
            tu_gc_stats(&s);
            most = s.heap_bytes > most ? s.heap_bytes : most;
        }
    }
    return most;
}

GO_TEST(gc_collect, the_heap_stays_near_its_goal)
{
    struct tu_gc_stats s;
    CHECK_EQ(tu_gc_set_percent(100), 100);
    CHECK(churn((size_t)300 << 20) < (size_t)64 << 20);
    tu_gc_stats(&s);
    CHECK(s.cycles >= 5 && s.pause_ns > 0 && s.longest_pause_ns <= s.pause_ns);
    CHECK(s.freed_bytes > (size_t)200 << 20);
}

GO_TEST(gc_collect, off_and_a_limit)
{
    struct tu_gc_stats s;
    CHECK_EQ(tu_gc_set_percent(-5), 100);
    (void)churn((size_t)50 << 20);
    tu_gc_stats(&s);
    CHECK_EQ(s.cycles, 0);
    CHECK_EQ(tu_gc_set_limit((size_t)60 << 20), 0);
    CHECK(churn((size_t)300 << 20) < (size_t)200 << 20);
    tu_gc_stats(&s);
    CHECK(s.cycles > 0);
    CHECK_EQ(tu_gc_set_percent(50), -1);
}

GO_TEST(gc_collect, minor_cycles_leave_the_old_alone)
{
    struct tu_gc_stats s;
    CHECK(!tu_gc_set_generations(true));
    node *old = make_tree(17);
    tu_gc();
    for (int i = 0; i < 100; i++) {
        (void)churn((size_t)2 << 20);
        /* young ones that only an old one knows */
        node *n = old;
        for (int k = 0; k < 16; k++)
            n = (i >> k % 7 & 1) ? n->left : n->right;
        tu_set(&n->left->left, make_list(20));
    }
    tu_gc_stats(&s);
    CHECK(s.minor_cycles > 2);
    for (int i = 0; i < 100; i++) {
        const node *n = old;
        for (int k = 0; k < 16; k++)
            n = (i >> k % 7 & 1) ? n->left : n->right;
        CHECK(list_is_good(n->left->left, 20));
    }
    tu_set(&old->left, NULL);
    uint64_t before = freed();
    clean_stack();
    tu_gc();
    CHECK(freed() - before > 100000); /* a whole cycle takes the old ones as well */
}

/* ---- weak pointers and cleanups ---- */

static _Atomic int cleaned;
static _Atomic uint64_t cleaned_sum;

static void clean(void *arg)
{
    const node *n = arg;
    atomic_fetch_add(&cleaned_sum, n->value);
    atomic_fetch_add(&cleaned, 1);
}

NOINLINE static void make_weak(node_ref *kept, tu_weak *const *weak, int count)
{
    for (int i = 0; i < count; i++) {
        node *n = make((uint64_t)i);
        tu_set((tu_weak *const *)&weak[i], tu_weak_make(n));
        CHECK_EQ(tu_gc_cleanup(n, clean, make(1)), 0);
        CHECK(tu_weak_get(weak[i]) == n);
        if (i % 2)
            tu_set(&kept[i], n);
    }
}

NOINLINE static int count_alive(tu_weak *const *weak, node_ref *kept, int count)
{
    int alive = 0;
    for (int i = 0; i < count; i++) {
        node *n = tu_weak_get(weak[i]);
        alive += n != NULL;
        CHECK(!kept[i] || n == kept[i]);
        CHECK(!n || good(n, (uint64_t)i));
    }
    return alive;
}

static void weak_pointers_and_cleanups(void)
{
    enum { COUNT = 1000 };
    tu__gc_torture(100000000);
    node_ref *kept = tu_new_array(node_ref, COUNT);
    node_ref *weak = tu_new_array(node_ref, COUNT); /* pointers like any other */
    make_weak(kept, (tu_weak *const *)(void *)(uintptr_t)weak, COUNT);
    clean_stack();
    tu_gc();
    int alive = count_alive((tu_weak *const *)(void *)(uintptr_t)weak, kept, COUNT);
    CHECK(alive >= COUNT / 2 && alive < COUNT / 2 + 10);
    tu_gc();
    for (int i = 0; i < 500 && atomic_load(&cleaned) < COUNT / 2 - 10; i++)
        CHECK_EQ(tu_sleep(10 * TU_MS), 0);
    CHECK(atomic_load(&cleaned) >= COUNT / 2 - 10 && atomic_load(&cleaned) <= COUNT / 2);
    CHECK_EQ(atomic_load(&cleaned_sum), atomic_load(&cleaned));
    tu__gc_clear(TU_TYPE_OF(node_ref), (void *)(uintptr_t)kept, COUNT);
    clean_stack();
    tu_gc();
    tu_gc();
    for (int i = 0; i < 500 && atomic_load(&cleaned) < COUNT - 10; i++)
        CHECK_EQ(tu_sleep(10 * TU_MS), 0);
    tu_gc();
    CHECK(atomic_load(&cleaned) >= COUNT - 10 && atomic_load(&cleaned) <= COUNT);
    CHECK(count_alive((tu_weak *const *)(void *)(uintptr_t)weak, kept, COUNT) < 10);
}

TEST(gc_collect, weak_pointers_and_cleanups)
{
    weak_pointers_and_cleanups();
}

GO_TEST(gc_collect, weak_pointers_and_cleanups_of_a_goroutine)
{
    weak_pointers_and_cleanups();
}

/* Each has a table of lists of known lengths, exchanges parts with others, and looks whether all is as it was. */
static void mutate(tu_channel *c, uint64_t seed, int rounds)
{
    enum { LISTS = 16 };
    node_ref *lists = tu_new_array(node_ref, LISTS);
    for (int i = 0; i < rounds; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        size_t at = seed >> 60, length = (seed >> 50) % 20 + 1;
        node *n = lists[at];
        if (n)
            CHECK(list_is_good(n, n->value + 1));
        tu_set(&lists[at], make_list(length));
        node *out = lists[(seed >> 40) % LISTS], *in = NULL;
        if (out && tu_channel_try_send(c, &out) == -EAGAIN && tu_channel_try_recv(c, &in) == 0) {
            CHECK(list_is_good(in, in->value + 1));
            tu_set(&lists[at], in);
        }
        if (i % 16 == 0)
            tu_yield();
    }
    for (int i = 0; i < LISTS; i++)
        if (lists[i])
            CHECK(list_is_good(lists[i], lists[i]->value + 1));
    tu_wait_group_done(&done);
}

static void torture(uint32_t every, int goroutines, int rounds)
{
    tu__gc_torture(every);
    tu_channel *c = tu_channel_make(sizeof(node *), 8);
    tu_wait_group_add(&done, goroutines);
    for (uint64_t i = 0; i < (uint64_t)goroutines; i++)
        CHECK_EQ(tu_go(mutate, c, i * 77 + 1, rounds), 0);
    CHECK_EQ(tu_wait_group_wait(&done), 0);
    tu__collected_verify();
}

GO_TIMEOUT_TEST(gc_collect, torture_few, 60)
{
    torture(1, 4, 4000);
}

GO_TIMEOUT_TEST(gc_collect, torture_many, 60)
{
    torture(2, 300, 200);
}

/* schedule_behaviour_test.c - what Go's proc_test demands of a scheduler, and who must not starve whom
 * (docs/go-behaviours.md). Most run on a fixed number of Ps. Starvation is measured in turns of those that run
 * meanwhile, not in time, so that a busy machine changes nothing; where it must be time, the best of a few counts. */
#include "runtime/sched/schedule.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tuco.h>
#include <unistd.h>

#include "support/testing.h"

#if defined(TU__ASAN) || defined(TU__TSAN)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* Turns of 50 ns and more within which somebody else must have run; it takes a thousand. */
enum { MANY_TURNS = 200000 };

static void on_procs(unsigned n, void (*fn)(void *unused))
{
    struct tu_options options = {.maxprocs = n};
    CHECK_EQ(tu_main(&options, fn, NULL), 0);
}

static atomic_int count;

static void bump(void)
{
    atomic_fetch_add(&count, 1);
}

static void until(int target)
{
    while (atomic_load(&count) < target)
        CHECK_EQ(tu_sleep(TU_MS), 0);
    CHECK_EQ(atomic_load(&count), target);
}

/* ---- who computes keeps nobody from running ---- */

static atomic_int turn;

static void take_turns(int me, int players, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        while (atomic_load(&turn) != i * players + me) {
        }
        atomic_fetch_add(&turn, 1);
    }
    bump();
}

static void parallel(void *unused)
{
    const int players = (int)tu_maxprocs();
    CHECK_EQ(tu_sleep(20 * TU_MS), 0); /* by then every P is asleep */
    for (int i = 0; i < players; i++)
        CHECK_EQ(tu_go(take_turns, i, players, 10), 0);
    until(players);
}

/* As many goroutines as Ps, who wait for each other without ever calling the runtime, all run, also when all Ps were
 * asleep in their pollers before; Go: TestGoroutineParallelism, TestGoroutineParallelism2. */
TIMEOUT_TEST(schedule, as_many_run_as_there_are_ps, 60)
{
    on_procs(4, parallel);
}

static void more_than_procs(void *unused)
{
    for (int i = 0; i < 3; i++)
        CHECK_EQ(tu_go(take_turns, i, 3, 10), 0);
    until(3);
}

/* Three who wait for each other in loops, on a single P: who computes loses it, so all get on; Go: TestPreemption,
 * TestAsyncPreempt. */
TIMEOUT_TEST(schedule, loops_on_one_p_get_on, 60)
{
    on_procs(1, more_than_procs);
}

static void hog_after_a_call(atomic_bool *stop)
{
    struct timespec t = {0, 20000000};
    nanosleep(&t, NULL); /* loses its P here, or keeps it */
    tu_yield();
    while (!atomic_load_explicit(stop, memory_order_relaxed)) {
    }
    bump();
}

static void hogs_after_calls(void *unused)
{
    static atomic_bool stop;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(tu_go(hog_after_a_call, &stop), 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(tu_sleep(5 * TU_MS), 0);
    atomic_store(&stop, true);
    until(3);
}

/* A goroutine that comes out of a system call and then computes is found out as well; Go:
 * TestPreemptionAfterSyscall. */
TEST(schedule, hogs_after_a_system_call)
{
    on_procs(1, hogs_after_calls);
}

static void echo(tu_channel *in, tu_channel *out)
{
    int v;
    while (tu_channel_recv(in, &v) == 0 && tu_channel_send(out, &v) == 0)
        ;
}

static int64_t time_of_ping_pong(int rounds)
{
    tu_channel *a = tu_channel_make(sizeof(int), 0), *b = tu_channel_make(sizeof(int), 0);
    CHECK_EQ(tu_go(echo, a, b), 0);
    int64_t began = tu_now();
    for (int i = 0; i < rounds; i++) {
        int v = -1;
        CHECK_EQ(tu_channel_send(a, &i), 0);
        CHECK_EQ(tu_channel_recv(b, &v), 0);
        CHECK_EQ(v, i);
    }
    int64_t took = tu_now() - began;
    tu_channel_close(a);
    return took;
}

static void spin_until(atomic_bool *stop)
{
    while (!atomic_load_explicit(stop, memory_order_relaxed)) {
    }
    bump();
}

static void beside_a_hog(void *unused)
{
    static atomic_bool stop;
    enum { ROUNDS = 200000 };
    int64_t alone = time_of_ping_pong(ROUNDS), beside = INT64_MAX;
    CHECK_EQ(tu_go(spin_until, &stop), 0);
    for (int i = 0; i < 5 && beside > 20 * alone; i++)
        beside = time_of_ping_pong(ROUNDS);
    atomic_store(&stop, true);
    printf("  alone %.1f ms, beside a hog %.1f ms\n", (double)alone / 1e6, (double)beside / 1e6);
    CHECK(beside <= 20 * alone);
    until(1);
}

/* A pair that hands a value back and forth is not more than twenty times slower beside one that computes, on one
 * P; Go: TestPingPongHog. */
TIMEOUT_TEST(schedule, ping_pong_beside_a_hog, 60)
{
    on_procs(1, beside_a_hog);
}

/* ---- who has always something to run keeps nobody from running ---- */

static atomic_bool quit;
static atomic_ulong turns;

static void busy_pair(tu_channel *in, tu_channel *out)
{
    int v;
    while (tu_channel_recv(in, &v) == 0 && !atomic_load_explicit(&quit, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&turns, 1, memory_order_relaxed);
        CHECK_EQ(tu_channel_send(out, &v), 0);
    }
    tu_channel_close(out);
    bump();
}

/* Two that wake each other through runnext for ever. They end through `quit`. */
static void start_busy_pair(void)
{
    tu_channel *a = tu_channel_make(sizeof(int), 1), *b = tu_channel_make(sizeof(int), 1);
    CHECK_EQ(tu_go(busy_pair, a, b), 0);
    CHECK_EQ(tu_go(busy_pair, b, a), 0);
    CHECK_EQ(tu_channel_send(a, &(int){1}), 0);
}

static unsigned long turns_now(void)
{
    return atomic_load_explicit(&turns, memory_order_relaxed);
}

static atomic_ulong latest; /* most turns that somebody waited */

static void note_turns(unsigned long since)
{
    unsigned long waited = turns_now() - since;
    if (waited > atomic_load(&latest))
        atomic_store(&latest, waited);
    bump();
}

static void *start_from_a_thread(void *unused)
{
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(tu_go(note_turns, turns_now()), 0);
        while (atomic_load(&count) <= i)
            usleep(100);
    }
    return unused;
}

static void global_queue(void *unused)
{
    pthread_t t;
    start_busy_pair();
    REQUIRE(pthread_create(&t, NULL, start_from_a_thread, unused) == 0);
    while (atomic_load(&count) < 50)
        CHECK_EQ(tu_sleep(TU_MS), 0);
    pthread_join(t, NULL);
    atomic_store(&quit, true);
    until(52);
    printf("  waited for %lu turns at most\n", atomic_load(&latest));
    CHECK(atomic_load(&latest) < MANY_TURNS);
}

/* What plain threads start gets its turn beside two goroutines that wake each other without end, on one P; Go:
 * the global queue every 61st tick. */
TIMEOUT_TEST(schedule, global_queue_is_not_starved, 60)
{
    on_procs(1, global_queue);
}

static void restart(void)
{
    atomic_fetch_add_explicit(&turns, 1, memory_order_relaxed);
    if (atomic_load_explicit(&quit, memory_order_relaxed)) {
        bump();
        return;
    }
    CHECK_EQ(tu_go(restart), 0);
}

static void ring_beside_fresh(void *unused)
{
    unsigned long worst = 0;
    CHECK_EQ(tu_go(restart), 0);
    for (int i = 0; i < 50; i++) {
        unsigned long before = turns_now();
        tu_yield(); /* to the end of the ring */
        unsigned long waited = turns_now() - before;
        worst = waited > worst ? waited : worst;
    }
    atomic_store(&quit, true);
    while (tu_goroutines() > 1)
        tu_yield();
    printf("  waited for %lu starts at most\n", worst);
    CHECK(worst > 0 && worst < MANY_TURNS);
}

/* New goroutines run newest first; one that starts another for ever must not keep the ring from its turn
 * (docs/decisions/0008); Go: runnext inherits the time slice. */
TIMEOUT_TEST(schedule, fresh_ones_do_not_starve_the_ring, 60)
{
    on_procs(1, ring_beside_fresh);
}

enum { CROWD = 50 };
static atomic_uint turns_of[CROWD];

static void yield_and_count(int me)
{
    while (!atomic_load_explicit(&quit, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&turns_of[me], 1, memory_order_relaxed);
        tu_yield();
    }
    bump();
}

static void ring_beside_a_pair(void *unused)
{
    unsigned least = 0, most = 0;
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ(tu_go(yield_and_count, i), 0);
    start_busy_pair();
    unsigned long began = turns_now();
    while (least < 4) {
        tu_yield(); /* a sleep would tear the pair apart each time it ends */
        least = UINT32_MAX, most = 0;
        for (int i = 0; i < CROWD; i++) {
            unsigned n = atomic_load(&turns_of[i]);
            least = n < least ? n : least;
            most = n > most ? n : most;
        }
    }
    unsigned long took = turns_now() - began;
    atomic_store(&quit, true);
    until(CROWD + 2);
    printf("  %u to %u turns each, beside %lu of the pair\n", least, most, took);
    CHECK(took < (unsigned long)CROWD * 4 * MANY_TURNS);
    CHECK(most - least <= 4 * least);
}

/* Fifty that yield all get their turns, about the same number each, beside two that wake each other without end, on
 * one P. (Those that were still among the fresh ones never began.) Go: runnext inherits the time slice. */
TIMEOUT_TEST(schedule, a_pair_does_not_starve_the_ring, 60)
{
    on_procs(1, ring_beside_a_pair);
}

static void yield_until_quit(void)
{
    while (!atomic_load_explicit(&quit, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&turns, 1, memory_order_relaxed);
        tu_yield();
    }
    bump();
}

static void timers_beside_yields(void *unused)
{
    int64_t best = INT64_MAX;
    for (int i = 0; i < 4; i++)
        CHECK_EQ(tu_go(yield_until_quit), 0);
    start_busy_pair();
    for (int i = 0; i < 20; i++) {
        int64_t began = tu_now();
        CHECK_EQ(tu_sleep(TU_MS), 0);
        int64_t late = tu_now() - began - TU_MS;
        best = late < best ? late : best;
    }
    atomic_store(&quit, true);
    until(6);
    printf("  late by %.2f ms at best\n", (double)best / 1e6);
    CHECK(best < 10 * TU_MS);
}

/* Sleepers wake up beside goroutines that only yield, or only wake each other, on one P; Go: TestTimerFairness,
 * TestTimerFairness2. */
TIMEOUT_TEST(schedule, yields_do_not_starve_timers, 60)
{
    on_procs(1, timers_beside_yields);
}

static void read_bytes(tu_listener *l)
{
    tu_conn *c = NULL;
    unsigned long since;
    CHECK_EQ(tu_accept(l, &c), 0);
    while (c && tu_read(c, &since, sizeof since) == sizeof since)
        note_turns(since);
    tu_close(c);
}

static void *write_bytes(void *path)
{
    struct sockaddr_storage *address = path;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(connect(fd, (struct sockaddr *)address, sizeof(struct sockaddr_in)) == 0);
    for (int i = 0; i < 50; i++) {
        unsigned long since = turns_now();
        CHECK_EQ(write(fd, &since, sizeof since), sizeof since);
        while (atomic_load(&count) <= i)
            usleep(100);
    }
    close(fd);
    return NULL;
}

static void poller_beside_yields(void *unused)
{
    tu_listener *l = NULL;
    pthread_t t;
    static struct sockaddr_storage address;
    socklen_t size = sizeof address;
    REQUIRE(tu_listen(&l, "127.0.0.1:0", unused) == 0);
    REQUIRE(getsockname(tu_listener_fd(l), (struct sockaddr *)&address, &size) == 0);
    CHECK_EQ(tu_go(read_bytes, l), 0);
    CHECK_EQ(tu_go(yield_until_quit), 0);
    REQUIRE(pthread_create(&t, NULL, write_bytes, &address) == 0);
    while (atomic_load(&count) < 50)
        tu_yield();
    atomic_store(&quit, true);
    pthread_join(t, NULL);
    until(51);
    printf("  waited for %lu turns at most\n", atomic_load(&latest));
    CHECK(atomic_load(&latest) < MANY_TURNS);
}

/* A reader gets its bytes beside goroutines that yield without end, on one P; Go: netpoll in findRunnable and sysmon. */
TIMEOUT_TEST(schedule, yields_do_not_starve_the_poller, 60)
{
    on_procs(1, poller_beside_yields);
}

static void send_one(tu_channel *c)
{
    CHECK_EQ(tu_channel_send(c, &(int){1}), 0);
}

static void *start_a_sender(void *c)
{
    usleep(50000);
    CHECK_EQ(tu_go(send_one, (tu_channel *)c), 0);
    return NULL;
}

static void break_the_poll(void *unused)
{
    pthread_t t;
    tu_channel *c = tu_channel_make(sizeof(int), 0);
    int v;
    REQUIRE(pthread_create(&t, NULL, start_a_sender, c) == 0);
    struct tu_select_case cases[] = {
        {.kind = TU_SELECT_RECV, .channel = c, .element = &v},
        {.kind = TU_SELECT_AFTER, .after_ns = 20 * TU_S},
    };
    CHECK_EQ(tu_selectv(cases, 2), 0);
    pthread_join(t, NULL);
}

/* A P that sleeps until a far deadline is woken for what a thread starts; Go: TestNetpollBreak. */
TEST(schedule, sleep_in_the_poller_is_broken)
{
    on_procs(1, break_the_poll);
}

/* ---- pinned goroutines ---- */

static void receive(tu_channel *c, int n)
{
    int v;
    for (int i = 0; i < n; i++) {
        CHECK_EQ(tu_channel_recv(c, &v), 0);
        CHECK_EQ(v, i);
    }
    bump();
}

static void blocks_while_pinned(void *unused)
{
    tu_channel *c = tu_channel_make(sizeof(int), 0);
    CHECK_EQ(tu_go(receive, c, 100), 0);
    tu_pin();
    for (int i = 0; i < 100; i++)
        CHECK_EQ(tu_channel_send(c, &i), 0);
    tu_unpin();
    until(1);
}

/* A pinned goroutine that waits gives its P away, so that the other side can run; Go: TestBlockLocked. */
TEST(schedule, pinned_one_blocks)
{
    on_procs(1, blocks_while_pinned);
}

static void yield_pinned(int n)
{
    pid_t here = gettid();
    tu_pin();
    here = gettid();
    for (int i = 0; i < n; i++) {
        tu_yield();
        CHECK_EQ(gettid(), here);
    }
    bump();
}

static void yields_while_pinned(void *unused)
{
    for (int i = 0; i < 3; i++)
        CHECK_EQ(tu_go(yield_pinned, 300), 0);
    for (int i = 0; atomic_load(&count) < 3; i++)
        tu_yield();
}

/* Pinned goroutines that yield to each other, all on one P, come to an end; Go: TestYieldLocked. */
TEST(schedule, pinned_ones_yield)
{
    on_procs(1, yields_while_pinned);
}

static void pinned_worker(int me, struct tu_mutex *m, long *sum)
{
    pid_t here;
    tu_pin();
    here = gettid();
    for (int i = 0; i < 20; i++) {
        tu_mutex_lock(m);
        ++*sum;
        tu_mutex_unlock(m);
        if (me % 4 == 0) {
            struct timespec t = {0, 200000};
            tu_blocking_begin();
            nanosleep(&t, NULL);
            tu_blocking_end();
        } else if (me % 4 == 1) {
            CHECK_EQ(tu_sleep(200 * TU_US), 0);
        } else {
            tu_yield();
        }
        CHECK_EQ(gettid(), here);
    }
    if (me % 2)
        tu_unpin();
    bump();
}

static void crowd_of_pinned(void *unused)
{
    static struct tu_mutex m;
    static long sum;
    enum { N = 100 };
    for (int i = 0; i < N; i++)
        CHECK_EQ(tu_go(pinned_worker, i, &m, &sum), 0);
    until(N);
    CHECK_EQ(sum, 20L * N);
}

/* Fifty pinned goroutines a P: they lock, sleep, yield and block, and all come to an end on their own threads; Go:
 * TestLockOSThread*, and more of them than Ps. */
TIMEOUT_TEST(schedule, many_pinned_on_few_ps, 60)
{
    on_procs(2, crowd_of_pinned);
}

/* ---- numbers ---- */

static void wait_for_close(tu_channel *c)
{
    int v;
    CHECK_EQ(tu_channel_recv(c, &v), -EPIPE);
    bump();
}

/* The number of goroutines is right while they wait and when they have ended; Go: TestNumGoroutine. */
GO_TEST(schedule, counts_goroutines)
{
    tu_channel *c = tu_channel_make(sizeof(int), 0);
    CHECK_EQ(tu_goroutines(), 1);
    for (int i = 0; i < 500; i++)
        CHECK_EQ(tu_go(wait_for_close, c), 0);
    CHECK_EQ(tu_goroutines(), 501);
    tu_channel_close(c);
    until(500);
    while (tu_goroutines() > 1)
        tu_yield();
    CHECK_EQ(tu_goroutines(), 1);
}

static void big(void *unused)
{
    CHECK_EQ(tu_maxprocs(), TU__PROCS_MAX);
    for (int i = 0; i < 2000; i++)
        CHECK_EQ(tu_go(bump), 0);
    until(2000);
}

/* More Ps than there may be are as many as there may be; Go: TestBigGOMAXPROCS. */
TIMEOUT_TEST(schedule, more_ps_than_allowed, 60)
{
    on_procs(1000, big);
}

static long resident_kib(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    REQUIRE(f && fscanf(f, "%ld %ld", &pages, &resident) == 2);
    (void)fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static int use_stack(int depth)
{
    volatile char frame[1024];
    memset((char *)frame, depth, sizeof frame);
    return depth == 0 ? frame[100] : use_stack(depth - 1) + frame[depth % 1024];
}

static void go_deep(tu_channel *c)
{
    int v;
    (void)use_stack(30);
    CHECK_EQ(tu_channel_recv(c, &v), -EPIPE);
    bump();
}

static void rounds_of_stacks(void *unused)
{
    enum { N = 500, ROUNDS = 20 };
    long second = 0;
    for (int round = 0; round < ROUNDS; round++) {
        tu_channel *c = tu_channel_make(sizeof(int), 0);
        for (int i = 0; i < N; i++)
            CHECK_EQ(tu_go(go_deep, c), 0);
        while (tu_goroutines() < N + 1)
            tu_yield();
        CHECK_EQ(tu_sleep(TU_MS), 0);
        tu_channel_close(c);
        until((round + 1) * N);
        while (tu_goroutines() > 1)
            CHECK_EQ(tu_sleep(TU_MS), 0);
        tu_channel_free(c);
        if (round == 1)
            second = resident_kib();
    }
    long last = resident_kib();
    printf("  resident: %ld KiB after two rounds, %ld KiB after %d\n", second, last, ROUNDS);
    CHECK(SANITIZED || last - second < 4096);
}

/* Rounds of 500 goroutines that use 30 KiB of stack each take the same memory again and again; Go: TestStackMem. */
TIMEOUT_TEST(schedule, stacks_are_used_again, 60)
{
    on_procs(2, rounds_of_stacks);
}

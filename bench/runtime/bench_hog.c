/* bench_hog.c - goroutines that compute without end on every P: what others feel, and what it costs the hogs;
 * and connections that wait for ever without a stack.
 */
#include "runtime/net/conn.h"
#include "runtime_bench.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <tuco.h>
#include <unistd.h>

enum { HOGS_MAX = 64, BLOCK = 20000 };

struct hog {
    _Alignas(64) atomic_bool *stop;
    uint64_t blocks; /* of BLOCK steps */
    double cpu_seconds;
    struct tu_wait_group *group;
};

static double thread_cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Computes until it is told to stop, without a call of the runtime: on one thread from begin to end. */
static void compute(struct hog *h)
{
    double began = thread_cpu_seconds();
    uint64_t x = 88172645463325252ULL;
    while (!atomic_load_explicit(h->stop, memory_order_relaxed)) {
        for (int i = 0; i < BLOCK; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        h->blocks++;
    }
    __asm__ volatile("" ::"r"(x));
    h->cpu_seconds = thread_cpu_seconds() - began;
}

static void hog_goroutine(struct hog *h)
{
    compute(h);
    tu_wait_group_done(h->group);
}

static void *hog_thread(void *h)
{
    compute(h);
    return NULL;
}

static double blocks_per_cpu_second(const struct hog *hogs, unsigned count)
{
    double sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += (double)hogs[i].blocks / hogs[i].cpu_seconds;
    return sum / count;
}

static struct hog hogs[HOGS_MAX];
static double second_figure;

static unsigned start_hogs(atomic_bool *stop, struct tu_wait_group *group)
{
    unsigned n = tu_maxprocs() < HOGS_MAX ? tu_maxprocs() : HOGS_MAX;
    memset(hogs, 0, sizeof hogs);
    for (unsigned i = 0; i < n; i++) {
        hogs[i].stop = stop;
        hogs[i].group = group;
        tu_wait_group_add(group, 1);
        bench_check("tu_go", tu_go(hog_goroutine, &hogs[i]));
    }
    return n;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* How late sleeps of 1 ms end beside a hog on each P: the 99th percentile by operation, and the worst as the
 * second figure. */
static int64_t hog_lateness(long count)
{
    atomic_bool stop = false;
    struct tu_wait_group group = {0};
    int64_t *late = calloc((size_t)count, sizeof *late);
    if (!late)
        bench_die("calloc", -ENOMEM);
    (void)start_hogs(&stop, &group);
    for (long i = 0; i < count; i++) {
        int64_t start = tu_now();
        bench_check("sleep", tu_sleep(TU_MS));
        late[i] = tu_now() - start - TU_MS;
    }
    atomic_store(&stop, true);
    bench_check("wait", tu_wait_group_wait(&group));
    qsort(late, (size_t)count, sizeof *late, by_size);
    second_figure = (double)late[count - 1];
    int64_t p99 = late[count * 99 / 100];
    free(late);
    return p99 * count;
}

/* What the hogs themselves lose: work done in a second of their threads' CPU time, as goroutines on every P
 * beside a goroutine that sleeps and wakes every millisecond, against the same loop on plain threads beside
 * nothing. The two alternate `count` times, 100 ms each; the loss in percent is the second figure. */
static int64_t hog_loss(long count)
{
    double ours = 0, bare = 0;
    int64_t began = tu_now();
    for (long round = 0; round < count; round++) {
        atomic_bool stop = false;
        struct tu_wait_group group = {0};
        unsigned n = start_hogs(&stop, &group);
        for (int64_t end = tu_now() + 100 * TU_MS; tu_now() < end;)
            bench_check("sleep", tu_sleep(TU_MS));
        atomic_store(&stop, true);
        bench_check("wait", tu_wait_group_wait(&group));
        ours += blocks_per_cpu_second(hogs, n);

        pthread_t threads[HOGS_MAX];
        atomic_store(&stop, false);
        memset(hogs, 0, sizeof hogs);
        for (unsigned i = 0; i < n; i++) {
            hogs[i].stop = &stop;
            bench_check("pthread_create", -pthread_create(&threads[i], NULL, hog_thread, &hogs[i]));
        }
        bench_check("sleep", tu_sleep(100 * TU_MS));
        atomic_store(&stop, true);
        for (unsigned i = 0; i < n; i++)
            pthread_join(threads[i], NULL);
        bare += blocks_per_cpu_second(hogs, n);
    }
    second_figure = (1 - ours / bare) * 100;
    return tu_now() - began;
}

static double second(void)
{
    return second_figure;
}

static enum tu_serve_next nothing_to_read(tu_conn *c, unsigned events, void *state)
{
    uint64_t value;
    (void)events;
    (void)state;
    if (tu_conn_fd(c) < 0)
        return TU_SERVE_WAIT;
    return tu_try_read(c, &value, sizeof value) == -EAGAIN ? TU_SERVE_WAIT : TU_SERVE_CLOSE;
}

/* As many as the limit of open files allows have an event descriptor, the rest none. */
static tu_conn *make_idle(long index)
{
    enum { SPARE = 100 };
    static long with_descriptor = -1;
    tu_conn *c = NULL;
    if (with_descriptor < 0) {
        struct rlimit files;
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
        with_descriptor = (long)files.rlim_cur - SPARE;
    }
    if (index >= with_descriptor) {
        bench_check("tu__conn_make", tu__conn_make(&c, -1, tu__conn_next_proc()));
        return c;
    }
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        bench_die("eventfd", 0);
    bench_check("tu_conn_from_fd", tu_conn_from_fd(&c, fd));
    return c;
}

/* `count` connections that tu_serve watches and that never become readable: the time to set one up, and the
 * resident bytes of one as the second figure. */
static int64_t idle_serve(long count)
{
    const struct tu_serve_options options = {.handler = nothing_to_read};
    long before = bench_rss_bytes();
    int64_t start = tu_now();
    for (long i = 0; i < count; i++) {
        bench_check("tu_serve", tu_serve(make_idle(i), &options));
        if (i % 1000 == 999)
            tu_yield(); /* the first look of each */
    }
    bench_check("sleep", tu_sleep(50 * TU_MS));
    int64_t ns = tu_now() - start;
    second_figure = (double)(bench_rss_bytes() - before) / (double)count;
    return ns;
}

const struct runtime_bench bench_hog[] = {
    {.name = "hog_lateness",
     .run = hog_lateness,
     .extra = second,
     .extra_unit = "ns, worst",
     .cold = true},
    {.name = "hog_loss", .run = hog_loss, .extra = second, .extra_unit = "percent", .cold = true},
    {.name = "idle_serve", .run = idle_serve, .extra = second, .extra_unit = "bytes", .cold = true},
    {0},
};

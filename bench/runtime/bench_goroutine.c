/* bench_goroutine.c - starting, finishing, yielding, parking and sleeping. */
#include "runtime_bench.h"

#include <tuco.h>

static void finish(struct tu_wait_group *group)
{
    tu_wait_group_done(group);
}

/* Started and finished, in batches of 1000. */
static int64_t start_finish(long count)
{
    struct tu_wait_group group = {0};
    int64_t start = tu_now();
    for (long i = 0; i < count; i++) {
        tu_wait_group_add(&group, 1);
        bench_check("tu_go", tu_go(finish, &group));
        if (i % 1000 == 999)
            bench_check("wait", tu_wait_group_wait(&group));
    }
    bench_check("wait", tu_wait_group_wait(&group));
    return tu_now() - start;
}

static void send_one(tu_channel *c)
{
    int one = 1;
    bench_check("send", tu_channel_send(c, &one));
}

/* Started, and waited for through a channel. */
static int64_t start_one(long count)
{
    tu_chan(int) c = tu_make_chan(int, 1);
    int value = 0;
    int64_t start = tu_now();
    for (long i = 0; i < count; i++) {
        bench_check("tu_go", tu_go(send_one, tu_chan_untyped(c)));
        bench_check("receive", tu_recv(c, &value));
    }
    int64_t ns = tu_now() - start;
    tu_free_chan(c);
    return ns;
}

static int64_t yield(long count)
{
    int64_t start = tu_now();
    for (long i = 0; i < count; i++)
        tu_yield();
    return tu_now() - start;
}

/* Numbers below `num + size` in a tree of goroutines; each sends the sum of its children. */
static void skynet_node(tu_channel *out, long num, long size)
{
    long sum = num;
    if (size > 1) {
        tu_chan(long) children = tu_make_chan(long, 0);
        sum = 0;
        for (long i = 0; i < 10; i++)
            bench_check("tu_go", tu_go(skynet_node, tu_chan_untyped(children),
                                       num + i * (size / 10), size / 10));
        for (long i = 0; i < 10; i++) {
            long part = 0;
            bench_check("receive", tu_recv(children, &part));
            sum += part;
        }
        tu_free_chan(children);
    }
    bench_check("send", tu_channel_send(out, &sum));
}

/* A tree of 1,111,111 goroutines, ten children each, that adds up its leaves. */
static int64_t skynet(long count)
{
    int64_t start = tu_now();
    for (long i = 0; i < count; i++) {
        tu_chan(long) c = tu_make_chan(long, 0);
        long sum = 0;
        bench_check("tu_go", tu_go(skynet_node, tu_chan_untyped(c), 0L, 1000000L));
        bench_check("receive", tu_recv(c, &sum));
        if (sum != 499999500000)
            bench_die("skynet's sum", 0);
        tu_free_chan(c);
    }
    return tu_now() - start;
}

static double parked_bytes;

static void park_until_closed(tu_channel *quit)
{
    int value;
    if (tu_channel_recv(quit, &value) == 0)
        bench_die("a value from nobody", 0);
}

/* `count` goroutines started, parked on one channel, then released. */
static int64_t parked(long count)
{
    tu_chan(int) quit = tu_make_chan(int, 0);
    long before = bench_rss_bytes();
    int64_t start = tu_now();
    for (long i = 0; i < count; i++)
        bench_check("tu_go", tu_go(park_until_closed, tu_chan_untyped(quit)));
    tu_yield();
    int64_t counting = tu_now();
    parked_bytes = (double)(bench_rss_bytes() - before) / (double)count;
    counting = tu_now() - counting;
    tu_close_chan(quit);
    while (tu_goroutines() > 10)
        tu_yield();
    return tu_now() - start - counting;
}

/* The same when the process has had as many goroutines before: without the first touch of their memory, which is
 * the machine's price and not the runtime's. */
static int64_t parked_again(long count)
{
    (void)parked(count);
    return parked(count);
}

static double parked_extra(void)
{
    return parked_bytes;
}

static void sleep_and_finish(struct tu_wait_group *group)
{
    bench_check("sleep", tu_sleep(TU_MS));
    tu_wait_group_done(group);
}

/* `count` goroutines that sleep a millisecond, all at once. */
static int64_t sleep_many(long count)
{
    struct tu_wait_group group = {0};
    int64_t start = tu_now();
    for (long i = 0; i < count; i++) {
        tu_wait_group_add(&group, 1);
        bench_check("tu_go", tu_go(sleep_and_finish, &group));
    }
    bench_check("wait", tu_wait_group_wait(&group));
    return tu_now() - start;
}

const struct runtime_bench bench_goroutine[] = {
    {.name = "start_finish", .run = start_finish},
    {.name = "start_one", .run = start_one},
    {.name = "yield", .run = yield},
    {.name = "skynet", .run = skynet},
    {.name = "parked", .run = parked, .extra = parked_extra, .extra_unit = "bytes each"},
    {.name = "parked_again", .run = parked_again},
    {.name = "sleep_many", .run = sleep_many},
    {0},
};

/* bench_channel.c - channels and select. */
#include "runtime_bench.h"

#include <tuco.h>

static void echo_values(tu_channel *in, tu_channel *out)
{
    long value;
    while (tu_channel_recv(in, &value) == 0)
        bench_check("send", tu_channel_send(out, &value));
    tu_channel_close(out);
}

/* One round trip over two unbuffered channels. */
static int64_t ping_pong(long count)
{
    tu_chan(long) c = tu_make_chan(long, 0), d = tu_make_chan(long, 0);
    long value = 0;
    bench_check("tu_go", tu_go(echo_values, tu_chan_untyped(c), tu_chan_untyped(d)));
    int64_t start = tu_now();
    for (long i = 0; i < count; i++) {
        bench_check("send", tu_send(c, i));
        bench_check("receive", tu_recv(d, &value));
    }
    int64_t ns = tu_now() - start;
    tu_close_chan(c);
    return ns;
}

static void produce(tu_channel *c, long count)
{
    for (long i = 0; i < count; i++)
        bench_check("send", tu_channel_send(c, &i));
    tu_channel_close(c);
}

/* One value from a producer to a consumer through 128 slots. */
static int64_t buffered(long count)
{
    tu_chan(long) c = tu_make_chan(long, 128);
    long value, got = 0;
    int64_t start = tu_now();
    bench_check("tu_go", tu_go(produce, tu_chan_untyped(c), count));
    while (tu_recv(c, &value) == 0)
        got++;
    if (got != count)
        bench_die("number of values", 0);
    return tu_now() - start;
}

/* One send and one receive on one goroutine, 128 slots, nobody waiting. */
static int64_t buffered_alone(long count)
{
    tu_chan(long) c = tu_make_chan(long, 128);
    long value = 0;
    int64_t start = tu_now();
    for (long i = 0; i < count; i++) {
        bench_check("send", tu_send(c, i));
        bench_check("receive", tu_recv(c, &value));
    }
    int64_t ns = tu_now() - start;
    tu_free_chan(c);
    return ns;
}

static void drain(tu_channel *c, struct tu_wait_group *group)
{
    long value;
    while (tu_channel_recv(c, &value) == 0)
        ;
    tu_wait_group_done(group);
}

static void produce_some(tu_channel *c, struct tu_wait_group *group, long count)
{
    for (long i = 0; i < count; i++)
        bench_check("send", tu_channel_send(c, &i));
    tu_wait_group_done(group);
}

/* 4 producers, 4 consumers, 100 slots. */
static int64_t many_to_many(long count)
{
    tu_chan(long) c = tu_make_chan(long, 100);
    struct tu_wait_group producers = {0}, consumers = {0};
    int64_t start = tu_now();
    for (int i = 0; i < 4; i++) {
        tu_wait_group_add(&consumers, 1);
        bench_check("tu_go", tu_go(drain, tu_chan_untyped(c), &consumers));
    }
    for (int i = 0; i < 4; i++) {
        tu_wait_group_add(&producers, 1);
        bench_check("tu_go", tu_go(produce_some, tu_chan_untyped(c), &producers, count / 4));
    }
    bench_check("wait", tu_wait_group_wait(&producers));
    tu_close_chan(c);
    bench_check("wait", tu_wait_group_wait(&consumers));
    int64_t ns = tu_now() - start;
    tu_free_chan(c);
    return ns;
}

static void produce_then_quit(tu_channel *c, tu_channel *quit, long count)
{
    for (long i = 0; i < count; i++)
        bench_check("send", tu_channel_send(c, &i));
    long one = 1;
    bench_check("send", tu_channel_send(quit, &one));
}

/* One value received by a select over two unbuffered data channels and a quit channel. */
static int64_t select_three(long count)
{
    tu_chan(long) c = tu_make_chan(long, 0), d = tu_make_chan(long, 0), q = tu_make_chan(long, 0);
    long got = 0;
    int64_t start = tu_now();
    bench_check("tu_go",
                tu_go(produce_then_quit, tu_chan_untyped(c), tu_chan_untyped(q), count / 2));
    bench_check("tu_go",
                tu_go(produce_then_quit, tu_chan_untyped(d), tu_chan_untyped(q), count / 2));
    for (int ended = 0; ended < 2;) {
        tu_select() {
            tu_on_recv(c, v) {
                (void)v;
                got++;
            }
            tu_on_recv(d, v) {
                (void)v;
                got++;
            }
            tu_on_recv(q, v) {
                (void)v;
                ended++;
            }
        }
    }
    if (got != count / 2 * 2)
        bench_die("number of values", 0);
    return tu_now() - start;
}

/* The same, calling tu_selectv, which is what other languages' bindings would use. */
static int64_t selectv_three(long count)
{
    tu_chan(long) c = tu_make_chan(long, 0), d = tu_make_chan(long, 0), q = tu_make_chan(long, 0);
    long value;
    struct tu_select_case cases[] = {
        {.kind = TU_SELECT_RECV, .channel = tu_chan_untyped(c), .element = &value},
        {.kind = TU_SELECT_RECV, .channel = tu_chan_untyped(d), .element = &value},
        {.kind = TU_SELECT_RECV, .channel = tu_chan_untyped(q), .element = &value},
    };
    int64_t start = tu_now();
    bench_check("tu_go",
                tu_go(produce_then_quit, tu_chan_untyped(c), tu_chan_untyped(q), count / 2));
    bench_check("tu_go",
                tu_go(produce_then_quit, tu_chan_untyped(d), tu_chan_untyped(q), count / 2));
    for (int ended = 0; ended < 2;)
        ended += tu_selectv(cases, 3) == 2;
    return tu_now() - start;
}

static void count_from_two(tu_channel *out)
{
    for (long i = 2; tu_channel_send(out, &i) == 0; i++)
        ;
}

static void pass_not_divisible(tu_channel *in, tu_channel *out, long prime)
{
    long value;
    while (tu_channel_recv(in, &value) == 0)
        if (value % prime != 0 && tu_channel_send(out, &value) != 0)
            break;
}

/* The first `count` primes by a chain of goroutines, one a prime. */
static int64_t sieve(long count)
{
    int64_t start = tu_now();
    tu_channel *in = tu_channel_make(sizeof(long), 0);
    bench_check("tu_go", tu_go(count_from_two, in));
    for (long i = 0; i < count; i++) {
        long prime = 0;
        bench_check("receive", tu_channel_recv(in, &prime));
        tu_channel *out = tu_channel_make(sizeof(long), 0);
        bench_check("tu_go", tu_go(pass_not_divisible, in, out, prime));
        in = out;
    }
    return tu_now() - start; /* the chain is left parked */
}

/* 8 producers, one consumer, no slots. */
static int64_t fan_in(long count)
{
    tu_chan(long) c = tu_make_chan(long, 0);
    struct tu_wait_group producers = {0};
    long value = 0;
    int64_t start = tu_now();
    for (int i = 0; i < 8; i++) {
        tu_wait_group_add(&producers, 1);
        bench_check("tu_go", tu_go(produce_some, tu_chan_untyped(c), &producers, count / 8));
    }
    for (long i = 0; i < count / 8 * 8; i++)
        bench_check("receive", tu_recv(c, &value));
    bench_check("wait", tu_wait_group_wait(&producers));
    int64_t ns = tu_now() - start;
    tu_free_chan(c);
    return ns;
}

const struct runtime_bench bench_channel[] = {
    {.name = "ping_pong", .run = ping_pong},
    {.name = "buffered", .run = buffered},
    {.name = "buffered_alone", .run = buffered_alone},
    {.name = "many_to_many", .run = many_to_many},
    {.name = "select", .run = select_three},
    {.name = "sieve", .run = sieve},
    {.name = "fan_in", .run = fan_in},
    {.name = "selectv", .run = selectv_three},
    {0},
};

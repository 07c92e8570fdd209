/* cplusplus_test.cc - the public headers, used from C++. */
#include <tuco.h>

#include <atomic>
#include <string>
#include <thread>

#include "support/testing.h"

static void produce(tu_channel *c, long n)
{
    for (long i = 0; i < n; i++)
        CHECK_EQ(tu_channel_send(c, &i), 0);
    tu_channel_close(c);
}

static int child(std::atomic<int> *sum, int v)
{
    sum->fetch_add(v);
    return v < 0 ? v : 0;
}

static void note(int *n)
{
    ++*n;
}

struct point {
    double x, y;
};

GO_TEST(cplusplus, channels_and_select)
{
    tu_chan(long) c = tu_make_chan(long, 0);
    tu_chan(struct point) p = tu_make_chan(struct point, 1);
    CHECK_EQ(tu_go(produce, tu_chan_untyped(c), 100L), 0);
    long sum = 0;
    int points = 0;
    for (bool open = true; open;) {
        tu_select() {
            tu_on_recv(c, v) {
                open = tu_recv_ok();
                sum += v;
            }
            tu_on_send(p, (point{1.5, 2.5})) {
                points++;
            }
            tu_on_after(TU_S) {
                CHECK(false);
            }
        }
        point got;
        if (tu_try_recv(p, &got) == 0)
            CHECK(got.y == 2.5);
    }
    CHECK_EQ(sum, 4950);
    tu_free_chan(c);
    tu_free_chan(p);
}

GO_TEST(cplusplus, scopes_defers_contexts)
{
    std::atomic<int> sum{0};
    int noted = 0, rc = 1;
    {
        tu_defer(note, &noted);
        tu_scope(s) {
            for (int i = 0; i < 10; i++)
                tu_scope_go(&s, child, &sum, i);
            rc = tu_scope_wait(&s);
            tu_scope_go(&s, note, &noted);
        }
        CHECK_EQ(noted, 1);
    }
    CHECK_EQ(noted, 2);
    CHECK_EQ(rc, 0);
    CHECK_EQ(sum.load(), 45);
    tu_context *ctx = tu_with_timeout(nullptr, TU_MS);
    tu_defer(tu_cancel, ctx);
    tu_in_context(ctx) {
        CHECK_EQ(tu_sleep(TU_S), -ETIMEDOUT);
    }
}

static void told_its_name(std::atomic<int> *good, int n)
{
    *good += std::string(tu_goroutine_name()) == "worker " + std::to_string(n);
}

GO_TEST(cplusplus, names)
{
    std::atomic<int> good{0};
    for (int i = 0; i < 3; i++)
        CHECK_EQ(tu_go_named(("worker " + std::to_string(i)).c_str(), told_its_name, &good, i), 0);
    for (int64_t end = tu_now() + TU_S; good.load() < 3 && tu_now() < end;)
        tu_yield();
    CHECK_EQ(good.load(), 3);
}

/* From a std::thread, and out of a block by an exception, the scope still joins. */
GO_TEST(cplusplus, exceptions_and_threads)
{
    std::atomic<int> sum{0};
    int seen = 0;
    std::thread t([&] {
        try {
            tu_scope(s) {
                for (int i = 0; i < 10; i++)
                    tu_scope_go(&s, child, &sum, 1);
                throw 7;
            }
        } catch (int) {
            seen = sum.load();
        }
    });
    while (sum.load() < 10)
        tu_yield();
    t.join();
    CHECK_EQ(seen, 10);
}

static int make_point(void *arg, void **value)
{
    *value = arg;
    return 0;
}

static void post_back(tu_loop *loop, std::atomic<int> *posted)
{
    auto bump = [](void *n) { static_cast<std::atomic<int> *>(n)->fetch_add(1); };
    CHECK_EQ(tu_loop_post(loop, bump, posted), 0);
    CHECK_EQ(tu_loop_call(loop, bump, posted), 0);
}

GO_TEST(cplusplus, timers_and_semaphores)
{
    int64_t at = 0;
    std::atomic<int> posted{0};
    int noted = 0;
    tu_timer *tick = tu_ticker_make(TU_MS), *call = tu_timer_call(TU_NEVER, note, &noted);
    tu_defer(tu_timer_free, tick);
    tu_defer(tu_timer_free, call);
    CHECK_EQ(tu_recv(tu_timer_chan(tick), &at), 0);
    CHECK(!tu_timer_stop(call));
    struct tu_semaphore units = TU_SEMAPHORE(2);
    CHECK_EQ(tu_semaphore_acquire(&units, 2), 0);
    CHECK(!tu_semaphore_try_acquire(&units, 1));
    tu_semaphore_release(&units, 2);
    struct tu_once_value once = {};
    void *value = nullptr;
    CHECK_EQ(tu_once_value(&once, make_point, &at, &value), 0);
    CHECK(value == &at);
    tu_loop *loop = tu_loop_make();
    std::thread host([&] {
        while (posted.load() < 8)
            tu_loop_run(loop);
        tu_loop_close(loop);
    });
    tu_scope(s) {
        tu_scope_limit(&s, 2);
        for (int i = 0; i < 4; i++)
            tu_scope_go(&s, post_back, loop, &posted);
        CHECK_EQ(tu_scope_wait(&s), 0);
        CHECK(tu_scope_failed(&s) == nullptr);
    }
    host.join();
    tu_loop_free(loop);
    CHECK_EQ(posted.load(), 8);
}

TU_TYPE(int);
TU_SLICE(cxx_ints, int);
TU_MAP(cxx_ages, tu_string, int);
typedef int *const cxx_int_ref;
TU_POINTER_TYPE(cxx_int_ref);
struct cxx_letter {
    int number;
    tu_chan(int *) reply;
};
TU_TYPE(cxx_letter, reply);

TEST(cplusplus, collected_containers)
{
    cxx_ints s = tu_make_slice(cxx_ints, 0, 2);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(tu_append(cxx_ints, &s, i), 0);
    tu_slice_set(cxx_ints, s, 5, 55);
    cxx_ints part = tu_sub(cxx_ints, s, 5, 7);
    CHECK_EQ(tu_at(part, 0), 55);
    cxx_ages *m = tu_make_map(cxx_ages, 0);
    CHECK_EQ(tu_map_set(cxx_ages, m, tu_concat(TU_STRING("a"), TU_STRING("b")), 7), 0);
    int *found = tu_map_get(cxx_ages, m, TU_STRING("ab"));
    CHECK(found && *found == 7);
    int sum = 0;
    tu_map_each(cxx_ages, m, e) sum += *e.value;
    CHECK_EQ(sum, 7);
}

TEST(cplusplus, collected_channels)
{
    tu_chan(cxx_letter) c = tu_new_chan(cxx_letter, 1);
    tu_chan(int *) reply = tu_new_chan(cxx_int_ref, 1);
    cxx_letter got = {0, nullptr};
    int *n = tu_new(int);
    CHECK_EQ(tu_send(c, (cxx_letter{7, reply})), 0);
    CHECK_EQ(tu_recv(c, &got), 0);
    CHECK_EQ(tu_send(got.reply, n), 0);
    int *back = nullptr;
    tu_select() {
        tu_on_recv(reply, v) {
            back = v;
        }
    }
    CHECK(got.number == 7 && back == n);
}

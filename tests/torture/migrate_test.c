/* migrate_test.c - does a torture build do what it is for? A goroutine that yields, waits or sleeps goes on with
 * another thread. */
#include "base/torture.h"
#include "runtime/sched/schedule.h"
#include "support/testing.h"

#include <tuco.h>

_Static_assert(TU__MIGRATE == 1 && RUN_QUEUE_SIZE == 2, "only built where TUCO_TORTURE is on");

static int moved, parked;

static void note_move(const void *before)
{
    parked++;
    moved += before != (const void *)tu__m();
}

static void wander(void *arg)
{
    tu_channel *c = tu_channel_make(sizeof(int), 0);
    for (int i = 0; i < 50; i++) {
        const void *before = tu__m();
        tu_yield();
        note_move(before);
        before = tu__m();
        CHECK_EQ(tu_sleep(TU_US), 0);
        note_move(before);
        tu_context *limit = tu_with_timeout(NULL, TU_US);
        int v;
        before = tu__m();
        tu_in_context(limit) {
            CHECK_EQ(tu_channel_recv(c, &v), -ETIMEDOUT);
        }
        note_move(before);
        tu_cancel(limit);
    }
    tu_channel_free(c);
}

TEST(torture, a_goroutine_moves_at_each_park)
{
    struct tu_options options = {.maxprocs = 2};
    CHECK_EQ(tu_main(&options, wander, NULL), 0);
    CHECK_EQ(parked, 150);
    if (moved < 140) /* a busy machine may keep the other thread away for 20 ms now and then */
        test_fail(__FILE__, __LINE__, "moved %d times in 150 parks", moved);
}

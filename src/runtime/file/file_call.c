/* file_call.c - see file_call.h: who makes the call.
 *
 * On a plain thread: the thread. On a goroutine: the ring (file_ring.c); without one a pool thread
 * (sched/offload.h); and when no thread can be had, the goroutine itself, whose P the monitor then
 * takes: slow for its neighbours, but right.
 */
#include "runtime/file/file_call.h"

#include "runtime/sched/cancel.h"
#include "runtime/sched/offload.h"

#include <tuco/file.h>
#include <tuco/go.h>

struct pool_call {
    struct tu__file_call *call;
    int64_t result;
    bool made;
};

static void perform_on_thread(void *arg)
{
    struct pool_call *p = arg;
    p->result = p->call->perform(p->call);
    p->made = true;
}

static int64_t do_elsewhere(struct tu__file_call *call)
{
    int64_t result;
    if (call->ring.code != URING_NONE && tu__ring_do(call, &result))
        return result;
    struct pool_call p = {.call = call};
    struct tu__cancel *cancel = tu__cancel_current();
    int rc = tu__offload_call(LANE_FILE, perform_on_thread, &p);
    if (rc == 0)
        return p.result;
    if (cancel && tu__cancel_error(cancel) < 0)
        return rc;
    tu_blocking_begin();
    result = call->perform(call);
    tu_blocking_end();
    return result;
}

int64_t tu__file_do(struct tu__file_call *call)
{
    struct tu__cancel *cancel = tu__cancel_current();
    if (cancel && !call->always && tu__cancel_error(cancel) < 0)
        return tu__cancel_error(cancel);
    if (!tu_on_goroutine())
        return call->perform(call);
    if (!call->always)
        return do_elsewhere(call);
    (void)tu__cancel_swap(NULL);
    int64_t result = do_elsewhere(call);
    (void)tu__cancel_swap(cancel);
    return result;
}

const char *tu_file_backend(void)
{
    return tu__ring_usable() ? "io_uring" : "threads";
}

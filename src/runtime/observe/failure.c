/* failure.c - the reports of a failed check and of a stack overflow; both end in abort().
 *
 * A failed check runs on the stack of whoever failed, with any lock held and the heap in any state. So nothing here
 * allocates (but glibc, for the bounds of a plain thread's stack), and the locks that a dump would like (the global queue's, another dump's) are tried for a while only. A
 * check that fails inside the report ends the process at once: base/check.c calls the hook once a thread.
 *
 * An overflow is a fault in the guard below a stack; the report runs on the thread's alternate stack.
 */
#include "runtime/observe/failure.h"
#include "base/check.h"
#include "platform/fault.h"
#include "runtime/observe/dump.h"
#include "runtime/observe/sighting.h"

#include <unistd.h>

/* After check_failed has said what was wrong. */
static void explain_check(void)
{
    struct report out;
    struct frames own;
    report_init(&out, STDERR_FILENO);
    dump_own_frames(&own);
    report_text(&out, "in ");
    dump_self(&own, &out);
    if (tu__forked()) /* the others are the parent's */
        report_flush(&out);
    else
        dump_all(NULL, &out);
}

static bool explain_overflow(void *address, const struct fault_place *at)
{
    struct g *g = goroutine_of_guard(address);
    struct sighting s;
    struct report out;
    if (!g || !sighting_take(g, 0, &s))
        return false;
    report_init(&out, STDERR_FILENO);
    report_text(&out, "tuco: stack overflow in ");
    sighting_print_name(&s, &out);
    report_text(&out, ", which has ");
    report_number(&out, (uint64_t)((char *)g - (char *)g->stack_low));
    report_text(&out, " bytes of stack (tu_options.stack_size gives more)");
    sighting_print_start(&s, &out);
    report_text(&out, "\n    fault at ");
    report_hex(&out, (uintptr_t)address);
    report_text(&out, "\n");
    struct frames frames;
    frames_collect(&frames, at->pc, at->fp, g->stack_low, g);
    frames.exact = true;
    frames_print(&frames, &out);
    report_flush(&out);
    return true;
}

void failure_init(void)
{
    check_failed_hook = explain_check;
    fault_init(explain_overflow);
}

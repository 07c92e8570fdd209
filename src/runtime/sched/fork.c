/* fork.c - what is left of the runtime in a forked child, and calls that come without one.
 *
 * The child has the thread that forked and nothing else: no Ms, no monitor; its descriptors are shared
 * with the parent, pollers included, so a wake in the child would wake the parent. So nothing there may reach the
 * scheduler. All ways to it are closed at no cost to the ordinary ones: a forking goroutine's M is marked LOST_FORKED,
 * which sends its every tu__enter to the slow path and to no_scheduler; for plain threads there are no Ps
 * any more, as before tu_start, and the paths they take look for that.
 *
 * Rejected: to start a new scheduler in the child (the goroutines of the parent, and the locks they hold, would be
 * there half-way); to close the pollers (who execs loses them anyway, and they do no harm unused).
 */
#include "runtime/sched/schedule.h"

#include "base/check.h"
#include "platform/thread.h"

#include <pthread.h>

static bool forked; /* in the child, before it has a second thread */

static void in_child(void)
{
    struct m *m = tu__m();
    forked = true;
    tu__sched.procs = NULL;
    tu__sched.proc_count = 0;
    atomic_store(&tu__sched.idle_count, 0);
    atomic_store(&tu__sched.spinning, 0);
    atomic_store(&tu__sched.foreign_started, 0);
    atomic_store(&tu__sched.foreign_finished, 0);
    atomic_store(&tu__sched.foreign_operations, 0);
    if (m) {
        atomic_store(&m->lost, LOST_FORKED);
        thread_signals_restore();
    }
}

void tu__fork_init(void)
{
    thread_signals_save();
    (void)pthread_atfork(NULL, NULL, in_child);
}

bool tu__forked(void)
{
    return forked;
}

void tu__no_scheduler(const char *what)
{
    if (forked)
        check_failed(__FILE__, __LINE__,
                     "%s in a forked child, which has no scheduler: it may exec, _exit and use the "
                     "heap (tuco/go.h, fork)",
                     what);
    check_failed(__FILE__, __LINE__, "%s before the runtime was started (tu_start, tu_main)", what);
}

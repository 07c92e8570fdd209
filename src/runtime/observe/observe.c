/* observe.c - switching on what observes: reports of failures, and SIGQUIT.
 *
 * SIGQUIT. The handler may run at any instruction of any thread, so all it does is to raise a flag and wake the
 * monitor. The monitor starts a thread for the dump, because a large one may take seconds (or for ever,
 * when standard error is a pipe that nobody reads), and Ps have to be taken from hogs meanwhile.
 */
#include "platform/signals.h"
#include "platform/thread.h"
#include "runtime/observe/dump.h"
#include "runtime/observe/failure.h"
#include "runtime/sched/schedule.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum tu_sigquit on_sigquit;

static void *dump_thread(void *unused)
{
    struct report out;
    report_init(&out, STDERR_FILENO);
    report_text(&out, "tuco: SIGQUIT\n");
    dump_all(NULL, &out);
    if (on_sigquit == TU_SIGQUIT_EXIT)
        thread_end_process(2);
    return unused;
}

void tu__observe_dump_wanted(void)
{
    atomic_store_explicit(&tu__sched.dump_wanted, 0, memory_order_relaxed);
    if (thread_start(dump_thread, NULL, 256 << 10, "tuco-dump") < 0)
        (void)dump_thread(NULL);
}

static void quit(int number)
{
    atomic_store(&tu__sched.dump_wanted, 1);
    tu__monitor_wake();
}

static enum tu_sigquit from_environment(void)
{
    static const struct {
        const char *name;
        enum tu_sigquit value;
    } names[] = {
        {"exit", TU_SIGQUIT_EXIT}, {"continue", TU_SIGQUIT_CONTINUE}, {"leave", TU_SIGQUIT_LEAVE}};
    const char *text = getenv("TUCO_SIGQUIT");
    for (size_t i = 0; text && i < sizeof names / sizeof *names; i++)
        if (strcmp(text, names[i].name) == 0)
            return names[i].value;
    return TU_SIGQUIT_DEFAULT;
}

void tu__observe_start(const struct tu_options *options, bool in_main)
{
    failure_init();
    frames_ask_init();
    enum tu_sigquit asked = options ? options->sigquit : TU_SIGQUIT_DEFAULT;
    if (asked == TU_SIGQUIT_DEFAULT)
        asked = from_environment();
    on_sigquit = asked;
    if (asked == TU_SIGQUIT_DEFAULT)
        on_sigquit = in_main ? TU_SIGQUIT_EXIT : TU_SIGQUIT_LEAVE;
    if (on_sigquit != TU_SIGQUIT_LEAVE)
        (void)signals_handle(SIGNAL_QUIT, quit, asked != TU_SIGQUIT_DEFAULT);
}

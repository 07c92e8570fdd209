/* testing.c - the runner of testing.h: one forked child per test, killed when its time is over. */
#include "support/testing.h"

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tuco/go.h>

extern const struct test_case *const __start_test_cases[], *const __stop_test_cases[];

static atomic_int failures;

void test_fail(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    atomic_fetch_add(&failures, 1);
    fprintf(stderr, "  %s:%d: %s\n", file, line, text);
}

void test_fail_now(void)
{
    fflush(NULL);
    _exit(1);
}

static void run_on_goroutine(void *arg)
{
    ((const struct test_case *)arg)->run();
}

static int run_here(const struct test_case *t)
{
    if (t->on_goroutine) {
        if (tu_main(NULL, run_on_goroutine, (void *)t) != 0)
            test_fail(__FILE__, __LINE__, "the runtime did not start");
    } else {
        t->run();
    }
    fflush(NULL);
    return atomic_load(&failures) ? 1 : 0;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Sanitizers make everything several times slower; TEST_TIME_FACTOR stretches the limits. */
static int limit_s(const struct test_case *t)
{
    const char *factor = getenv("TEST_TIME_FACTOR");
    return t->timeout_s * (factor ? atoi(factor) : 1);
}

static bool run_child(const struct test_case *t)
{
    fflush(NULL);
    double start = seconds();
    pid_t pid = fork();
    if (pid == 0)
        _exit(run_here(t));
    int status = 0;
    bool timed_out = false;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        double passed = seconds() - start;
        if (passed > limit_s(t) && !timed_out) {
            timed_out = true;
            kill(pid, SIGABRT);
        }
        if (passed > limit_s(t) + 2)
            kill(pid, SIGKILL);
        usleep(passed < 0.02 ? 500 : 5000);
    }
    bool ok = !timed_out && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    printf("%s %s.%s (%.2f s)", ok ? "ok  " : "FAIL", t->module, t->name, seconds() - start);
    if (timed_out)
        printf(" timed out after %d s", limit_s(t));
    else if (WIFSIGNALED(status))
        printf(" signal %d", WTERMSIG(status));
    printf("\n");
    return ok;
}

static bool wanted(const struct test_case *t, int argc, char **argv)
{
    char name[256];
    snprintf(name, sizeof name, "%s.%s", t->module, t->name);
    for (int i = 1; i < argc; i++)
        if (strstr(name, argv[i]))
            return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    int failed = 0, ran = 0;
    bool list = argc > 1 && strcmp(argv[1], "-l") == 0, here = argc > 2 && !strcmp(argv[1], "-n");
    for (const struct test_case *const *t = __start_test_cases; t < __stop_test_cases; t++) {
        if (list) {
            printf("%s.%s\n", (*t)->module, (*t)->name);
            continue;
        }
        if (!wanted(*t, argc, argv))
            continue;
        if (here)
            return run_here(*t);
        ran++;
        failed += !run_child(*t);
    }
    if (!list)
        printf("%d tests, %d failed\n", ran, failed);
    return failed || (!list && ran == 0);
}

/* failing_walk.c - walks through a scenario of everything that makes system calls, and lets the 1st, the
 * 2nd, the 3rd ... of them fail. Each run has a process of its own. A failure must come out as an error of
 * the operation (or of nothing, where there is another way), never as a crash or a hang, and must
 * leave no descriptor behind.
 */
#include "torture/failing_calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tuco.h>

enum { WENT_WELL = 0, TOLD = 10 }; /* exit status of a run: no error, or an error was returned */
enum { BYTES = 3000, GOROUTINES = 40 };

static int64_t patience_ns; /* how long the client waits for its echo */
static int first_error;     /* the first that any operation returned */

static int note(int rc)
{
    if (rc < 0 && first_error == 0)
        first_error = rc;
    return rc;
}

_Noreturn static void broken(const char *what, long long value)
{
    const char *hit = failing_hit();
    fprintf(stderr, "  after %s failed: %s (%lld)\n", hit ? hit : "nothing", what, value);
    _exit(1);
}

static int open_descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n - 3; /* ".", ".." and the directory's own */
}

/* ---- what is walked through ---- */

static void echo_once(tu_conn *c)
{
    char buffer[BYTES];
    size_t have = 0;
    while (have < sizeof buffer) {
        ssize_t n = tu_read(c, buffer + have, sizeof buffer - have);
        if (n <= 0) {
            note((int)n);
            break;
        }
        have += (size_t)n;
    }
    if (have > 0)
        note((int)tu_write(c, buffer, have));
    tu_close(c);
}

static void accept_one(tu_listener *l)
{
    tu_conn *c;
    int rc = note(tu_accept(l, &c));
    if (rc == 0)
        echo_once(c);
}

/* What comes back must be what went out, as far as it comes. */
static void talk(const char *address)
{
    char out[BYTES], in[BYTES];
    tu_conn *c;
    for (int i = 0; i < BYTES; i++)
        out[i] = (char)(i * 7);
    if (note(tu_dial(&c, address)) < 0)
        return;
    tu_set_read_deadline(c, tu_now() + patience_ns);
    note((int)tu_write(c, out, sizeof out));
    size_t have = 0;
    while (have < sizeof in) {
        ssize_t n = tu_read(c, in + have, sizeof in - have);
        if (n == 0)
            note(-ECONNRESET); /* the other side told its error by closing */
        if (n <= 0) {
            note((int)n);
            break;
        }
        have += (size_t)n;
    }
    if (memcmp(in, out, have) != 0)
        broken("the echo differs", (long long)have);
    tu_close(c);
}

static void network(const char *address)
{
    tu_listener *l;
    if (note(tu_listen(&l, address, NULL)) < 0)
        return;
    tu_context *limit = tu_with_timeout(NULL, 2 * patience_ns);
    tu_in_context(limit) {
        tu_scope(s) {
            note(tu_scope_go(&s, accept_one, l));
            talk(address);
            tu_scope_cancel(&s);
        }
    }
    tu_cancel(limit);
    tu_listener_close(l);
}

static void put_into(tu_channel *c, int value)
{
    (void)tu_sleep(value % 3 * TU_MS);
    note(tu_channel_send(c, &value));
}

static void goroutines(void)
{
    int started = 0, sum = 0, expected = 0;
    tu_channel *c = tu_channel_make(sizeof(int), 4);
    if (!c) {
        note(-ENOMEM);
        return;
    }
    for (int i = 1; i <= GOROUTINES; i++) {
        if (note(tu_go(put_into, c, i)) == 0) {
            started++;
            expected += i;
        }
    }
    for (int i = 0; i < started; i++) {
        int v;
        if (note(tu_channel_recv(c, &v)) < 0)
            broken("a receive", i);
        sum += v;
    }
    if (sum != expected)
        broken("the sum of what was sent", sum);
    tu_channel_free(c);
}

/* Large blocks come from the system one by one. */
static void memory(void)
{
    for (size_t size = 1 << 20; size <= 64 << 20; size *= 4) {
        char *p = tu_alloc(size);
        if (!p) {
            note(-ENOMEM);
            continue;
        }
        p[0] = p[size - 1] = 1;
        tu_free(p);
    }
}

static char unix_path[64];

static void scenario(void *arg)
{
    int descriptors = open_descriptors();
    goroutines();
    network(unix_path);
    network("127.0.0.1:17399");
    memory();
    for (int i = 0; i < 200 && (tu_goroutines() > 1 || open_descriptors() != descriptors); i++)
        (void)tu_sleep(5 * TU_MS); /* children that are just ending */
    if (tu_goroutines() != 1)
        broken("goroutines that are left", (long long)tu_goroutines());
    if (open_descriptors() != descriptors)
        broken("descriptors that are left", open_descriptors() - descriptors);
}

/* ---- the walk ---- */

static void run(enum failing_mode mode, unsigned nth, unsigned seed, int report)
{
    alarm(25 * (getenv("TEST_TIME_FACTOR") ? (unsigned)atoi(getenv("TEST_TIME_FACTOR")) : 1));
    snprintf(unix_path, sizeof unix_path, "unix:/tmp/tuco-walk-%d.sock", (int)getpid());
    /* Where something may fail somebody may wait in vain; elsewhere nobody may. */
    patience_ns = mode == FAILING_NONE || mode == FAILING_HARMLESS ? 10 * TU_S : 300 * TU_MS;
    failing_reset(mode, nth, seed);
    struct tu_options options = {.maxprocs = 2};
    note(tu_main(&options, scenario, NULL));
    unlink(unix_path + 5);
    bool hit = failing_hit() != NULL;
    unsigned count = failing_count();
    failing_reset(FAILING_NONE, 0, 0);
    if (first_error != 0 && !hit)
        broken("an error without a failure", first_error);
    if (first_error != 0 && mode == FAILING_HARMLESS)
        broken("a harmless disturbance was noticed", first_error);
    if (write(report, &count, sizeof count) != sizeof count)
        _exit(1);
    _exit(first_error != 0 ? TOLD : WENT_WELL);
}

/* The status, and the number of calls the run made. */
static int run_apart(enum failing_mode mode, unsigned nth, unsigned *calls)
{
    int ends[2], status = -1;
    if (pipe(ends) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0)
        run(mode, nth, nth, ends[1]);
    close(ends[1]);
    *calls = 0;
    if (read(ends[0], calls, sizeof *calls) < 0)
        *calls = 0;
    close(ends[0]);
    (void)waitpid(pid, &status, 0);
    return status;
}

static int walk(const char *name, enum failing_mode mode, unsigned from, unsigned step)
{
    unsigned told = 0, fine = 0, calls = 0, failures = 0, last = 0;
    int status = run_apart(FAILING_NONE, 0, &last);
    if (status != 0) {
        fprintf(stderr, "FAIL the run without a failure: status %#x\n", status);
        return 1;
    }
    for (unsigned nth = from; nth <= last; nth += step) {
        status = run_apart(mode, nth, &calls);
        if (WIFEXITED(status) && WEXITSTATUS(status) == TOLD) {
            told++;
        } else if (status == 0) {
            fine++;
        } else {
            failures++;
            fprintf(stderr, "FAIL %s, call %u: %s (status %#x); replay: --mode %d --call %u\n",
                    name, nth,
                    WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "hung"
                    : WIFSIGNALED(status)                              ? "crashed"
                                                                       : "wrong",
                    status, (int)mode, nth);
        }
    }
    printf("%s %s: %u calls, %u told as errors, %u without effect, %u wrong\n",
           failures ? "FAIL" : "ok  ", name, last, told, fine, failures);
    fflush(stdout);
    return failures > 0;
}

int main(int argc, char **argv)
{
    unsigned step = argc == 3 && strcmp(argv[1], "--step") == 0 ? (unsigned)atoi(argv[2]) : 1;
    if (argc == 5 && strcmp(argv[1], "--mode") == 0) {
        unsigned nth = (unsigned)atoi(argv[4]);
        run((enum failing_mode)atoi(argv[2]), nth, nth, open("/dev/null", 1));
    }
    if (step == 0 || (argc > 1 && argc != 3)) {
        fprintf(stderr, "usage: failing_walk [--step N] | --mode M --call N\n");
        return 2;
    }
    int failed = walk("once", FAILING_ONCE, 1, step);
    failed |= walk("for ever", FAILING_FOREVER, 1, step);
    failed |= walk("harmless", FAILING_HARMLESS, 1, step);
    return failed;
}

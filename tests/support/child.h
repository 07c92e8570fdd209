/* child.h - runs what is meant to fail in a process of its own, and keeps what it says on stderr.
 *
 *     static struct child c;
 *     child_run(&c, unlock_twice);
 *     CHECK(WIFSIGNALED(c.status) && strstr(c.text, "unlock of an unlocked mutex"));
 *
 * To be called before the runtime is started in this process: a fork takes only the calling thread along.
 */
#pragma once

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/testing.h"

struct child {
    pid_t pid;
    int status; /* as of waitpid; -1 while it runs */
    int fd;     /* its stderr */
    size_t size;
    char text[1 << 18];
};

static inline void child_start(struct child *c, void (*run)(void))
{
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    fflush(NULL);
    *c = (struct child){.pid = fork(), .status = -1, .fd = ends[0]};
    REQUIRE(c->pid >= 0);
    if (c->pid == 0) {
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGQUIT, SIG_DFL); /* a shell starts what runs beside it without */
        (void)dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        run();
        _exit(0);
    }
    close(ends[1]);
}

/* Reads until `text` has come, the child has closed its stderr, or some seconds have passed. True if
 * `text` (NULL: the end) is there. */
static inline bool child_read(struct child *c, const char *text)
{
    const char *factor = getenv("TEST_TIME_FACTOR");
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    while (c->size + 1 < sizeof c->text && !(text && strstr(c->text, text))) {
        if (poll(&p, 1, 10000 * (factor ? atoi(factor) : 1)) <= 0)
            return false;
        ssize_t n = read(c->fd, c->text + c->size, sizeof c->text - 1 - c->size);
        if (n <= 0)
            return !text;
        c->size += (size_t)n;
    }
    return true;
}

/* Reads to the end, kills it if it does not come to one, and keeps its status. */
static inline void child_end(struct child *c)
{
    if (!child_read(c, NULL))
        kill(c->pid, SIGKILL);
    REQUIRE(waitpid(c->pid, &c->status, 0) == c->pid);
    close(c->fd);
}

static inline void child_run(struct child *c, void (*run)(void))
{
    child_start(c, run);
    child_end(c);
}

/* Whether the texts of a list that ends with NULL come in this order; the first that does not, or NULL. */
static inline const char *child_lacks(const struct child *c, const char *const *texts)
{
    const char *at = c->text;
    for (; *texts; texts++) {
        at = strstr(at, *texts);
        if (!at)
            return *texts;
        at += strlen(*texts);
    }
    return NULL;
}

/* graceful.c - a server that ends well: on SIGTERM it stops accepting, finishes what it has begun
 * until a deadline, cancels the rest, and loses no request that it has accepted.
 *
 *     graceful [--port N]        serves (port 7002) until SIGTERM or SIGINT
 *     graceful --test            serves, sends itself SIGTERM in the middle of things, and checks
 *
 * A request is a line "work MS"; the answer "started", and MS milliseconds later "done" or
 * "cancelled". Two contexts and a scope do it:
 *
 *   serving    ends at the signal. Accepting, and waiting for a client's next request, happen in it: so
 *              idle connections are closed at once. What needs no wait is still done in a context that
 *              has ended: connections in the backlog and requests that have arrived are served.
 *   the scope  of all connections. Requests run in its context, which is cancelled GRACE after the signal.
 * Signals come from a descriptor, like everything else; they are blocked before the runtime starts.
 */
#include "graceful_guests.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <tuco.h>

enum { GRACE_MS = 1000, LINE = 128 };

struct server {
    tu_listener *listener;
    tu_context *serving;
    struct tu_wait_group connections;
    struct graceful_counts counts; /* added to atomically */
};

static void count(long *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED); /* read after the scope has joined everyone */
}

/* One line, without its end; its length, 0 at the end of the stream, or -errno. The wait for its first
 * byte ends with `serving`; once a line has begun it is waited for in the current context. */
static ssize_t read_line(struct server *s, tu_conn *conn, char *line, size_t *have)
{
    char *end;
    while (!(end = memchr(line, '\n', *have))) {
        ssize_t n = 0;
        if (*have == LINE)
            return -EMSGSIZE;
        tu_in_context(*have ? tu_context_current() : s->serving) {
            n = tu_read(conn, line + *have, LINE - *have);
        }
        if (n <= 0)
            return n;
        *have += (size_t)n;
    }
    *end = 0;
    return end - line + 1;
}

static int say(tu_conn *conn, const char *text)
{
    ssize_t n = tu_write(conn, text, strlen(text));
    return n < 0 ? (int)n : 0;
}

static int answer(struct server *s, tu_conn *conn, const char *line)
{
    if (strncmp(line, "work ", 5) != 0)
        return say(conn, "what?\n");
    count(&s->counts.accepted);
    int rc = say(conn, "started\n");
    if (rc != 0)
        return rc;
    rc = tu_sleep(atol(line + 5) * TU_MS); /* here the work would be done */
    count(rc == 0 ? &s->counts.done : &s->counts.cancelled);
    /* Needs no wait, so it is possible in an ended context as well. */
    return say(conn, rc == 0 ? "done\n" : "cancelled\n");
}

static void converse(struct server *s, tu_conn *conn)
{
    char line[LINE];
    size_t have = 0;
    for (ssize_t n; (n = read_line(s, conn, line, &have)) > 0;) {
        if (answer(s, conn, line) != 0)
            break;
        have -= (size_t)n;
        memmove(line, line + n, have);
    }
    tu_close(conn);
    tu_wait_group_done(&s->connections);
}

/* -ECANCELED when `serving` has ended and nobody waits in the backlog. Other errors pass. */
static int next_connection(struct server *s, tu_conn **out)
{
    int rc = 0;
    tu_in_context(s->serving) {
        while (rc == 0 && tu_accept(s->listener, out) != 0)
            rc = tu_sleep(10 * TU_MS);
    }
    return rc;
}

static int accept_all(struct server *s, struct tu_scope *connections)
{
    tu_conn *conn;
    int rc;
    while ((rc = next_connection(s, &conn)) == 0) {
        tu_wait_group_add(&s->connections, 1);
        if (tu_scope_go(connections, converse, s, conn) != 0) {
            tu_wait_group_done(&s->connections);
            tu_close(conn);
        }
    }
    return rc == -ECANCELED ? 0 : rc;
}

static int serve(struct server *s)
{
    int rc = 0;
    tu_scope(connections) {
        rc = accept_all(s, &connections);
        tu_listener_close(
            s->listener); /* whoever dials now is refused, and may try another server */
        tu_context *grace = tu_with_timeout(tu_context_current(), GRACE_MS * TU_MS);
        tu_defer(tu_cancel, grace);
        tu_in_context(grace) {
            if (!grace || tu_wait_group_wait(&s->connections) != 0)
                tu_scope_cancel(&connections); /* the deadline: no more waiting */
        }
    } /* joined: every connection is closed */
    return rc;
}

static void await_signal(tu_conn *signals, tu_context *serving)
{
    struct signalfd_siginfo info;
    if (tu_read(signals, &info, sizeof info) > 0)
        tu_context_cancel(serving, -ECANCELED);
}

static int serve_until_signal(struct server *s, int signal_fd, bool test)
{
    tu_conn *signals;
    int rc = tu_conn_from_fd(&signals, signal_fd);
    if (rc != 0)
        return rc;
    struct graceful_counts seen = {0};
    int fd = tu_listener_fd(s->listener);
    tu_scope(all) {
        tu_scope_go(&all, await_signal, signals, s->serving);
        if (test)
            tu_scope_go(&all, graceful_guests, fd, &seen);
        rc = serve(s);
        int error = tu_scope_wait(&all);
        rc = rc ? rc : error;
    }
    tu_close(signals);
    if (test && rc == 0 && memcmp(&seen, &s->counts, sizeof seen) != 0)
        rc = -EPROTO; /* a request was lost */
    return rc;
}

struct arguments {
    int port, signal_fd, status; /* port 0: the test */
};

static void run(void *arg)
{
    struct arguments *arguments = arg;
    char address[32];
    struct server s = {.serving = tu_with_cancel(tu_context_current())};
    tu_defer(tu_cancel, s.serving);
    snprintf(address, sizeof address, "127.0.0.1:%d", arguments->port);
    int rc = s.serving ? tu_listen(&s.listener, address, NULL) : -ENOMEM;
    if (rc == 0)
        rc = serve_until_signal(&s, arguments->signal_fd, arguments->port == 0);
    struct graceful_counts *n = &s.counts;
    printf("%ld accepted, %ld done, %ld cancelled: ", n->accepted, n->done, n->cancelled);
    printf("%s\n", rc ? strerror(-rc) : "ok");
    arguments->status = rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    sigset_t set;
    struct arguments arguments = {7002, -1, 1};
    if (argc == 2 && strcmp(argv[1], "--test") == 0)
        arguments.port = 0;
    else if (argc == 3 && strcmp(argv[1], "--port") == 0)
        arguments.port = atoi(argv[2]);
    else if (argc != 1)
        return fprintf(stderr, "usage: graceful [--port N | --test]\n"), 2;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL); /* before tu_main: only the descriptor hears them */
    arguments.signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    return tu_main(NULL, run, &arguments) ? 1 : arguments.status;
}

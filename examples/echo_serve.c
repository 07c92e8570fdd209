/* echo_serve.c - an echo server on tu_serve: a connection that says nothing costs no stack.
 *
 *     echo_serve [--port N | --address A]   serves until it is killed; A is e.g. unix:/tmp/echo
 *     echo_serve --test                     serves on a free port, talks to itself, and ends
 *
 * The handler runs only while there is something to do. It reads without parking and answers; what
 * does not fit into the socket's buffer is kept in the connection's state, and the handler comes back
 * when there is room. While something is kept it reads no more: so a client that never reads its
 * answers cannot make us grow.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <tuco.h>

struct peer {
    size_t kept_at, kept_size; /* unsent bytes of `kept` */
    char kept[16384];
};

/* 0 when all is sent, -EAGAIN when the socket is full, or an error. */
static ssize_t send_kept(tu_conn *conn, struct peer *p)
{
    while (p->kept_size > 0) {
        ssize_t n = tu_try_write(conn, p->kept + p->kept_at, p->kept_size);
        if (n < 0)
            return n;
        p->kept_at += (size_t)n;
        p->kept_size -= (size_t)n;
    }
    return 0;
}

static enum tu_serve_next echo(tu_conn *conn, unsigned events, void *state)
{
    struct peer *p = state;
    (void)events; /* whatever has happened: first what is owed, then what is new */
    ssize_t rc = send_kept(conn, p);
    if (rc == 0) {
        ssize_t n = tu_try_read(conn, p->kept, sizeof p->kept);
        if (n == -EAGAIN)
            return TU_SERVE_WAIT;
        if (n <= 0)
            return TU_SERVE_CLOSE;
        bool drained = n < (ssize_t)sizeof p->kept;
        p->kept_at = 0;
        p->kept_size = (size_t)n;
        rc = send_kept(conn, p);
        if (rc == 0) /* AGAIN: there may be more, and the others have their turn before it */
            return drained ? TU_SERVE_WAIT : TU_SERVE_AGAIN;
    }
    return rc == -EAGAIN ? TU_SERVE_WAIT : TU_SERVE_CLOSE;
}

/* Until the context ends, and tu_sleep says so. Other errors pass, such as too many open files. */
static int accept_all(tu_listener *listener)
{
    int rc;
    tu_conn *conn;
    while ((rc = tu_accept(listener, &conn)) == 0 || tu_sleep(10 * TU_MS) == 0) {
        if (rc != 0)
            continue;
        struct peer *p = tu_alloc_zeroed(sizeof *p);
        struct tu_serve_options options = {.handler = echo, .closed = tu_free, .state = p};
        if (!p || tu_serve(conn, &options) != 0) {
            tu_free(p);
            tu_close(conn);
        }
    }
    return rc;
}

/* Sends `size` bytes and expects them back. */
static int talk(tu_conn *conn, char *sent, char *got, size_t size)
{
    enum { STEP = 8192 };
    for (size_t i = 0; i < size; i++)
        sent[i] = (char)(i * 31 >> 5);
    for (size_t at = 0; at < size; at += STEP) {
        ssize_t n = tu_write(conn, sent + at, STEP);
        for (size_t back = 0; n > 0 && back < STEP; back += (size_t)n)
            n = tu_read(conn, got + at + back, STEP - back);
        if (n <= 0)
            return n ? (int)n : -EPIPE;
    }
    return memcmp(sent, got, size) == 0 ? 0 : -EIO;
}

static int dial_and_talk(const char *address)
{
    enum { SIZE = 512 * 1024 };
    tu_conn *conn;
    int rc = tu_dial(&conn, address);
    if (rc != 0)
        return rc;
    char *both = tu_alloc((size_t)2 * SIZE);
    rc = both ? talk(conn, both, both + SIZE, SIZE) : -ENOMEM;
    tu_free(both);
    tu_close(conn);
    return rc;
}

static int self_test(tu_listener *listener)
{
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    char address[32];
    if (getsockname(tu_listener_fd(listener), (struct sockaddr *)&a, &size) != 0)
        return -EIO;
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(a.sin_port));
    int rc = -ENOMEM;
    tu_scope(s) {
        if (tu_scope_go(&s, accept_all, listener) == 0)
            rc = dial_and_talk(address);
        tu_scope_cancel(&s); /* ends the accept; the scope waits for it */
    }
    return rc;
}

struct arguments {
    char address[128];
    bool test;
    int status;
};

static void run(void *arg)
{
    struct arguments *arguments = arg;
    tu_listener *listener;
    int rc = tu_listen(&listener, arguments->address, NULL);
    if (rc != 0) {
        fprintf(stderr, "echo_serve: %s: %s\n", arguments->address, strerror(-rc));
        return;
    }
    if (arguments->test) {
        rc = self_test(listener);
        printf("self-test: %s\n", rc ? strerror(-rc) : "ok");
    } else {
        printf("echo on %s\n", arguments->address);
        fflush(stdout);
        rc = accept_all(listener);
        fprintf(stderr, "echo_serve: accept: %s\n", strerror(-rc));
    }
    tu_listener_close(listener);
    arguments->status = rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {"127.0.0.1:7000", false, 1};
    if (argc == 2 && strcmp(argv[1], "--test") == 0) {
        arguments = (struct arguments){"127.0.0.1:0", true, 1};
    } else if (argc == 3 && strcmp(argv[1], "--port") == 0) {
        snprintf(arguments.address, sizeof arguments.address, "127.0.0.1:%d", atoi(argv[2]));
    } else if (argc == 3 && strcmp(argv[1], "--address") == 0) {
        snprintf(arguments.address, sizeof arguments.address, "%s", argv[2]);
    } else if (argc != 1) {
        fprintf(stderr, "usage: echo_serve [--port N | --address A | --test]\n");
        return 2;
    }
    return tu_main(NULL, run, &arguments) ? 1 : arguments.status;
}

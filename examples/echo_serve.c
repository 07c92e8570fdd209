/* echo_serve.c - an echo server on tu_serve: a connection that says nothing costs no stack.
 *
 *     echo_serve ADDRESS         serves for ever, e.g. 127.0.0.1:7000 or unix:/tmp/echo
 *     echo_serve --self-test     serves on a free port, talks to itself, and ends
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
    (void)events;
    ssize_t rc = send_kept(conn, p);
    if (rc == 0) {
        ssize_t n = tu_try_read(conn, p->kept, sizeof p->kept);
        if (n == -EAGAIN)
            return TU_SERVE_WAIT;
        if (n <= 0)
            return TU_SERVE_CLOSE;
        p->kept_at = 0;
        p->kept_size = (size_t)n;
        rc = send_kept(conn, p);
        if (rc == 0)
            return TU_SERVE_AGAIN;
    }
    return rc == -EAGAIN ? TU_SERVE_WAIT : TU_SERVE_CLOSE;
}

static void accept_all(tu_listener *listener)
{
    tu_conn *conn;
    while (tu_accept(listener, &conn) == 0) {
        struct peer *p = tu_alloc_zeroed(sizeof *p);
        struct tu_serve_options options = {.handler = echo, .closed = tu_free, .state = p};
        if (!p || tu_serve(conn, &options) != 0) {
            tu_free(p);
            tu_close(conn);
        }
    }
}

/* Sends half a megabyte and expects it back. */
static int talk(const char *address)
{
    enum { SIZE = 512 * 1024, STEP = 8192 };
    tu_conn *conn;
    static char sent[SIZE], got[SIZE];
    int rc = tu_dial(&conn, address);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (char)(i * 31 >> 5);
    for (size_t at = 0; at < SIZE && rc == 0; at += STEP) {
        ssize_t n = tu_write(conn, sent + at, STEP);
        for (size_t back = 0; n > 0 && back < STEP; back += (size_t)n)
            n = tu_read(conn, got + at + back, STEP - back);
        rc = n < 0 ? (int)n : n == 0 ? -EPIPE : 0;
    }
    tu_close(conn);
    return rc != 0 ? rc : memcmp(sent, got, SIZE) == 0 ? 0 : -EIO;
}

static int self_test(void)
{
    tu_listener *listener;
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    char address[32];
    int rc = tu_listen(&listener, "127.0.0.1:0", NULL);
    if (rc != 0 || getsockname(tu_listener_fd(listener), (struct sockaddr *)&a, &size) != 0)
        return rc ? rc : -EIO;
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(a.sin_port));
    rc = tu_go(accept_all, listener);
    if (rc == 0)
        rc = talk(address);
    tu_listener_close(listener);
    return rc;
}

struct arguments {
    const char *address;
    int status;
};

static void run(void *arg)
{
    struct arguments *arguments = arg;
    tu_listener *listener;
    int rc;
    if (strcmp(arguments->address, "--self-test") == 0) {
        rc = self_test();
        printf("self-test: %s\n", rc ? strerror(-rc) : "ok");
    } else if ((rc = tu_listen(&listener, arguments->address, NULL)) == 0) {
        printf("echo on %s\n", arguments->address);
        accept_all(listener);
    } else {
        fprintf(stderr, "echo_serve: %s: %s\n", arguments->address, strerror(-rc));
    }
    arguments->status = rc ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: echo_serve ADDRESS | --self-test\n");
        return 2;
    }
    struct arguments arguments = {argv[1], 1};
    return tu_main(NULL, run, &arguments) ? 1 : arguments.status;
}

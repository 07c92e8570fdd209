/* bench_echo.c - 32-byte messages to an echo server on loopback and back, 50 connections at once,
 * server and clients in this process, every end a goroutine with blocking reads and writes. */
#include "runtime_bench.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <tuco.h>

enum { CONNECTIONS = 50, MESSAGE = 32 };

static void echo_conn(tu_conn *conn)
{
    char buffer[4096];
    for (;;) {
        ssize_t n = tu_read(conn, buffer, sizeof buffer);
        if (n <= 0 || tu_write(conn, buffer, (size_t)n) < 0)
            break;
    }
    tu_close(conn);
}

static void accept_all(tu_listener *listener)
{
    tu_conn *conn;
    while (tu_accept(listener, &conn) == 0)
        bench_check("tu_go", tu_go(echo_conn, conn));
}

static void talk(tu_conn *conn, struct tu_wait_group *group, long messages)
{
    char message[MESSAGE] = {0};
    for (long i = 0; i < messages; i++) {
        bench_check("write", tu_write(conn, message, sizeof message));
        for (size_t got = 0; got < sizeof message;) {
            ssize_t n = tu_read(conn, message + got, sizeof message - got);
            if (n <= 0)
                bench_die("read", (int)n);
            got += (size_t)n;
        }
    }
    tu_close(conn);
    tu_wait_group_done(group);
}

static int64_t echo(long count)
{
    tu_listener *listener;
    struct tu_wait_group group = {0};
    char address[32];
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    bench_check("listen", tu_listen(&listener, "127.0.0.1:0", NULL));
    if (getsockname(tu_listener_fd(listener), (struct sockaddr *)&a, &size) != 0)
        bench_die("getsockname", 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(a.sin_port));
    bench_check("tu_go", tu_go(accept_all, listener));
    int64_t start = tu_now();
    for (int i = 0; i < CONNECTIONS; i++) {
        tu_conn *conn;
        bench_check("dial", tu_dial(&conn, address));
        tu_wait_group_add(&group, 1);
        bench_check("tu_go", tu_go(talk, conn, &group, count / CONNECTIONS + 1));
    }
    bench_check("wait", tu_wait_group_wait(&group));
    int64_t ns = tu_now() - start;
    tu_listener_close(listener);
    return ns;
}

const struct runtime_bench bench_echo[] = {
    {.name = "echo", .run = echo},
    {0},
};

/* echo_server.c - an echo server on libtuco, to be compared with bare_loop (which echoes too): CPU
 * time of the process for each message, and memory of each idle connection.
 *
 *     echo_server --port N --mode serve|goroutine
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tuco.h>

struct settings {
    int port;
    bool stackless;
};

static void echo_on_goroutine(tu_conn *conn)
{
    char buffer[4096];
    for (;;) {
        ssize_t n = tu_read(conn, buffer, sizeof buffer);
        if (n <= 0 || tu_write(conn, buffer, (size_t)n) < 0)
            break;
    }
    tu_close(conn);
}

/* One read and one write a call; a short read has drained the socket. */
static enum tu_serve_next echo_once(tu_conn *conn, unsigned events, void *state)
{
    char buffer[4096];
    (void)events;
    (void)state;
    ssize_t n = tu_try_read(conn, buffer, sizeof buffer);
    if (n == -EAGAIN)
        return TU_SERVE_WAIT;
    if (n <= 0 || tu_write(conn, buffer, (size_t)n) < 0)
        return TU_SERVE_CLOSE;
    return (size_t)n == sizeof buffer ? TU_SERVE_AGAIN : TU_SERVE_WAIT;
}

static void serve(void *arg)
{
    const struct settings *settings = arg;
    tu_listener *listener;
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", settings->port);
    int rc = tu_listen(&listener, address, NULL);
    for (tu_conn *conn; rc == 0 && (rc = tu_accept(listener, &conn)) == 0;) {
        if (settings->stackless)
            rc = tu_serve(conn, &(struct tu_serve_options){.handler = echo_once});
        else
            rc = tu_go(echo_on_goroutine, conn);
    }
    fprintf(stderr, "echo_server: %s\n", strerror(-rc));
    exit(1);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"port", 1, NULL, 'p'}, {"mode", 1, NULL, 'm'}, {0}};
    struct settings settings = {0};
    const char *mode = "";
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'p')
            settings.port = atoi(optarg);
        else if (c == 'm')
            mode = optarg;
        else
            return 2;
    }
    settings.stackless = strcmp(mode, "serve") == 0;
    if (settings.port <= 0 || (!settings.stackless && strcmp(mode, "goroutine") != 0)) {
        fprintf(stderr, "usage: echo_server --port N --mode serve|goroutine\n");
        return 2;
    }
    int rc = tu_main(NULL, serve, &settings);
    return rc ? 1 : 0;
}
